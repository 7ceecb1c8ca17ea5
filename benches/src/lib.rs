//! The parts of the benchmark harness: a load generator, bare servers to compare with, and the rules by which a ratio
//! is printed or refused. `benches/run` is the one command; `benches/README.md` says how to read what it prints.
//!
//! Nothing here depends on the crates it measures: a codec that both sides share could be wrong, or slow, on both sides
//! and nobody would see it. The exceptions are the programs `dispatch`, whose question is what the project adds to a call, and
//! `bus`, which is measured itself.

pub mod args;
pub mod bare;
pub mod body;
pub mod cluster;
pub mod counts;
pub mod crowd;
pub mod forward;
pub mod generator;
pub mod histogram;
pub mod judge;
pub mod mux;
pub mod player;
pub mod procfs;
pub mod report;
pub mod server;
pub mod session;
pub mod suite;
pub mod tally;
pub mod transport;
pub mod variant;
pub mod websocket;
pub mod wire;
