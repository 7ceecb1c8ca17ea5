//! Floods of connections that never say who they are, and of clients that log in and then hold memory: when they end, what
//! others feel of them, what they cost.
//!
//! Apart from the tests of `edge`, and one after the other: what is measured here is not to be each other's noise.

// Tests need no manual.
#![allow(unreachable_pub, missing_docs)]

mod budget;
mod drips;
mod flood;
mod honest;
mod memory;
mod phases;
mod starved;
mod waiting;

use parking_lot::{Mutex, MutexGuard};

/// Held by the test that measures.
static MEASURING: Mutex<()> = Mutex::new(());

/// Waits until no other test measures.
fn alone() -> MutexGuard<'static, ()> {
    MEASURING.lock()
}

/// Whether the long form of a proof was asked for: `./tests/run --long`.
fn long() -> bool {
    std::env::var_os("TESTS_LONG").is_some()
}
