//! `#[remote]`, from the stub through the cluster of this process and the table to the answer.

#![allow(unreachable_pub, reason = "`pub` is what makes a method a remote")]
#![allow(clippy::needless_pass_by_value, reason = "a payload is owned, whatever the method does with it")]

mod calls;
mod contract;
mod pipeline;
mod support;
mod tables;
