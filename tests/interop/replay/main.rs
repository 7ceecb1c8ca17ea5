//! Clusters that are half a recording: our servers, and Go Pitaya's played from what real ones said to each other, over a
//! real broker and a real etcd.
//!
//! * `back`: ours is asked what Go's backend was asked, and must answer and publish alike.
//! * `front`: clients say what they said to Go's frontend; ours must forward and publish alike, and tell the clients alike.
//! * `plain`: what holds towards a server without our lane.
//! * `malformed`: what no server sends.
//! * `start`: how a server starts and ends.

mod back;
mod bus;
mod front;
mod malformed;
mod plain;
mod request;
mod script;
mod start;
mod world;
