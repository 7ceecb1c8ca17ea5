//! Why a session ended.

use super::KickReason;
use std::fmt;

/// Why a session was closed: in callbacks, in the log, and as a counter's label.
///
/// The set is fixed, so that what clients send never becomes a label; details are for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed the connection.
    Client,
    /// The connection broke.
    Connection(String),
    /// The app closed the session.
    Server,
    /// The app kicked it, for a reason or without.
    Kicked(Option<KickReason>),
    /// Another session was bound to its uid.
    Replaced,
    /// Nothing was read from it for more than two heartbeat intervals.
    Heartbeat,
    /// It did not get through the handshake in time.
    HandshakeTimeout,
    /// Its handshake was refused.
    HandshakeRefused(String),
    /// It does not read what it is sent: too many bytes waited, or none could be written for too long.
    SlowConsumer,
    /// It sent what is not a packet or not a message.
    Malformed(String),
    /// It sent a packet that its state does not allow.
    Violation(String),
    /// The server stops.
    Shutdown,
    /// A packet that it had begun did not come whole in time.
    PacketTimeout,
    /// The process held too many bytes for its clients, and this one's were among the most and the oldest.
    OverBudget,
}

impl CloseReason {
    /// Every label, in a fixed order: [`index`](Self::index) counts along it.
    pub const LABELS: [&'static str; 14] = [
        "client",
        "connection",
        "server",
        "kicked",
        "replaced",
        "heartbeat",
        "handshake_timeout",
        "handshake_refused",
        "slow_consumer",
        "malformed",
        "violation",
        "shutdown",
        "packet_timeout",
        "over_budget",
    ];

    /// Its place in [`LABELS`](Self::LABELS).
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::Client => 0,
            Self::Connection(_) => 1,
            Self::Server => 2,
            Self::Kicked(_) => 3,
            Self::Replaced => 4,
            Self::Heartbeat => 5,
            Self::HandshakeTimeout => 6,
            Self::HandshakeRefused(_) => 7,
            Self::SlowConsumer => 8,
            Self::Malformed(_) => 9,
            Self::Violation(_) => 10,
            Self::Shutdown => 11,
            Self::PacketTimeout => 12,
            Self::OverBudget => 13,
        }
    }

    /// One word for a metric.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        Self::LABELS[self.index()]
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())?;
        match self {
            Self::Connection(detail)
            | Self::HandshakeRefused(detail)
            | Self::Malformed(detail)
            | Self::Violation(detail) => {
                write!(f, ": {}", detail.escape_debug())
            }
            Self::Kicked(Some(reason)) => write!(f, ": {reason}"),
            _ => Ok(()),
        }
    }
}
