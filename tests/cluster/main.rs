//! Several servers that are one game: the same proofs through every way that servers reach each other.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod budgets;
mod clocks;
mod deployed;
mod edges;
mod faults;
mod forward;
mod game;
mod ghosts;
mod kicks;
mod listening;
mod load;
mod logins;
mod lone;
mod membership;
mod order;
mod permissions;
mod restart;
mod rpc;
mod secrets;
mod secured;
mod signed;
mod stop;
mod timeouts;
mod users;
mod world;
