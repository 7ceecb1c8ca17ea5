//! What an orchestrator sees of a server: over real sockets, from its start to its end.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod brokers;
mod life;
mod port;
mod pre_stop;
mod process;
mod support;
