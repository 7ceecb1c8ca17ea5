//! What those who run a server ask it, over HTTP on a port of its own: its metrics, its health.
//!
//! As little of HTTP/1.1 as such questions need, on what is here for the WebSocket upgrade anyway: one question a
//! connection, then it is closed. [`Table`] says what is answered, [`Listener`] asks the table; `request` is how a
//! question looks, `answer` what goes back.

mod answer;
mod listener;
mod request;
mod table;
mod visitors;

pub(crate) use answer::Answer;
pub(crate) use listener::Listener;
pub(crate) use table::Table;
