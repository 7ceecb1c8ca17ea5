//! Transports of packets: a stream of bytes, or WebSocket messages. One task reads and writes them, in polls.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_websockets::{Message, WebSocketStream};

use crate::close::CloseReason;

/// From this many unsent bytes on nothing more is taken from the queue of the handles, so that senders wait.
pub(crate) const WRITE_AHEAD: usize = 64 << 10;

/// The room offered to one read, in bytes.
const READ_CHUNK: usize = 16 << 10;

/// Any stream of bytes both ways.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(crate) struct Transport {
    carrier: Carrier,
    /// Bytes queued since everything was last written.
    queued: usize,
}

enum Carrier {
    Bytes { io: Box<dyn Io>, out: BytesMut },
    WebSocket { io: Box<WebSocketStream<Box<dyn Io>>>, out: VecDeque<Vec<u8>> },
}

impl Transport {
    pub(crate) fn bytes(io: Box<dyn Io>) -> Self {
        Self { carrier: Carrier::Bytes { io, out: BytesMut::new() }, queued: 0 }
    }

    pub(crate) fn websocket(io: WebSocketStream<Box<dyn Io>>) -> Self {
        Self { carrier: Carrier::WebSocket { io: Box::new(io), out: VecDeque::new() }, queued: 0 }
    }

    /// Whether each read ends where a packet does.
    pub(crate) fn keeps_packets_whole(&self) -> bool {
        matches!(self.carrier, Carrier::WebSocket { .. })
    }

    /// Whether senders have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.queued >= WRITE_AHEAD
    }

    /// Queues a whole packet for the next flush.
    pub(crate) fn queue(&mut self, packet: Vec<u8>) {
        self.queued += packet.len();
        match &mut self.carrier {
            Carrier::Bytes { out, .. } => out.extend_from_slice(&packet),
            Carrier::WebSocket { out, .. } => out.push_back(packet),
        }
    }

    /// Writes what is queued: bytes in as few writes as the socket takes, packets as one WebSocket message each.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        match &mut self.carrier {
            // A stream of bytes has nothing to flush but what was queued.
            Carrier::Bytes { .. } if self.queued == 0 => return Poll::Ready(Ok(())),
            Carrier::Bytes { io, out } => {
                while !out.is_empty() {
                    // A future without state of its own: polling it once and dropping it loses nothing.
                    if ready!(pin!(io.write_buf(out)).poll(cx))? == 0 {
                        return Poll::Ready(Err(CloseReason::ServerClosed));
                    }
                }
                ready!(Pin::new(io).poll_flush(cx))?;
            }
            // May have to answer a ping although nothing was queued here.
            Carrier::WebSocket { io, out } => {
                let mut io = Pin::new(io.as_mut());
                while !out.is_empty() {
                    ready!(io.as_mut().poll_ready(cx))?;
                    if let Some(packet) = out.pop_front() {
                        io.as_mut().start_send(Message::binary(packet))?;
                    }
                }
                ready!(io.poll_flush(cx))?;
            }
        }
        self.queued = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once, and appends what came to `into`. 0 bytes are the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<Result<usize, CloseReason>> {
        match &mut self.carrier {
            Carrier::Bytes { io, .. } => {
                into.reserve(READ_CHUNK);
                Poll::Ready(Ok(ready!(pin!(io.read_buf(into)).poll(cx))?))
            }
            Carrier::WebSocket { io, .. } => loop {
                match ready!(Pin::new(io.as_mut()).poll_next(cx)) {
                    None => return Poll::Ready(Ok(0)),
                    Some(message) => {
                        let message = message?;
                        let payload = message.as_payload();
                        // An empty message is no end; pings are answered below us.
                        if (message.is_binary() || message.is_text()) && !payload.is_empty() {
                            into.extend_from_slice(payload);
                            return Poll::Ready(Ok(payload.len()));
                        }
                    }
                }
            },
        }
    }

    /// Says goodbye after the last flush: closes the writing side. The server may still send.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        match &mut self.carrier {
            Carrier::Bytes { io, .. } => Pin::new(io).poll_shutdown(cx).map_err(CloseReason::from),
            Carrier::WebSocket { io, .. } => Pin::new(io.as_mut()).poll_close(cx).map_err(CloseReason::from),
        }
    }
}
