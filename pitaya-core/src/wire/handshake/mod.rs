//! The handshake: a client introduces itself, the server states its terms or refuses, both in JSON.
//!
//! ```text
//! client                                                          server
//!   │  {"sys":{"platform":"mac",…},"user":{"age":30}}               │
//!   ├──────────────────────────────────────────────────────────────▶│  HandshakeData::parse
//!   │  {"code":200,"sys":{"dict":{},"heartbeat":30,"serializer":…}} │
//!   │◀──────────────────────────────────────────────────────────────┤  HandshakeReply::ok, or refused
//!   │  ack                          HandshakeResponse::parse        │
//!   ├──────────────────────────────────────────────────────────────▶│
//! ```

mod data;
mod reply;
mod response;

pub use self::{
    data::{HandshakeData, HandshakeLimits, HandshakeSys},
    reply::HandshakeReply,
    response::{HandshakeRefusal, HandshakeResponse},
};
use super::compress::InflateError;

/// The code of a reply that accepts.
pub const OK: i64 = 200;

/// The code of a reply that refuses.
pub const REFUSED: i64 = 400;

/// Why a handshake cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The body is longer than allowed.
    #[error("a handshake of {length} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Bytes received.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The JSON holds more values than allowed, nested ones counted.
    #[error("a handshake of {count} JSON values exceeds the limit of {limit}")]
    TooManyValues {
        /// Values received.
        count: usize,
        /// Values allowed.
        limit: usize,
    },
    /// The body is not exactly one JSON value.
    #[error("the handshake is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A value has the wrong JSON type.
    #[error("the handshake's {field} must be {wanted}")]
    Type {
        /// The key, with its path.
        field: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A reply looks compressed but cannot be opened.
    #[error("the handshake reply cannot be opened: {0}")]
    Inflate(#[from] InflateError),
}
