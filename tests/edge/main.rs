//! What faces the Internet: certificates and whoever is asked for one, clients of the wrong protocol, everybody's tools.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod certificates;
mod clients;
mod example;
mod names;
mod protocols;
mod reload;
mod secrets;
mod support;
mod tools;
