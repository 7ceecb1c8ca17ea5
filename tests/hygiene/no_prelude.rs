//! Generated code names nothing that a user could have hidden: no prelude, and every common name means something else.
//! `crate = ..` reaches the framework through a module of the user's.

#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    non_upper_case_globals,
    reason = "the names only have to be in the way"
)]

/// Where this crate keeps its dependencies.
pub mod my {
    pub use ::pitaya_runtime as game;
}

#[derive(Debug)]
pub struct Result;
pub struct Option;
pub struct Box;
pub struct Vec;
pub struct String;
pub struct Some;
pub struct None;
pub struct Ok;
pub struct Err;
pub struct Send;
pub struct Sync;
pub struct Future;
pub struct Self_;
pub struct Arc;
pub struct Call;
pub struct Context;
pub struct Session;
pub struct Handlers;
pub struct Returned;
pub struct Plain;
pub struct Json;
pub struct Route;
pub struct Service;
pub struct Kind;
pub struct Table;
pub struct Default;
pub struct Clone;
pub struct Into;
pub struct From;
pub struct Iterator;
pub mod std {}
pub mod core {}
pub mod alloc {}
pub mod pitaya_core {}
pub mod inventory {}
macro_rules! hidden {
    ($($name:ident)*) => { $(
        #[allow(unused_macros, reason = "it only has to be in the way")]
        macro_rules! $name {
            ($d:tt) => {
                compile_error!("generated code must not use this")
            };
        }
    )* };
}
hidden! { vec format panic println assert concat file line stringify submit }

pub struct Room;

#[::pitaya_runtime::handler]
impl Room {
    /// Documented.
    #[route("hello", code = 7, concurrent)]
    pub async fn join(
        &self,
        session: &::pitaya_runtime::Session,
        n: ::std::primitive::u32,
    ) -> ::pitaya_runtime::Result<::std::primitive::i64> {
        let _ = n;
        ::pitaya_runtime::Result::Ok(session.id())
    }
    pub fn say(self: &::std::sync::Arc<Self>, cx: &::pitaya_runtime::Context, raw: ::pitaya_runtime::Raw) {
        let _ = (cx, raw);
    }
    #[on(init)]
    async fn open(&self, event: &::pitaya_runtime::AppEvent) -> ::pitaya_runtime::Result<()> {
        let _ = event;
        ::pitaya_runtime::Result::Ok(())
    }
    #[on(session_closed)]
    fn left(&self, session: &::pitaya_runtime::Session) {
        let _ = session;
    }
}

/// Everything from the renamed crate.
pub struct Elsewhere;

#[my::game::handler(crate = crate::my::game, codec(my::game::Json, my::game::Protobuf))]
impl Elsewhere {
    pub fn pong(&self, raw: my::game::Raw) -> my::game::Raw {
        raw
    }
    #[on(shutdown)]
    async fn close(&self) {}
}

#[::pitaya_runtime::remote]
impl Room {
    /// Documented.
    #[route("hello")]
    pub async fn reply(
        &self,
        rpc: &::pitaya_runtime::Rpc,
        raw: ::pitaya_runtime::Raw,
    ) -> ::pitaya_runtime::Result<::pitaya_runtime::Raw> {
        let _ = rpc;
        ::pitaya_runtime::Result::Ok(raw)
    }
    pub fn hush(self: &::std::sync::Arc<Self>) {}
}

/// A contract from the renamed crate, and who serves it.
#[my::game::remote(crate = crate::my::game, codec = my::game::Json)]
pub trait Api {
    /// Documented.
    async fn reply(&self, raw: my::game::Raw) -> my::game::Result<my::game::Raw>;
    async fn later(&self) {}
    fn hush(&self);
}

#[my::game::remote(crate = crate::my::game)]
impl Api for Elsewhere {
    async fn reply(&self, raw: my::game::Raw) -> my::game::Result<my::game::Raw> {
        my::game::Result::Ok(raw)
    }
    fn hush(&self) {}
}

pub struct Error;
pub struct Fault;
pub struct Cow;
pub struct BTreeMap;
pub struct Probe;
pub struct NotStd;
pub const max: ::std::primitive::u32 = 0;

/// Its field is named like a constant in scope.
#[derive(::std::fmt::Debug, ::pitaya_runtime::Fault)]
pub enum Refused {
    #[fault(code = "ROOM-1", message = "at most {max}")]
    Full {
        #[fault(metadata)]
        max: ::std::primitive::u32,
    },
    #[fault(code = "ROOM-2", message = "{0}")]
    Said(&'static ::std::primitive::str),
}

/// The same from the renamed crate, with a `Display` and none of the error traits.
#[derive(::std::fmt::Debug, my::game::Fault)]
#[fault(code = "ROOM-3", crate = crate::my::game)]
pub struct Closed;

impl ::std::fmt::Display for Closed {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        f.write_str("closed")
    }
}

/// The same with them.
#[derive(::std::fmt::Debug, my::game::Fault)]
#[fault(code = "ROOM-4", crate = crate::my::game)]
pub struct Broken;

impl ::std::fmt::Display for Broken {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        f.write_str("broken")
    }
}

impl ::std::error::Error for Broken {}

#[::std::prelude::v1::test]
fn error_types_keep_their_codes() {
    let full = <::pitaya_runtime::Error as ::std::convert::From<_>>::from(Refused::Full { max: 9 });
    ::std::assert_eq!((full.code(), full.message()), ("ROOM-1", "at most 9"));
    let said = <::pitaya_runtime::Error as ::std::convert::From<_>>::from(Refused::Said("no"));
    ::std::assert_eq!((said.code(), said.message()), ("ROOM-2", "no"));
    let closed = <::pitaya_runtime::Error as ::std::convert::From<_>>::from(Closed);
    ::std::assert_eq!((closed.code(), closed.message()), ("ROOM-3", "closed"));
    let broken = <::pitaya_runtime::Error as ::std::convert::From<_>>::from(Broken);
    ::std::assert_eq!((broken.code(), broken.message()), ("ROOM-4", "broken"));
}

#[::std::prelude::v1::test]
fn both_have_their_tables() {
    use ::pitaya_runtime::Handlers as _;
    let (room, elsewhere) = (Room::HANDLERS, Elsewhere::HANDLERS);
    ::std::assert_eq!((room.service.routes[0].name, room.rows.len(), room.hooks.len()), ("hello", 2, 2));
    ::std::assert_eq!((elsewhere.service.codecs, elsewhere.hooks.len()), (&["json", "protobuf"][..], 1));
    use ::pitaya_runtime::Remotes as _;
    let (room, elsewhere) = (Room::REMOTES, Elsewhere::REMOTES);
    ::std::assert_eq!((room.rows.len(), elsewhere.rows.len()), (2, 3));
    let _ = (RoomClient::reply, RoomClient::hush, ApiClient::reply, ApiClient::later, ApiClient::hush);
}
