//! Who looks at packets before a session does: Go's acceptor wrappers.

use super::{Acceptor, BoxError, Established, Framing, Reload, Unfinished};
use crate::config::Config;
use pitaya_core::wire::Packet;
use pitaya_core::{CloseReason, Error};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Looks at each packet of one connection before the session does.
///
/// ```
/// use pitaya_runtime::accept::{Acceptor, Gate, Tcp, Verdict};
/// use pitaya_runtime::wire::Packet;
/// use std::net::SocketAddr;
/// use std::time::Instant;
///
/// /// So many bytes, and no more.
/// struct Ration(usize);
///
/// impl Gate for Ration {
///     fn packet(&mut self, packet: &Packet<'_>, _: Instant) -> Verdict {
///         match self.0.checked_sub(packet.body.len()) {
///             Some(left) => {
///                 self.0 = left;
///                 Verdict::Pass
///             }
///             None => Verdict::Drop,
///         }
///     }
/// }
///
/// let acceptor = Tcp::bind("127.0.0.1:0").wrap(|_: SocketAddr| Ration(1 << 20));
/// # let _ = acceptor;
/// ```
pub trait Gate: Send + Unpin + 'static {
    /// What is to become of a packet. It is asked once, in order, when the packet's turn comes; `now` is when those that
    /// were read together began to be worked on.
    fn packet(&mut self, packet: &Packet<'_>, now: Instant) -> Verdict;
}

/// What is to become of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The session gets it.
    Pass,
    /// Nobody does. It is counted, and a request stays without an answer.
    Drop,
    /// Nobody does. It is counted, and the client gets this error if it was a request.
    Answer(Error),
}

/// Makes a gate for each connection of an acceptor: any function from the client's address to a [`Gate`] does, and so does
/// [`RateLimit`](super::RateLimit).
pub trait Wrapper: Send + Sync + 'static {
    /// What looks at the packets of one connection.
    type Gate: Gate;

    /// Takes what it needs from the app's config. Called once, when the app is built.
    ///
    /// # Errors
    /// A text that says what is wrong.
    fn prepare(&mut self, config: &Config) -> Result<(), String> {
        let _ = config;
        Ok(())
    }

    /// The gate of a connection from this address.
    fn gate(&self, remote: SocketAddr) -> Self::Gate;
}

impl<F, G> Wrapper for F
where
    F: Fn(SocketAddr) -> G + Send + Sync + 'static,
    G: Gate,
{
    type Gate = G;

    fn gate(&self, remote: SocketAddr) -> G {
        self(remote)
    }
}

/// Another acceptor whose packets pass a gate. Made with [`Acceptor::wrap`].
#[derive(Debug, Clone)]
pub struct Wrapped<A, W> {
    inner: A,
    wrapper: W,
}

impl<A, W> Wrapped<A, W> {
    pub(super) fn new(inner: A, wrapper: W) -> Self {
        Self { inner, wrapper }
    }
}

impl<A: Acceptor, W: Wrapper> Acceptor for Wrapped<A, W> {
    type Listener = A::Listener;
    type Raw = A::Raw;
    type Stream = A::Stream;
    type Framing = Gated<A::Framing, W::Gate>;

    fn protocol(&self) -> &'static str {
        self.inner.protocol()
    }

    fn configured(&self) -> String {
        self.inner.configured()
    }

    fn prepare(&mut self, config: &Config) -> Result<(), BoxError> {
        self.inner.prepare(config)?;
        Ok(self.wrapper.prepare(config)?)
    }

    fn files(&self) -> Option<Arc<dyn Reload>> {
        self.inner.files()
    }

    async fn bind(&self) -> io::Result<(A::Listener, SocketAddr)> {
        self.inner.bind().await
    }

    fn listen(&self, listener: &mut A::Listener) -> io::Result<()> {
        self.inner.listen(listener)
    }

    async fn accept(&self, listener: &mut A::Listener) -> io::Result<(A::Raw, SocketAddr)> {
        self.inner.accept(listener).await
    }

    async fn identify(&self, raw: &mut A::Raw, remote: SocketAddr) -> io::Result<SocketAddr> {
        self.inner.identify(raw, remote).await
    }

    async fn establish(
        &self,
        raw: A::Raw,
        remote: SocketAddr,
    ) -> io::Result<Option<Established<A::Stream, Self::Framing>>> {
        let Some(Established { stream, framing, remote, certificate }) = self.inner.establish(raw, remote).await?
        else {
            return Ok(None);
        };
        let framing = Gated { inner: framing, gate: self.wrapper.gate(remote) };
        Ok(Some(Established { stream, framing, remote, certificate }))
    }
}

/// Another framing, and the gate behind it.
#[derive(Debug)]
pub struct Gated<F, G> {
    inner: F,
    gate: G,
}

impl<F: Framing, G: Gate> Framing for Gated<F, G> {
    const PLAIN: bool = F::PLAIN;
    const GATED: bool = true;

    fn decode(&mut self, stream: &[u8], limit: usize, packets: &mut Vec<u8>) -> Result<(), CloseReason> {
        self.inner.decode(stream, limit, packets)
    }

    #[inline]
    fn unfinished(&self) -> Option<Unfinished> {
        self.inner.unfinished()
    }

    fn encode(&mut self, packets: &[u8], stream: &mut Vec<u8>) {
        self.inner.encode(packets, stream);
    }

    fn goodbye(&mut self, reason: &CloseReason, stream: &mut Vec<u8>) {
        self.inner.goodbye(reason, stream);
    }

    fn wants_subprotocol(&self) -> bool {
        self.inner.wants_subprotocol()
    }

    /// The innermost one first: what it keeps back the others never see.
    fn gate(&mut self, packet: &Packet<'_>, now: Instant) -> Verdict {
        match self.inner.gate(packet, now) {
            Verdict::Pass => self.gate.packet(packet, now),
            kept => kept,
        }
    }
}
