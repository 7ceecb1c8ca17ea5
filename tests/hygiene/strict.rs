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

#[test]
fn it_compiles_without_a_warning() {
    use pitaya_runtime::Handlers;
    assert_eq!(Room::HANDLERS.rows.len(), 6);
    assert_eq!(private::Inside::HANDLERS.service.codecs.len(), 1);
    private::Inside(1).touch();
}
