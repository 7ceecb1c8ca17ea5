//! What bytes, routes and components *mean* in Pitaya.
//!
//! This crate holds no socket, no broker and reads no clock: it is the part of the framework that can be tested with
//! bytes in and bytes out. Applications depend on `pitaya-runtime`, which re-exports what they need from here.
//!
//! The path of a message through the modules:
//!
//! ```text
//! bytes ─▶ wire::packet ─▶ session::state ─▶ wire::message ─▶ registry ─▶ handler (rows made by #[handler])
//!                                                                            │  codec: body ─▶ payload
//!                                                                            │  pipeline: stages around the method
//!                                                                            ▼  context: what a method may borrow
//! bytes ◀─ wire::packet ◀─ wire::message ◀─────────────────────── codec: answer ─▶ body
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod answer;
pub mod cluster;
pub mod codec;
pub mod context;
pub mod describe;
pub mod duration;
pub mod error;
pub mod handler;
pub mod json;
pub mod lifecycle;
#[doc(hidden)]
pub mod maps;
pub mod pipeline;
pub mod registry;
pub mod remote;
pub mod route;
pub mod rpc;
mod same;
pub mod schema;
pub mod session;
pub mod text;
pub mod turn;
pub mod wire;

pub use codec::{Codec, Decode, Encode, GoJson, Json, Protobuf, Raw, SerdeCodec, StrictJson};
pub use context::{AppEvent, Context, FromContext, SessionEvent, State};
pub use error::{Error, Fault, Result, codes};
pub use handler::{Handlers, Route, Service, declared};
pub use remote::{RemoteContext, Remotes, Rpc};
#[doc(hidden)]
pub use same::same;
pub use session::{CloseReason, KickReason, Session};

/// A boxed future that may borrow: what object-safe traits of this crate return.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// What generated code names. Not for use by hand: it changes with the macros.
#[doc(hidden)]
pub mod __private {
    pub use crate::codec::{Codec, Codecs, Known, Nullable, Payload, Reads, Reply, Stub, Unknown, Whole, Writes};
    pub use crate::context::{Context, FromContext};
    pub use crate::error::{Converts, Error, Fault, FaultRow, MetadataValue, NotStd, Probe, Result, Text, metadata};
    pub use crate::handler::{Call, Declared, Handlers, Kind, Plain, Returned, Route, Row, Service, Side, Table};
    pub use crate::handler::{check, joined};
    pub use crate::lifecycle::{boxed, on};
    pub use crate::remote::{Answered, Callee, RemoteContext, Remotes, Rpc};
    pub use crate::{__answer as answer, __needs_schema as needs_schema, __send as send, schema};
    pub use inventory::submit;
    pub use std::borrow::Cow;
    pub use std::collections::BTreeMap;
    pub use std::format;
    pub use std::future::Future;
    pub use std::marker::{Send, Sized, Sync};
    pub use std::string::String;
    pub use std::time::Duration;
    pub type Name = std::sync::Arc<str>;
}

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
