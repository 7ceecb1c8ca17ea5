//! An async client for Pitaya and Pomelo frontends, over TCP, TLS and WebSocket.
//!
//! ```no_run
//! use pitaya_client::Client;
//! use serde_json::{Value, json};
//!
//! # async fn play() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("tcp://127.0.0.1:3250").await?;
//! let mut messages = client.on("onMessage");
//! let joined: Value = client.request_json("room.join", &json!({"name": "ada"})).await?;
//! client.notify_json("room.message", &json!({"content": "hello"})).await?;
//! if let Some(push) = messages.recv().await {
//!     println!("{joined}, then {}: {}", push.route, push.json::<Value>()?);
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] is a cheap handle: clone it, use it from many tasks, have any number of requests in flight. One task owns
//! the socket; it ends when the last handle is dropped, on [`Client::close`], or when the server is done.
//!
//! ```text
//! Client ── encodes ──▶ queue (256 packets) ──▶ connection ──▶ one write for all that is there
//!    ▲                                             │
//!    └── answer, by id ── requests in flight ◀─────┤◀── one read, all packets in it
//!    PushStream ◀── bounded queue, by route ◀──────┘
//! ```
//!
//! A connection that is lost stays lost, unless the option [`Reconnect`] is set: then the client connects again, logs in
//! again, and says of each request whether it may have run.
//!
//! The client follows the server's handshake by itself: the serializer decides how error answers are read, the
//! dictionary turns routes into codes and back, the heartbeat is sent and expected. Compressed bodies are opened
//! whatever the options say.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod client;
mod close;
mod connect;
mod connection;
mod error;
mod fault;
mod heartbeat;
mod link;
mod opening;
mod options;
mod pending;
mod push;
mod reconnect;
mod route;
mod state;
mod supervisor;
mod tls;
mod transport;

pub use self::{
    client::{Client, Counters},
    close::{CloseReason, ProtocolError},
    error::{BoxError, ConnectError, RequestError},
    options::ConnectOptions,
    push::{Push, PushStream},
    reconnect::Reconnect,
    state::{ConnectionState, StateChanges},
    tls::TlsSetupError,
};
pub use pitaya_core::{
    Error,
    wire::{Dictionary, HandshakeResponse, handshake::HandshakeRefusal},
};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
