//! Every form of signature that `#[handler]` accepts, called through the real registry.

#![allow(unreachable_pub, reason = "`pub` is what makes a method a route")]

mod hooks;
mod link;
mod options;
mod signatures;
