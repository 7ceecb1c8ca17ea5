//! What is seen from outside of a single message: its trace, on all servers it comes by, and its lines in the log.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod example;
mod game;
mod go;
mod logs;
mod sink;
mod traces;
mod within;
#[path = "../cluster/world.rs"]
mod world;
