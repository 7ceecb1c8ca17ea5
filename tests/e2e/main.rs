//! The promises, kept on real sockets: an app in this process, clients over loopback.

mod isolation;
mod order;
mod slow;
mod support;
