//! The transport over NATS, against a real broker.

mod bus;
mod calls;
mod lane;
mod outages;
mod plain;
mod support;
mod throughput;
mod users;
