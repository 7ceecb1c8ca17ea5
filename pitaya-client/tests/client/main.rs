//! The client against scripted servers that speak the wire with `pitaya_core::wire`.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod closing;
mod handshake;
mod heartbeat;
mod peer;
mod pushes;
mod reconnect;
mod requests;
mod rigged;
mod transports;
