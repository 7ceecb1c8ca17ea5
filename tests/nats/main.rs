//! The transport over NATS, against a real broker.

mod bus;
mod calls;
mod lane;
mod outages;
mod plain;
mod signed;
mod support;
mod throughput;
mod users;

/// Whether the long form of a proof was asked for: `./tests/run --long`.
fn long() -> bool {
    std::env::var_os("TESTS_LONG").is_some()
}
