//! Errors of connecting, and of requests.

use std::fmt;
use std::io;
use std::time::Duration;

use pitaya_core::Error;
use pitaya_core::wire::{HandshakeError, handshake::HandshakeRefusal};

use crate::close::CloseReason;

/// An error of a library below this one, to be shown or examined through its sources.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no client.
#[derive(thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be understood.
    #[error("{address:?} is no address of a server: {reason}")]
    Address {
        /// The address as it was given, less a user, a password and a query, which may be secrets.
        address: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// No TCP connection: the name is unknown, or no server listens there.
    #[error("cannot connect: {0}")]
    Io(#[source] io::Error),
    /// TLS cannot be set up (a [`TlsSetupError`](crate::TlsSetupError)), or the server's certificate is not trusted.
    #[error("TLS: {0}")]
    Tls(#[source] BoxError),
    /// The server refuses to speak WebSocket.
    #[error("WebSocket: {0}")]
    WebSocket(#[source] BoxError),
    /// Not everything was done within the [connect timeout](crate::ConnectOptions::connect_timeout).
    #[error("not connected within {0:?}")]
    Timeout(Duration),
    /// The handshake to be sent fits in no packet.
    #[error("the handshake cannot be sent: {0}")]
    Encode(#[source] BoxError),
    /// The server answered, but not with a handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The server does not want this client.
    #[error("the server refused the handshake with code {code}{}", text(reason.as_ref()))]
    Refused {
        /// 400 from Pitaya; pomelo also knows 500 and 501.
        code: i64,
        /// Why, if the server says so. Go Pitaya never does.
        reason: Option<HandshakeRefusal>,
    },
    /// The connection ended before the handshake was done.
    #[error("{0}, before the handshake was done")]
    Closed(#[from] CloseReason),
    /// The [login](crate::Reconnect::login) behind the handshake failed.
    #[error("the login failed: {0}")]
    Login(#[source] BoxError),
    /// The [login](crate::Reconnect::login) panicked, with this text. It is not run again.
    #[error("the login panicked: {0}")]
    LoginPanicked(String),
    /// [`ConnectOptions::over`](crate::ConnectOptions::over) with the option to reconnect.
    #[error("a stream that was opened elsewhere cannot be dialled again: leave out the option `reconnect`")]
    NotDialled,
}

fn text(reason: Option<&HandshakeRefusal>) -> String {
    match reason {
        Some(HandshakeRefusal { code, msg }) if code.is_empty() => format!(": {msg}"),
        Some(HandshakeRefusal { code, msg }) => format!(" ({code}: {msg})"),
        None => String::new(),
    }
}

/// Why a request has no answer, or a notify was not sent.
#[derive(thiserror::Error)]
pub enum RequestError {
    /// The server answered with an error. See [`Error::code`].
    #[error("{0}")]
    Server(Error),
    /// No answer in time: the request may have run, and may still run. The answer is dropped when it comes.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection is gone for good: the request may have run.
    #[error("{0}")]
    Closed(#[from] CloseReason),
    /// The connection was lost while the request was in flight: it may have run. The connection is being restored; the
    /// request is not sent again.
    #[error("{0}: the request may have run")]
    Lost(#[source] CloseReason),
    /// The connection was lost before, and is being restored: the request was not sent. See
    /// [`Client::connected`](crate::Client::connected).
    #[error("{0}; it is being restored, and the request was not sent")]
    NotConnected(#[source] CloseReason),
    /// The request cannot be sent: its payload cannot be written, or its route or body is too long for the wire.
    #[error("the request cannot be sent: {0}")]
    Encode(#[source] BoxError),
    /// The answer is not what the caller expected.
    #[error("the answer cannot be read: {0}")]
    Decode(#[source] BoxError),
}

impl RequestError {
    /// The code of the server's error, such as `PIT-404`, if that is what this is.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(error.code()),
            _ => None,
        }
    }
}

/// As `Display`: `main` prints an error with this, and people read it.
impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As `Display`: `main` prints an error with this, and people read it.
impl fmt::Debug for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
