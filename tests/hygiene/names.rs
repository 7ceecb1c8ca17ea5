//! Methods whose names are those of traits, of keywords and of what is generated.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "routes are `pub`, and these are nobody's API"
)]

use pitaya_runtime::Handlers;
use pitaya_runtime::prelude::*;
use std::sync::Arc;

/// Beside the component `clone` is a method of the `Arc` that holds it.
#[derive(Clone, Debug, Default)]
pub struct Room;

#[handler]
#[allow(
    clippy::should_implement_trait,
    clippy::wrong_self_convention,
    clippy::inherent_to_string,
    reason = "that is the point"
)]
impl Room {
    pub fn clone(&self) -> u32 {
        1
    }
    pub async fn drop(&self) -> u32 {
        2
    }
    pub fn to_string(&self) -> u32 {
        3
    }
    pub fn into(self: &Arc<Self>) -> u32 {
        4
    }
    pub fn deref(&self) -> u32 {
        5
    }
    pub fn done(&self) -> u32 {
        6
    }
    pub fn silent(&self) {}
    pub async fn read(&self, read: u32) -> u32 {
        read
    }
    pub fn empty(&self) -> u32 {
        8
    }
    pub async fn lend(&self, session: &Session, lend: u32) -> u32 {
        let _ = session;
        lend
    }
    pub fn sync(&self) -> u32 {
        9
    }
    pub async fn later(&self) -> u32 {
        10
    }
    pub fn handlers(&self) -> u32 {
        11
    }
    pub fn check(&self, __call: u32) -> u32 {
        __call
    }
    pub async fn __payload(&self, __this: &Session, __cx: &Context, __payload: u32) -> u32 {
        let _ = (__this, __cx);
        __payload
    }
    pub fn r#type(&self, r#in: u32) -> u32 {
        r#in
    }
    #[route(internal)]
    pub async fn r#await(&self) {}
    pub fn boxed(&self) -> u32 {
        12
    }
    #[on(init)]
    fn init(&self) {}
    #[on(session_bound)]
    async fn on(&self) {}
}

/// So may be the type.
pub struct Table;

#[handler(name = "route")]
impl Table {
    pub fn row(&self) -> u32 {
        0
    }
}

pub struct Returned;

#[handler]
impl Returned {
    pub async fn done(&self) -> u32 {
        0
    }
}

#[allow(non_camel_case_types, reason = "a raw name")]
pub struct r#struct;

#[handler]
impl r#struct {
    pub fn r#fn(&self) -> u32 {
        0
    }
}

#[remote(codec = Json)]
#[allow(clippy::should_implement_trait, clippy::wrong_self_convention, reason = "that is the point")]
impl Table {
    pub fn clone(&self) -> Result<u32> {
        Ok(1)
    }
    pub async fn fmt(&self, argument: u32) -> Result<u32> {
        Ok(argument)
    }
    pub fn into(&self) -> Result<u32> {
        Ok(2)
    }
    pub async fn send(&self, __cx: &RemoteContext, __call: u32) {
        let _ = (__cx, __call);
    }
    pub fn request(&self) {}
    pub fn r#type(&self) -> Result<u32> {
        Ok(3)
    }
    #[route("new")]
    pub fn rpc(&self) -> Result<u32> {
        Ok(4)
    }
}

/// The methods of a contract beside those of what it is built on.
#[remote(codec = Json)]
pub trait Copies: Clone {
    fn clone(&self) -> Result<u32>;
    async fn service(&self, rows: u32) -> Result<u32>;
}

#[remote]
impl Copies for Room {
    fn clone(&self) -> Result<u32> {
        Ok(1)
    }
    async fn service(&self, rows: u32) -> Result<u32> {
        Ok(rows)
    }
}

/// An error type whose variants and fields are called like what is generated, and like what is not.
#[derive(Debug, Fault)]
#[fault(code = "NAMES-1")]
pub enum Probe {
    #[fault(message = "{self_} {type} {__field0} {code}")]
    Some { self_: u8, r#type: u8, __field0: u8, code: u8 },
    #[fault(code = "NAMES-2", message = "{0}")]
    Ok(#[fault(metadata = "__pitaya")] u8),
    #[fault(message = "none")]
    None,
    #[fault(message = "self")]
    Self_ {},
}

/// A type that is called like the trait, of which a method of its own is called like one of the trait.
#[derive(Debug, pitaya_runtime::Fault)]
#[fault(code = "NAMES-3", message = "{code}")]
pub struct Source {
    code: u8,
}

impl Source {
    pub fn code(&self) -> u8 {
        self.code
    }
    pub fn text(&self) -> u8 {
        self.code
    }
}

#[test]
fn every_name_is_an_error() {
    let some = Error::from(Probe::Some { self_: 1, r#type: 2, __field0: 3, code: 4 });
    assert_eq!((some.code(), some.message()), ("NAMES-1", "1 2 3 4"));
    let ok = Error::from(Probe::Ok(7));
    assert_eq!(
        (ok.code(), ok.metadata().and_then(|all| all.get("__pitaya")).map(String::as_str)),
        ("NAMES-2", Some("7"))
    );
    assert_eq!((Error::from(Probe::None).message(), Error::from(Probe::Self_ {}).message()), ("none", "self"));
    let source = Source { code: 5 };
    assert_eq!((source.code(), source.text(), Error::from(source).message()), (5, 5, "5"));
}

#[test]
fn every_name_is_a_remote() {
    use pitaya_runtime::Remotes;
    let names: Vec<_> = Table::REMOTES.service.routes.iter().map(|route| route.name).collect();
    assert_eq!(names, ["clone", "fmt", "into", "send", "request", "type", "new"]);
    assert_eq!(Room::REMOTES.rows.len(), 2);
    let _ = (TableClient::clone, TableClient::fmt, TableClient::into, TableClient::r#type, CopiesClient::service);
}

#[test]
fn every_name_is_a_route() {
    let names: Vec<_> = Room::HANDLERS.service.routes.iter().map(|route| route.name).collect();
    assert_eq!(
        names,
        [
            "clone",
            "drop",
            "to_string",
            "into",
            "deref",
            "done",
            "silent",
            "read",
            "empty",
            "lend",
            "sync",
            "later",
            "handlers",
            "check",
            "__payload",
            "type",
            "await",
            "boxed"
        ]
    );
    assert_eq!(Table::HANDLERS.service.type_name, "Table");
    assert_eq!((r#struct::HANDLERS.service.name, r#struct::HANDLERS.service.routes[0].name), ("struct", "fn"));
    assert_eq!(Returned::HANDLERS.rows.len(), 1);
}
