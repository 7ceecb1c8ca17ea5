//! The promises, kept on real sockets: an app in this process, clients over loopback.

// `pub` in a component says "a route".
#![allow(unreachable_pub, clippy::needless_pass_by_value)]

mod isolation;
mod order;
mod slow;
mod support;
