//! How a connection ended.

use std::io;
use std::sync::Arc;

use pitaya_core::KickReason;
use pitaya_core::wire::{InflateError, MessageError, MessageKind, PacketError, PacketKind};
use serde_json::Value;

use crate::error::{ConnectError, RequestError};

/// Why a connection ended. Every request in flight fails with it, and [`Client::closed`](crate::Client::closed) tells it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CloseReason {
    /// The server sent a kick: it does not want this client back now. Whatever came behind the kick was not read.
    #[error("the server kicked this client{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Kicked {
        /// The body of the kick: `None` when empty, as Go sends it; a JSON text when it is no JSON. See
        /// [`kick_reason`](CloseReason::kick_reason) for its parts.
        reason: Option<Value>,
    },
    /// The server ended the stream without a kick.
    #[error("the server closed the connection")]
    ServerClosed,
    /// Nothing at all came from the server for two of its heartbeat intervals and a second.
    #[error("nothing came from the server for two heartbeat intervals")]
    HeartbeatTimeout,
    /// The server sent what the protocol does not allow.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[source] Arc<io::Error>),
    /// The connection was lost, and the last attempt to restore it failed: there is no attempt or no time left, or the
    /// server refused this client. See [`Reconnect`](crate::Reconnect).
    #[error("{lost}; attempt {attempts} to connect again failed, and is the last: {error}")]
    NotRestored {
        /// How the connection was lost.
        lost: Box<Self>,
        /// Number of attempts since.
        attempts: u32,
        /// How the last of them failed.
        #[source]
        error: Arc<ConnectError>,
    },
    /// This side ended it: [`Client::close`](crate::Client::close), the last handle was dropped, or the async runtime
    /// shut down.
    #[error("the connection was closed by this side")]
    Local,
}

/// A breach of the protocol by the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The bytes are no packet, or one beyond [`max_packet`](crate::ConnectOptions::max_packet).
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// A data packet holds no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A compressed body cannot be opened, or is longer than [`max_packet`](crate::ConnectOptions::max_packet).
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// A packet that may not come now, such as a second handshake.
    #[error("a {0:?} packet may not come here")]
    UnexpectedPacket(PacketKind),
    /// A message only clients send.
    #[error("a {0:?} does not come from a server")]
    UnexpectedMessage(MessageKind),
    /// A push with a code that the announced dictionary does not have.
    #[error("the dictionary has no route with code {0}")]
    UnknownCode(u16),
    /// A push whose route is no UTF-8.
    #[error("the route of a push is no UTF-8")]
    RouteNotText,
    /// A WebSocket message that stops inside a packet. One message holds one or several whole packets.
    #[error("a WebSocket message ends inside a packet")]
    SplitPacket,
    /// WebSocket itself was not spoken properly.
    #[error("WebSocket: {0}")]
    WebSocket(String),
}

impl CloseReason {
    /// Reason of a kick: code, message and data. `None` when it is no kick, or one without a reason of this form.
    #[must_use]
    pub fn kick_reason(&self) -> Option<KickReason> {
        match self {
            Self::Kicked { reason } => KickReason::from_json(reason.as_ref()?),
            _ => None,
        }
    }

    /// Reads the body of a kick.
    pub(crate) fn kicked(body: &[u8]) -> Self {
        let text = || Value::from(String::from_utf8_lossy(body));
        let reason = (!body.is_empty()).then(|| pitaya_core::json::read(body).unwrap_or_else(|_| text()));
        Self::Kicked { reason }
    }
}

impl CloseReason {
    /// The end of a client whose last attempt to connect again failed so. A kick and the end by this side are what they
    /// are, whenever they come.
    pub(crate) fn not_restored(lost: &Self, attempts: u32, error: ConnectError) -> Self {
        let reason = match &error {
            ConnectError::Closed(reason) => Some(reason),
            ConnectError::Login(error) => match error.downcast_ref() {
                Some(RequestError::Closed(reason)) => Some(reason),
                _ => None,
            },
            _ => None,
        };
        match reason {
            Some(reason @ (Self::Kicked { .. } | Self::Local)) => reason.clone(),
            _ => Self::NotRestored { lost: Box::new(lost.clone()), attempts, error: Arc::new(error) },
        }
    }
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // How rustls reports a server that closes TCP without closing TLS first.
            io::ErrorKind::UnexpectedEof => Self::ServerClosed,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl From<tokio_websockets::Error> for CloseReason {
    fn from(error: tokio_websockets::Error) -> Self {
        match error {
            tokio_websockets::Error::Io(error) => error.into(),
            tokio_websockets::Error::AlreadyClosed => Self::ServerClosed,
            other => Self::Protocol(ProtocolError::WebSocket(other.to_string())),
        }
    }
}
