//! Clustered game servers in Rust, on the wire of Pitaya: the one crate an application depends on.
//!
//! A component is a type with an annotated `impl` block. The compiler checks every route; the framework brings the
//! connections, sessions, groups and timers around it:
//!
//! ```no_run
//! use pitaya_runtime::prelude::*;
//!
//! #[derive(serde::Deserialize)]
//! struct Say {
//!     text: String,
//! }
//!
//! struct Room;
//!
//! #[handler]
//! impl Room {
//!     /// Answers in capitals: the route `chat.room.shout`.
//!     pub async fn shout(&self, say: Say) -> String {
//!         say.text.to_uppercase()
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let app = Builder::new("chat").acceptor(WebSocket::bind("0.0.0.0:3250")).handlers(Room).build()?;
//!     Ok(app.run().await?)
//! }
//! ```
//!
//! The path of a message through the modules: [`accept`] (a socket, then a stream) → `connection` (packets, turns,
//! order) → `pitaya_core::registry` (the row of the route) → the method → `outbox` and back.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod accept;
mod admin;
mod agent;
mod app;
mod bucket;
mod budget;
mod builder;
mod call;
pub mod cluster;
pub mod config;
mod connection;
mod counters;
mod dictionary;
pub mod docs;
mod files;
pub mod groups;
mod handshake;
pub mod health;
mod http_head;
mod lent;
mod limits;
mod logins;
#[cfg(feature = "logs")]
pub mod logs;
mod memory;
pub mod metrics;
mod modules;
mod outbox;
mod push;
mod quota;
mod readable;
mod reserve;
mod runtime;
mod server;
mod sessions;
mod settings;
pub mod shutdown;
pub mod timers;
#[cfg(feature = "otel")]
pub mod trace;
#[cfg(not(feature = "otel"))]
mod trace;
mod users;
#[cfg(feature = "validation")]
pub mod validation;

pub use app::{App, StartError};
pub use builder::{BuildError, Builder, Problem};
pub use counters::Counts;
pub use groups::Groups;
pub use handshake::{Refusal, Validator};
pub use health::Health;
pub use metrics::Metrics;
pub use modules::Module;
pub use pitaya_core::*;
pub use pitaya_macros::{Fault, handler, remote};
pub use push::PushError;
pub use runtime::runtime;
pub use sessions::Sessions;
pub use users::Users;

/// What most applications import.
pub mod prelude {
    pub use crate::accept::{Acceptor, Page, RateLimit, Tcp, WebSocket};
    pub use crate::cluster::{GroupError, LocalCluster};
    pub use crate::config::{Config, Rate};
    pub use crate::groups::Groups;
    pub use crate::metrics::Metrics;
    pub use crate::timers::Timers;
    pub use crate::{
        App, AppEvent, BuildError, Builder, CloseReason, Context, Error, Fault, FromContext, GoJson, Json, KickReason,
        Module, Protobuf, Raw, RemoteContext, Result, Rpc, Session, SessionEvent, StrictJson, handler, remote,
    };
}

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
