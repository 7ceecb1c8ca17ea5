//! The promises, kept on real sockets: an app in this process, clients over loopback.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod backlog;
mod building;
mod closing;
mod codecs;
mod compression;
mod dictionary;
mod docs;
mod drain;
mod exits;
mod fairness;
mod groups;
mod handshake;
mod isolation;
mod json;
mod limits;
mod log;
mod modules;
mod order;
mod pipeline;
mod pushes;
mod raw;
mod routes;
mod secure;
mod sessions;
mod shutdown;
mod slow;
mod starting;
mod support;
mod validation;
