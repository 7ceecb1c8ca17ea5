//! A user with every lint on: generated code must not warn, under rustc nor under clippy, whatever the form.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_results,
    unused_lifetimes,
    unused_import_braces,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    non_ascii_idents,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    future_incompatible,
    nonstandard_style,
    keyword_idents,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::shadow_unrelated,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::wildcard_enum_match_arm,
    clippy::clone_on_ref_ptr,
    clippy::absolute_paths,
    clippy::missing_docs_in_private_items,
    clippy::pattern_type_mismatch,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::default_numeric_fallback
)]

use pitaya_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// A payload and an answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, prost::Message)]
pub struct Join {
    /// Who.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// A room.
#[derive(Debug, Default)]
pub struct Room {
    /// How many are here.
    members: AtomicI64,
}

#[handler]
impl Room {
    /// Joins.
    ///
    /// # Errors
    /// When the session cannot be bound.
    pub async fn join(&self, session: &Session, msg: Join) -> Result<Join> {
        session.bind(&msg.name).await?;
        self.step(1);
        Ok(msg)
    }

    /// Says.
    pub fn say(&self, cx: &Context, msg: Join) {
        self.step(cx.session().id());
        drop(msg);
    }

    /// Waits.
    pub async fn wait(self: &Arc<Self>, cx: &Context) -> i64 {
        cx.closed().await;
        self.members.load(Relaxed)
    }

    /// Echoes.
    #[route("ping", concurrent, cancel, internal, code = 7)]
    #[must_use]
    pub fn pong(&self, raw: Raw) -> Raw {
        self.step(0);
        raw
    }

    /// Counts.
    ///
    /// # Errors
    /// When nobody is here.
    #[route(notify)]
    pub fn count(&self) -> Result<(), Error> {
        if self.members.load(Relaxed) > 0 { Ok(()) } else { Err(Error::new("ROOM-1", "nobody")) }
    }

    /// Old.
    #[deprecated = "ask `count`"]
    pub fn old(&self) {
        self.step(0);
    }

    /// Not here.
    #[cfg(any())]
    pub fn never(&self, gone: NoSuchType) {}

    /// Opens.
    #[on(init)]
    fn open(&self, event: &AppEvent) -> Result<()> {
        let start: &i64 = event.state.get()?;
        self.members.store(*start, Relaxed);
        Ok(())
    }

    /// Counts down.
    #[on(session_closed)]
    fn left(&self, session: &Session) {
        self.step(-session.id());
    }

    /// No route.
    fn step(&self, by: i64) {
        let _before: i64 = self.members.fetch_add(by, Relaxed);
    }
}

/// What a shelf keeps.
pub trait Store: Send + Sync + 'static {
    /// What is found.
    type Item: Serialize + prost::Message + Send;
    /// Finds it.
    fn get(&self, key: &Join) -> Self::Item;
}

/// A component over any store.
#[derive(Debug)]
pub struct Shelf<S>(S);

/// Writes a block.
macro_rules! shelf {
    ($t:ty, $s:ident, $arg:ty, $ret:ty, $session:ty, $route:literal) => {
        #[handler(codec(Json, Protobuf))]
        impl<$s: Store> $t {
            /// Fetches.
            ///
            /// # Errors
            /// Never.
            #[route($route)]
            pub fn fetch(&self, session: $session, key: $arg) -> $ret {
                if session.id() > 0 { Ok(self.0.get(&key)) } else { Err(Error::new("SHELF-1", "nobody")) }
            }
        }
    };
}
shelf!(Shelf<S>, S, Join, Result<S::Item>, &Session, "get");

/// A component of a binary: nothing in it is `pub`.
#[expect(clippy::redundant_pub_crate, reason = "it wants what `unreachable_pub` forbids")]
mod private {
    use pitaya_runtime::prelude::{Protobuf, handler};

    /// Inside.
    #[derive(Debug)]
    pub(super) struct Inside(pub(super) u8);

    #[handler(codec = Protobuf)]
    impl Inside {
        /// Touches.
        pub(crate) fn touch(&self) {
            debug_assert!(self.0 < 9);
        }
    }
}

#[remote]
impl Room {
    /// Who is here, as a message.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn members(&self, rpc: &Rpc, of: Join) -> Result<Join> {
        self.step(0);
        rpc.any::<(Protobuf,)>("room").send("room.members", &of).request().await
    }

    /// Counts.
    pub fn touch(&self, cx: &RemoteContext) {
        self.step(i64::from(cx.caller().is_some()));
    }

    /// Old.
    ///
    /// # Errors
    /// Never.
    #[deprecated = "ask `members`"]
    #[route("forget", notify)]
    pub fn forget_all(&self) -> Result<()> {
        self.step(0);
        Ok(())
    }

    /// Not here.
    #[cfg(any())]
    pub fn gone(&self, gone: NoSuchType) -> Result<NoSuchType> {}
}

