//! Every form of signature that `#[handler]` accepts, called through the real registry.

#![allow(unreachable_pub, reason = "`pub` is what makes a method a route")]
#![allow(clippy::needless_pass_by_value, reason = "a payload is owned, whatever the method does with it")]

mod conditions;
mod errors;
mod hooks;
mod link;
mod options;
mod signatures;
