//! Who comes in, by which address, and how often it may speak: on real sockets, over TCP, TLS and WebSocket.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod addresses;
mod examples;
mod forwarded;
mod gates;
mod proxy;
mod rates;
mod refusals;
mod sockets;
mod support;
