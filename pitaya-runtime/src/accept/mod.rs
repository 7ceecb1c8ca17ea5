//! Who may come in, and how their bytes do.
//!
//! An [`Acceptor`] binds a socket, accepts raw connections in one loop, and turns each into a stream in the
//! connection's own task: a slow PROXY header, TLS or WebSocket handshake holds up nobody. [`Tcp`], [`Tls`] and [`WebSocket`] are the
//! ones there are; they stack, and applications add their own:
//!
//! ```
//! use pitaya_runtime::accept::{Tcp, WebSocket};
//!
//! let plain = Tcp::bind("0.0.0.0:3251");
//! let secure = Tcp::bind("0.0.0.0:3252").tls("server.crt", "server.key");
//! let browsers = WebSocket::bind("0.0.0.0:3250");
//! let secure_browsers = WebSocket::over(Tcp::bind("0.0.0.0:3253").tls("server.crt", "server.key"));
//! # let _ = (plain, secure, browsers, secure_browsers);
//! ```

mod admission;
mod forwarded;
mod framing;
mod gate;
mod listen;
mod proxy;
mod rate_limit;
mod refused;
mod reload;
mod spare;
mod tcp;
mod tls;
mod websocket;

pub use framing::{Framing, Plain, Unfinished};
pub use gate::{Gate, Gated, Verdict, Wrapped, Wrapper};
pub use rate_limit::{RateLimit, Window};
pub use reload::{Reload, ReloadError};
pub use tcp::{Tcp, TcpAddress};
pub use tls::{FirstByte, Tls, TlsError};
pub use websocket::{Page, WebSocket, WebSocketFraming};

pub(crate) use admission::{Admission, Admitted};
pub(crate) use listen::{Bound, Listen, erase};
pub(crate) use rate_limit::too_many;
pub(crate) use refused::{Refused, RefusedError};
pub(crate) use reload::Reloads;

use crate::config::Config;
use pitaya_core::session::ClientCertificate;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// An error of an acceptor, to be shown or examined: [`TlsError`] is one.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A way for clients to come in.
pub trait Acceptor: Send + Sync + 'static {
    /// The bound socket.
    type Listener: Send + 'static;
    /// A connection as the socket gives it.
    type Raw: Send + 'static;
    /// A connection that packets can be read from.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// How packets lie in the stream.
    type Framing: Framing;

    /// The protocol for logs and errors: `tcp`, `tls`, `ws`, `wss`.
    fn protocol(&self) -> &'static str;

    /// The address as it was configured, for logs and errors.
    fn configured(&self) -> String;

    /// Takes what it needs from the app's config, and checks and loads the rest, files above all. Called once, when the
    /// app is built.
    ///
    /// # Errors
    /// With a text that names the file and the cause.
    fn prepare(&mut self, config: &Config) -> Result<(), BoxError> {
        let _ = config;
        Ok(())
    }

    /// The files it has loaded, if it is to notice when they change. Asked for once, after [`prepare`](Self::prepare); an
    /// acceptor over another one hands on what that has.
    fn files(&self) -> Option<Arc<dyn Reload>> {
        None
    }

    /// Takes the address, so that a busy one is known before anything else has been done. Nobody can connect yet.
    fn bind(&self) -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;

    /// Lets clients connect: the app is ready.
    ///
    /// # Errors
    /// When somebody else listens there by now.
    fn listen(&self, listener: &mut Self::Listener) -> io::Result<()> {
        let _ = listener;
        Ok(())
    }

    /// Waits for the next connection.
    fn accept(&self, listener: &mut Self::Listener)
    -> impl Future<Output = io::Result<(Self::Raw, SocketAddr)>> + Send;

    /// Learns who is at the other end, where something trusted says so before the client's first byte: the PROXY
    /// protocol. Limits count from here on by what it gives. Runs in the connection's task, inside the handshake deadline.
    ///
    /// # Errors
    /// When it is not said as it should be.
    fn identify(&self, raw: &mut Self::Raw, remote: SocketAddr) -> impl Future<Output = io::Result<SocketAddr>> + Send {
        let _ = raw;
        std::future::ready(Ok(remote))
    }

    /// Makes a stream of a raw connection. Runs in the connection's task, inside the handshake deadline. `None` when
    /// the connection was served without becoming one (a page, a health check).
    fn establish(
        &self,
        raw: Self::Raw,
        remote: SocketAddr,
    ) -> impl Future<Output = io::Result<Option<Established<Self::Stream, Self::Framing>>>> + Send;

    /// The same behind a gate for each connection: a [`RateLimit`], or one's own. The one that was added first is asked
    /// first.
    fn wrap<W: Wrapper>(self, wrapper: W) -> Wrapped<Self, W>
    where
        Self: Sized,
    {
        Wrapped::new(self, wrapper)
    }
}

/// What [`Acceptor::establish`] gives.
#[derive(Debug)]
pub struct Established<S, F> {
    /// The stream.
    pub stream: S,
    /// How packets lie in it.
    pub framing: F,
    /// Who is at the other end: the socket's address unless something trusted knows better.
    pub remote: SocketAddr,
    /// The certificate it showed, if it was asked for one: the session keeps it.
    pub certificate: Option<Box<ClientCertificate>>,
}

impl<S, F> Established<S, F> {
    /// A connection of somebody who showed no certificate.
    pub fn new(stream: S, framing: F, remote: SocketAddr) -> Self {
        Self { stream, framing, remote, certificate: None }
    }
}

/// The first byte of what a TLS client sends: a handshake record (RFC 8446, section 5.1).
pub(crate) const TLS_RECORD: u8 = 0x16;
