//! What faces the Internet: certificates, clients of the wrong protocol, and floods of connections that never say who they
//! are.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod certificates;
mod clients;
mod example;
mod flood;
mod honest;
mod memory;
mod phases;
mod protocols;
mod reload;
mod starved;
mod support;
mod tools;
