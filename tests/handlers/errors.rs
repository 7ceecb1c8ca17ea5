//! What a client sees of an error type: its code, its text, its metadata.

use crate::link::{Server, fault};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Handlers, codes};
use std::fmt;

/// No error of `std`: the derive writes the conversion.
#[derive(Debug, Fault)]
pub enum JoinError {
    #[fault(code = "ROOM-1", message = "at most {max} players, not {wanted:>3}, in {{room}}")]
    Full {
        #[fault(metadata)]
        max: u32,
        #[fault(metadata = "asked-for")]
        wanted: u32,
    },
    #[fault(code = codes::NOT_FOUND, message = "no room {0}{1}")]
    Unknown(String, #[fault(metadata = "at")] char),
    #[fault(code = "ROOM-3", message = "closed")]
    Closed,
}

/// An error of `std`, written by hand: the blanket conversion finds the row.
#[derive(Debug, Fault)]
#[fault(code = "BANK-1")]
pub struct Broke {
    #[fault(metadata)]
    pub r#missing: u64,
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} short", self.missing)
    }
}

impl std::error::Error for Broke {}

/// By a derive: one code for all, one of its own, a text of its own beside those of `Display`.
#[derive(Debug, Fault, thiserror::Error)]
#[fault(code = "SHOP-1")]
pub enum ShopError {
    #[error("sold out")]
    SoldOut,
    #[fault(code = "SHOP-2")]
    #[error("too young: {0}")]
    TooYoung(#[fault(metadata = "age")] u8),
    #[fault(message = "later")]
    #[error("the till is on fire")]
    Busy,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A type that nobody outside can name, and one without values.
#[derive(Fault)]
#[fault(code = "HIDDEN-1", message = "hidden")]
struct Hidden;

#[derive(Debug, Fault)]
pub enum Never {}

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, which: u8) -> Result<u8, JoinError> {
        match which {
            0 => Err(JoinError::Full { max: 9, wanted: 12 }),
            1 => Err(JoinError::Unknown("ro".into(), 'x')),
            2 => Err(JoinError::Closed),
            _ => Ok(which),
        }
    }
    pub async fn pay(&self, which: u8) -> Result<()> {
        match which {
            0 => self.join(2)?,
            1 => Err(Broke { missing: 7 })?,
            2 => Err(Hidden)?,
            _ => return Err(ShopError::TooYoung(7).into()),
        };
        Ok(())
    }
    pub fn buy(&self) -> Result<(), ShopError> {
        Err(ShopError::SoldOut)
    }
    pub fn boxed(&self, which: u8) -> Result<()> {
        boxed(which).map_err(Error::boxed)?;
        Ok(())
    }
    pub async fn anyhow(&self, which: u8) -> Result<()> {
        anyhow(which).map_err(Error::boxed)?;
        Ok(())
    }
    pub fn never(&self) -> Result<(), Never> {
        Ok(())
    }
}

fn boxed(which: u8) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match which {
        0 => Err(Broke { missing: 1 })?,
        1 => Err(Error::new("OWN-1", "own"))?,
        _ => Err("only a text")?,
    }
    Ok(())
}

fn anyhow(which: u8) -> anyhow::Result<()> {
    use anyhow::Context as _;
    match which {
        0 => Err(ShopError::SoldOut).context("while shopping"),
        1 => Err(anyhow::Error::from(Error::new("OWN-1", "own"))),
        _ => anyhow::bail!("only a text"),
    }
}

#[test]
fn a_handlers_error_keeps_its_code() {
    let server = Server::of("json", Room);
    let seen = |route: &str, which: u8| server.call(route, &which.to_string());
    assert_eq!(seen("room.join", 0), fault("ROOM-1", "at most 9 players, not  12, in {room}"));
    assert_eq!(seen("room.join", 1), fault("PIT-404", "no room rox"));
    assert_eq!(seen("room.join", 2), fault("ROOM-3", "closed"));
    assert_eq!(server.call("room.buy", ""), fault("SHOP-1", "sold out"));
}

#[test]
fn a_question_mark_keeps_the_code() {
    let server = Server::of("json", Room);
    let seen = |which: u8| server.call("room.pay", &which.to_string());
    assert_eq!(seen(0), fault("ROOM-3", "closed"));
    assert_eq!(seen(1), fault("BANK-1", "7 short"));
    assert_eq!(seen(2), fault("HIDDEN-1", "hidden"));
    assert_eq!(seen(3), fault("SHOP-2", "too young: 7"));
}

#[test]
fn metadata_are_what_was_marked() {
    let of = |error: Error| error.metadata().cloned().unwrap_or_default().into_iter().collect::<Vec<_>>();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(of(JoinError::Full { max: 9, wanted: 12 }.into()), [pair("asked-for", "12"), pair("max", "9")]);
    assert_eq!(of(JoinError::Unknown("ro".into(), 'x').into()), [pair("at", "x")]);
    assert_eq!(of(JoinError::Closed.into()), []);
    assert_eq!(of(Broke { missing: 7 }.into()), [pair("missing", "7")]);
    assert_eq!(of(ShopError::TooYoung(7).into()), [pair("age", "7")]);
}

#[test]
fn a_text_of_its_own_hides_the_display() {
    assert_eq!(Error::from(ShopError::Busy), Error::new("SHOP-1", "later"));
    let io = std::io::Error::other("disk");
    assert_eq!(Error::from(ShopError::from(io)), Error::new("SHOP-1", "disk"));
    assert_eq!(Error::from(std::io::Error::other("disk")), Error::new("PIT-000", "disk"), "a type without a code");
}

#[test]
fn the_adapter_finds_codes_in_boxes() {
    let server = Server::of("json", Room);
    for route in ["room.boxed", "room.anyhow"] {
        let seen = |which: u8| server.call(route, &which.to_string());
        let typed = if route == "room.boxed" { fault("BANK-1", "1 short") } else { fault("SHOP-1", "sold out") };
        assert_eq!(seen(0), typed, "{route}");
        assert_eq!(seen(1), fault("OWN-1", "own"), "{route}");
        assert_eq!(seen(2), fault("PIT-000", "only a text"), "{route}");
    }
    assert!(Room::HANDLERS.rows.len() == 6);
}

/// `main` returns a box in the README and in the examples.
#[test]
fn an_error_goes_into_a_box_with_a_question_mark() {
    fn start() -> Result<(), Box<dyn std::error::Error>> {
        Err(Error::new("OWN-1", "own"))?;
        Ok(())
    }
    assert_eq!(start().unwrap_err().to_string(), "OWN-1: own");
}
