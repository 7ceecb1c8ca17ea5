//! Numbers as those see them who run servers: Prometheus, StatsD, Grafana, and recorders of one's own.

// `pub` in a component says "a route", and its owned argument is the payload. Tests need no manual.
#![allow(unreachable_pub, missing_docs, clippy::needless_pass_by_value)]

mod apart;
mod bounded;
mod custom;
mod dashboard;
mod documented;
mod game;
mod labels;
mod prometheus;
mod servers;
mod statsd;
mod text;
mod times;
