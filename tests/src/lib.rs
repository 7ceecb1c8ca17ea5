//! What the end-to-end tests share: servers in processes of their own, and clients that speak the wire byte by byte.
//!
//! Nothing here knows what a server should answer. Everything waits with a deadline and fails with what it had waited for;
//! panics are the way to fail, as in any test.

pub mod binary;
pub mod bus;
pub mod capture;
pub mod certificates;
pub mod client;
pub mod compare;
pub mod contract;
pub mod etcd;
pub mod nats;
pub mod process;
pub mod procfs;
pub mod vectors;
pub mod websocket;

use std::time::Duration;

/// How long something that must come is waited for. Reached in a failing test only.
pub const PATIENCE: Duration = Duration::from_secs(10);
