//! Several servers that are one game: the same proofs through every way that servers reach each other.

#![allow(unreachable_pub)]

mod forward;
mod game;
mod order;
mod rpc;
mod users;
mod world;
