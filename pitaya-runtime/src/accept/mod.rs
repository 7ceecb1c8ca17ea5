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
mod tcp;
mod tls;
mod websocket;

pub use framing::{Framing, Plain};
pub use gate::{Gate, Gated, Verdict, Wrapped, Wrapper};
pub use rate_limit::{RateLimit, Window};
pub use tcp::{Tcp, TcpAddress};
pub use tls::Tls;
pub use websocket::{Page, WebSocket, WebSocketFraming};

pub(crate) use admission::{Admission, Admitted};
pub(crate) use listen::{Bound, Listen, erase};
pub(crate) use rate_limit::too_many;

use crate::config::Config;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

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
    /// A text that names the file and the cause.
    fn prepare(&mut self, config: &Config) -> Result<(), String> {
        let _ = config;
        Ok(())
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
}
