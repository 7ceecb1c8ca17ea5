//! `#[route(..)]` and `#[handler(..)]`: names, codes, flags and serializers in the table.

use crate::link::{Server, body, fault};
use pitaya_runtime::handler::Kind;
use pitaya_runtime::prelude::*;
use pitaya_runtime::registry::{MountError, Registry};
use pitaya_runtime::{Codec, Handlers, SerdeCodec, Service, declared};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

pub struct Gate;

#[handler(name = "the-gate", rename_all = "camelCase")]
impl Gate {
    /// Opens it.
    ///
    /// Slowly.
    #[route(concurrent, cancel, code = 7, timeout = "1m30s")]
    pub async fn open_wide(&self) -> Result<()> {
        Ok(())
    }
    #[route("shut", internal, code = 65535)]
    pub fn close(&self) {}
    #[route(notify)]
    pub fn knock_twice(&self, n: u8) -> Result<()> {
        if n == 2 { Ok(()) } else { Err(Error::new("GATE-1", "once more")) }
    }
    #[route(notify)]
    pub async fn knock_later(&self) -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }
    pub(crate) fn r#type(&self) -> u8 {
        1
    }
}

fn service<S: Handlers>() -> &'static Service {
    const { &S::HANDLERS }.service
}

#[test]
fn the_table_says_what_was_written() {
    let service = service::<Gate>();
    assert_eq!((service.name, service.type_name, service.codecs), ("the-gate", "Gate", &["json"][..]));
    assert!(service.location.contains("options.rs:"), "{}", service.location);
    let shown: Vec<_> = service.routes.iter().map(|r| (r.name, r.kind, r.is_async, r.code)).collect();
    assert_eq!(
        shown,
        [
            ("openWide", Kind::Request, true, 7),
            ("shut", Kind::Notify, false, 65535),
            ("knockTwice", Kind::Notify, false, 0),
            ("knockLater", Kind::Notify, true, 0),
            ("type", Kind::Request, false, 0),
        ]
    );
    let flags: Vec<_> = service.routes.iter().map(|r| (r.concurrent, r.cancel, r.internal)).collect();
    assert_eq!(flags[0], (true, true, false));
    assert_eq!(flags[1], (false, false, true));
    assert_eq!(flags[2], (false, false, false));
    assert_eq!(service.routes[0].timeout, Some(std::time::Duration::from_secs(90)));
    assert_eq!(service.routes[1].timeout, None);
    assert_eq!(service.routes[0].docs, "Opens it.\n\nSlowly.");
    assert!(declared().iter().any(|known| std::ptr::eq(*known, service)), "found without being mounted");
}

#[test]
fn a_notify_may_fail_and_answers_nothing() {
    let server = Server::of("json", Gate);
    assert_eq!(server.call("chat.the-gate.knockTwice", "2"), body(""));
    assert_eq!(server.call("the-gate.knockTwice", "1"), fault("GATE-1", "once more"));
    assert_eq!(server.call("the-gate.knockLater", ""), fault("PIT-000", &std::fmt::Error.to_string()));
    assert_eq!(server.call("the-gate.type", ""), body("1"));
}

/// JSON in capitals.
pub struct Loud;

impl Codec for Loud {
    const NAME: &'static str = "loud";
}

impl SerdeCodec for Loud {
    fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
        Json::from_slice(&body.to_ascii_lowercase())
    }
    fn to_vec<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        let at = out.len();
        Json::to_vec(value, out)?;
        out[at..].make_ascii_uppercase();
        Ok(())
    }
}

pub struct Caller;

#[handler(codec(Json, Loud))]
impl Caller {
    pub fn call(&self, name: String) -> String {
        name
    }
}

#[test]
fn the_serializer_is_chosen_when_mounted() {
    assert_eq!(Server::of("json", Caller).call("caller.call", r#""Zoe""#), body(r#""Zoe""#));
    assert_eq!(Server::of("loud", Caller).call("caller.call", r#""Zoe""#), body(r#""ZOE""#));
    let problems = Registry::default().mount("chat", None, "protobuf", Arc::new(Caller));
    assert!(matches!(&problems[..], [MountError::Codec { wants: "protobuf", .. }]), "{problems:?}");
}