/// What a shelf does for other servers.
#[remote(name = "shelf_of_any")]
pub trait ShelfApi {
    /// Fetches.
    async fn fetch_any(&self, key: Join) -> Result<Join>;
    /// Touches.
    fn touch(&self);
    /// Has an answer of its own.
    async fn greeting(&self) -> Result<Join> {
        Ok(Join { name: String::new() })
    }
}

/// Writes a server of the contract.
macro_rules! shelf_api {
    ($api:path, $t:ty, $s:ident) => {
        #[remote]
        impl<$s: Store> $api for $t {
            async fn fetch_any(&self, key: Join) -> Result<Join> {
                drop(self.0.get(&key));
                Ok(key)
            }
            fn touch(&self) {}
        }
    };
}
shelf_api!(ShelfApi, Shelf<S>, S);

/// Another server of it.
#[derive(Debug)]
pub struct Rack;

#[remote]
impl ShelfApi for Rack {
    async fn fetch_any(&self, key: Join) -> Result<Join> {
        Ok(key)
    }
    fn touch(&self) {}
}

/// Remotes of a binary, with types that nobody else sees, and a stub that nobody uses.
#[expect(clippy::redundant_pub_crate, reason = "it wants what `unreachable_pub` forbids")]
mod unused {
    use pitaya_runtime::prelude::{Error, Result, remote};

    /// Inside.
    #[derive(Debug)]
    struct Inside(u8);

    /// Inside.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    struct Hidden {}

    #[remote]
    impl Inside {
        /// Touches.
        pub(super) fn touch(&self, hidden: Hidden) -> Result<Hidden> {
            if self.0 < 9 { Ok(hidden) } else { Err(Error::new("IN-1", "no")) }
        }
    }

    /// Keeps it alive.
    pub(super) const fn size() -> usize {
        size_of::<Inside>()
    }
}

/// Why a room refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Fault)]
pub enum Refused {
    /// Too many.
    #[fault(code = "ROOM-2", message = "at most {max}, not {wanted}")]
    Full {
        /// How many may be here.
        #[fault(metadata)]
        max: u32,
        /// How many asked.
        #[fault(metadata = "asked")]
        wanted: u32,
    },
    /// Old.
    #[deprecated = "say `Full`"]
    #[fault(code = "ROOM-3", message = "crowded")]
    Crowded,
    /// By its number.
    #[fault(code = "ROOM-4", message = "{0}")]
    Numbered(u8),
}

/// An error that is an old one.
#[derive(Debug, Fault)]
#[fault(code = "ROOM-5", message = "gone")]
#[deprecated = "say `Refused`"]
pub struct Gone;

/// Writes an error type.
macro_rules! refused {
    ($t:ident, $code:expr, $field:ident: $ty:ty) => {
        /// Written by a macro.
        #[derive(Debug, Fault)]
        #[fault(code = $code, message = "written")]
        pub struct $t {
            /// A field.
            #[fault(metadata)]
            pub $field: $ty,
        }
    };
}
refused!(Written, "ROOM-6", seats: u8);

/// Writes a block with more routes than one piece of a table takes.
macro_rules! long {
    ($($name:ident)*) => {
        /// A long component.
        #[derive(Debug)]
        pub struct Long(u8);

        #[handler]
        impl Long {
            $(/// Counts.
            #[must_use]
            pub fn $name(&self) -> u32 {
                u32::from(self.0)
            })*
        }
    };
}
long! {
    r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28
    r29 r30 r31 r32 r33 r34 r35 r36 r37 r38 r39 r40 r41 r42 r43 r44 r45 r46 r47 r48 r49 r50 r51 r52 r53 r54 r55
    r56 r57 r58 r59 r60 r61 r62 r63 r64 r65 r66 r67 r68 r69
}

#[test]
fn the_stubs_compile_without_a_warning() {
    use pitaya_runtime::Remotes;
    assert_eq!((Room::REMOTES.rows.len(), Rack::REMOTES.rows.len(), unused::size()), (3, 3, 1));
    let _ = (RoomClient::members, ShelfApiClient::fetch_any);
}

#[test]
fn it_compiles_without_a_warning() {
    use pitaya_runtime::Handlers;
    assert_eq!(Room::HANDLERS.rows.len(), 6);
    assert_eq!(Long::HANDLERS.rows.len(), 70);
    assert_eq!(Error::from(Refused::Full { max: 1, wanted: 2 }).code(), "ROOM-2");
    assert_eq!(Error::from(Written { seats: 1 }).code(), "ROOM-6");
    assert_eq!(private::Inside::HANDLERS.service.codecs.len(), 1);
    private::Inside(1).touch();
}
