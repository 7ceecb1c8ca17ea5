//! A user who does not depend on `pitaya-runtime` at all: another crate hands it on, and `crate = path` says where. Both
//! crates have error types.

use pitaya_tests_renamed::reexported::engine::prelude::*;

/// Why a room refuses.
#[derive(Debug, Fault)]
#[fault(code = "ROOM-1", message = "full", crate = pitaya_tests_renamed::reexported::engine)]
pub struct Full;

/// An error of the standard library's kind, beside the two kinds of the other crate.
#[derive(Debug, Fault)]
#[fault(code = "ROOM-2", crate = pitaya_tests_renamed::reexported::engine)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

/// Hands on an error of the other crate, of either kind.
///
/// # Errors
/// Always.
pub fn refused(broken: bool) -> Result<()> {
    if broken {
        return Ok(Err(pitaya_tests_renamed::Broken)?);
    }
    Ok(Err(pitaya_tests_renamed::Full)?)
}

/// A component.
#[derive(Debug)]
pub struct Room;

#[handler(crate = pitaya_tests_renamed::reexported::engine)]
impl Room {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn join(&self, session: &Session, name: String) -> Result<(), Full> {
        let _ = (session, name);
        Err(Full)
    }
}

/// A contract, and its stub.
#[remote(crate = pitaya_tests_renamed::reexported::engine, codec = Json)]
pub trait RoomApi {
    /// Greets.
    async fn greet(&self, name: String) -> Result<String>;
}

#[remote(crate = pitaya_tests_renamed::reexported::engine)]
impl RoomApi for Room {
    async fn greet(&self, name: String) -> Result<String> {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pitaya_tests_renamed::reexported::engine::{Handlers, Remotes};

    #[test]
    fn it_is_found_through_the_other_crate() {
        assert_eq!((Room::HANDLERS.rows.len(), Room::REMOTES.rows.len()), (1, 1));
        let own = [Error::from(Full), Error::from(Broken)];
        let others = [true, false].map(|broken| refused(broken).expect_err("refused"));
        let codes = |errors: &[Error]| errors.iter().map(|error| error.code().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (codes(&own), codes(&others)),
            (vec!["ROOM-1".into(), "ROOM-2".into()], vec!["ROOM-3".into(), "ROOM-1".into()])
        );
        let _ = RoomApiClient::greet;
    }
}
