//! The one task that owns the socket.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use pitaya_core::wire::{
    HandshakeResponse, Message, MessageKind, Packet, PacketKind, RouteRef, inflate_within, packet,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Sleep, sleep, timeout};

use crate::client::{Client, Shared};
use crate::close::{CloseReason, ProtocolError};
use crate::error::RequestError;
use crate::fault;
use crate::heartbeat::Heartbeat;
use crate::opening::Opened;
use crate::options::ConnectOptions;
use crate::pending::Pending;
use crate::push::{Push, Streams};
use crate::transport::Transport;

/// How many packets may wait between the handles and the socket, and are taken from there at once.
const QUEUE: usize = 256;

/// How long a connection may take to write what is left, say goodbye, and see the server leave.
const LINGER: Duration = Duration::from_secs(5);

/// How long reading goes on after writing failed: a kick may be on its way, and tells more than a broken pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

struct Connection {
    transport: Transport,
    inbound: BytesMut,
    outgoing: mpsc::Receiver<Vec<u8>>,
    batch: Vec<Vec<u8>>,
    /// Resolves when a handle closes, or when all are gone.
    closing: oneshot::Receiver<Infallible>,
    heartbeat: Option<Heartbeat>,
    /// Why nothing can be written any more, and until when reading goes on.
    write_failed: Option<(CloseReason, Pin<Box<Sleep>>)>,
    handshake: Arc<HandshakeResponse>,
    limit: usize,
    pending: Arc<Pending>,
    streams: Arc<Streams>,
}

/// Starts the task and returns the first handle.
pub(crate) fn start(Opened { transport, response, inbound }: Opened, options: &ConnectOptions) -> Client {
    let (outgoing, from_handles) = mpsc::channel(QUEUE);
    let (close, closing) = oneshot::channel();
    let (closed, is_closed) = watch::channel(None);
    let handshake = Arc::new(response);
    let (pending, streams) = (Arc::new(Pending::default()), Arc::new(Streams::new(options.push_capacity)));
    let connection = Connection {
        transport,
        inbound,
        outgoing: from_handles,
        batch: Vec::new(),
        closing,
        heartbeat: Heartbeat::new(handshake.heartbeat),
        write_failed: None,
        handshake: Arc::clone(&handshake),
        limit: options.max_packet,
        pending: Arc::clone(&pending),
        streams: Arc::clone(&streams),
    };
    tokio::spawn(async move {
        let reason = connection.run().await;
        closed.send_replace(Some(reason));
    });
    let shared = Shared {
        handshake,
        compress: options.compress,
        outgoing,
        pending,
        streams,
        closing: Mutex::new(Some(close)),
        closed: is_closed,
    };
    Client { shared: Arc::new(shared), timeout: options.request_timeout }
}

impl Connection {
    /// Lives, and says why it ended when the socket is gone.
    async fn run(mut self) -> CloseReason {
        let reason = self.live().await;
        tracing::debug!(%reason, "connection closed");
        self.tell(&reason);
        if matches!(reason, CloseReason::Local) {
            // Whether the server leaves in time changes nothing any more.
            let _ = timeout(LINGER, self.leave()).await;
        }
        reason
    }

    /// Fails what waits, and what will come.
    fn tell(&mut self, reason: &CloseReason) {
        self.pending.close(reason);
        self.streams.close();
        self.outgoing.close();
    }

    async fn live(&mut self) -> CloseReason {
        loop {
            if let Err(reason) = self.take_packets() {
                return reason;
            }
            if let Err(reason) = poll_fn(|cx| self.poll(cx)).await {
                return reason;
            }
        }
    }

