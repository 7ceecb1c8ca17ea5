//! Why something has no answer, and what its sender is told.

use pitaya_core::cluster::lane::Number;
use pitaya_core::{Error, codes, duration};
use std::time::Duration;

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer in time: it may have run.
    Timeout,
    /// The connection or the server was lost after sending: it may have run.
    Gone,
    /// Nobody took it.
    Nobody,
    /// It was not sent.
    Unsent,
}

/// A message without an answer: which, why, and how long it was waited for.
pub(super) type Lost = (Number, Failure, Duration);

impl Failure {
    /// The error of a forwarded message.
    pub(super) fn error(self, timeout: Duration) -> Error {
        match self {
            Self::Timeout => {
                Error::new(codes::TIMEOUT, "rpc client: request timeout").with("timeout", duration::format(timeout))
            }
            Self::Gone => Error::new(codes::TIMEOUT, "the connection to the server was lost: it may have run"),
            Self::Nobody => Error::new(codes::UNAVAILABLE, "the server is not there: nothing was run"),
            Self::Unsent => unsent(),
        }
    }
}

/// What is said to whoever wants to send without a connection.
pub(super) fn unsent() -> Error {
    Error::new(codes::UNAVAILABLE, "no connection to the broker: nothing was sent")
}

/// Why something was not taken to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no connection.
    Closed,
    /// The buffer is full.
    Full,
    /// It is larger than the broker takes: its size, and the most there can be.
    Oversize(usize, usize),
}

impl Refusal {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Closed => unsent(),
            Self::Full => Error::new(
                codes::UNAVAILABLE,
                "too much waits to be sent to other servers (pitaya.cluster.rpc.client.nats.buffer)",
            ),
            Self::Oversize(size, most) => oversize("the message", size, most),
        }
    }
}

/// Something is larger than the broker takes.
pub(super) fn oversize(what: &str, size: usize, most: usize) -> Error {
    Error::bad_request(format!("{what} has {size} bytes with its envelope, and the broker takes {most} (max_payload)"))
}