    /// Does all there is to do until something was read: sends what is queued, beats, listens for the end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if Pin::new(&mut self.closing).poll(cx).is_ready() {
            return Poll::Ready(Err(CloseReason::Local));
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            while heartbeat.poll_beat(cx).is_ready() {
                // A server that does not read need not hear more of them.
                if !self.transport.is_full() {
                    self.transport.queue(packet::HEARTBEAT.to_vec());
                }
            }
        }
        if self.write_failed.is_none()
            && let Err(reason) = self.write(cx)
        {
            self.write_failed = Some((reason, Box::pin(sleep(LAST_WORDS))));
        }
        match self.transport.poll_read(cx, &mut self.inbound) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(CloseReason::ServerClosed)),
            Poll::Ready(Ok(_)) => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.heard();
                }
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(reason)) => return Poll::Ready(Err(reason)),
            Poll::Pending => {}
        }
        if let Some((reason, until)) = &mut self.write_failed
            && until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(reason.clone()));
        }
        if self.heartbeat.as_mut().is_some_and(|heartbeat| heartbeat.poll_silence(cx).is_ready()) {
            return Poll::Ready(Err(CloseReason::HeartbeatTimeout));
        }
        Poll::Pending
    }

    /// Takes what the handles queued, as much as may wait unwritten, and writes all of it together.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            let was_full = loop {
                if self.transport.is_full() {
                    break true;
                }
                match self.outgoing.poll_recv_many(cx, &mut self.batch, QUEUE) {
                    Poll::Ready(count) if count > 0 => self.queue_batch(),
                    // Nothing there, or all handles gone, which `closing` tells as well.
                    _ => break false,
                }
            };
            match self.transport.poll_flush(cx)? {
                Poll::Ready(()) if was_full => {}
                _ => return Ok(()),
            }
        }
    }

    fn queue_batch(&mut self) {
        for packet in self.batch.drain(..) {
            self.transport.queue(packet);
        }
    }

    /// Acts on every whole packet that is there.
    fn take_packets(&mut self) -> Result<(), CloseReason> {
        while let Some((packet, used)) = Packet::decode(&self.inbound, self.limit).map_err(ProtocolError::from)? {
            let kind = packet.kind;
            let body = self.inbound.split_to(used).freeze().slice(packet::HEADER..);
            match kind {
                PacketKind::Data => self.take_message(&body)?,
                PacketKind::Heartbeat => {}
                // Final: what may follow is not read.
                PacketKind::Kick => return Err(CloseReason::kicked(&body)),
                other => return Err(ProtocolError::UnexpectedPacket(other).into()),
            }
        }
        if self.transport.keeps_packets_whole() && !self.inbound.is_empty() {
            return Err(ProtocolError::SplitPacket.into());
        }
        Ok(())
    }

    fn take_message(&self, bytes: &Bytes) -> Result<(), ProtocolError> {
        let message = Message::decode(bytes)?;
        let body = match message.compressed {
            true => {
                let mut body = Vec::new();
                // No ratio is suspicious here: a server of many equal bytes is no attacker, and the limit holds.
                inflate_within(message.body, self.limit, usize::MAX, &mut body)?;
                body.into()
            }
            false => bytes.slice_ref(message.body),
        };
        match (message.kind, message.route) {
            (MessageKind::Response, _) if message.error => {
                let error = fault::decode(&self.handshake.serializer, &body);
                self.pending.answer(message.id, Err(RequestError::Server(error)));
            }
            (MessageKind::Response, _) => self.pending.answer(message.id, Ok(body)),
            (MessageKind::Push, Some(route)) => self.streams.deliver(Push { route: self.route(route)?.into(), body }),
            (other, _) => return Err(ProtocolError::UnexpectedMessage(other)),
        }
        Ok(())
    }

    fn route<'a>(&'a self, route: RouteRef<'a>) -> Result<&'a str, ProtocolError> {
        match route {
            RouteRef::Name(name) => std::str::from_utf8(name).map_err(|_| ProtocolError::RouteNotText),
            RouteRef::Code(code) => self.handshake.dictionary.route(code).ok_or(ProtocolError::UnknownCode(code)),
        }
    }

    /// Writes what was sent before the end, closes the writing side, and waits for the server to do the same: to drop
    /// the socket with unread bytes would destroy what is still on its way there.
    async fn leave(&mut self) -> Result<(), CloseReason> {
        while self.outgoing.recv_many(&mut self.batch, QUEUE).await > 0 {
            self.queue_batch();
            if self.transport.is_full() {
                poll_fn(|cx| self.transport.poll_flush(cx)).await?;
            }
        }
        poll_fn(|cx| self.transport.poll_flush(cx)).await?;
        poll_fn(|cx| self.transport.poll_shutdown(cx)).await?;
        loop {
            self.inbound.clear();
            if poll_fn(|cx| self.transport.poll_read(cx, &mut self.inbound)).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// A runtime that shuts down drops the task wherever it is: nobody shall wait for it.
impl Drop for Connection {
    fn drop(&mut self) {
        self.tell(&CloseReason::Local);
    }
}
