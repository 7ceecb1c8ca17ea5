//! One connection: the socket, and what goes over it. Polled by the task of its client.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pitaya_core::wire::{
    HandshakeResponse, Message, MessageKind, Packet, PacketKind, RouteRef, inflate_within, packet,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep};

use crate::close::{CloseReason, ProtocolError};
use crate::error::RequestError;
use crate::fault;
use crate::heartbeat::Heartbeat;
use crate::link::Link;
use crate::opening::Opened;
use crate::options::ConnectOptions;
use crate::pending::Pending;
use crate::push::{Push, Streams};
use crate::transport::Transport;

/// How many packets may wait between the handles and the socket, and are taken from there at once.
const QUEUE: usize = 256;

/// How long reading goes on after writing failed: a kick may be on its way, and tells more than a broken pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(crate) struct Connection {
    transport: Transport,
    inbound: BytesMut,
    outgoing: mpsc::Receiver<Vec<u8>>,
    batch: Vec<Vec<u8>>,
    heartbeat: Option<Heartbeat>,
    /// Why nothing can be written any more, and until when reading goes on.
    write_failed: Option<(CloseReason, Pin<Box<Sleep>>)>,
    handshake: Arc<HandshakeResponse>,
    limit: usize,
    pending: Arc<Pending>,
    streams: Arc<Streams>,
}

impl Connection {
    /// A connection whose handshake is done, and what handles need of it.
    pub(crate) fn new(
        Opened { transport, response, inbound }: Opened,
        options: &ConnectOptions,
        streams: Arc<Streams>,
        late: Arc<AtomicU64>,
    ) -> (Arc<Link>, Self) {
        let (outgoing, from_handles) = mpsc::channel(QUEUE);
        let (handshake, pending) = (Arc::new(response), Arc::new(Pending::new(late)));
        let connection = Self {
            transport,
            inbound,
            outgoing: from_handles,
            batch: Vec::new(),
            heartbeat: Heartbeat::new(handshake.heartbeat),
            write_failed: None,
            handshake: Arc::clone(&handshake),
            limit: options.max_packet,
            pending: Arc::clone(&pending),
            streams,
        };
        (Arc::new(Link { handshake, outgoing, pending }), connection)
    }

    /// Fails what waits, and what will come; `restoring` says that another connection takes its place.
    pub(crate) fn tell(&mut self, reason: &CloseReason, restoring: bool) {
        self.pending.close(reason, restoring);
        self.outgoing.close();
    }

    /// Reads and writes until the end, and says why that came; `closing` resolves when this side wants it. May be
    /// cancelled and called again without loss.
    pub(crate) async fn live(&mut self, closing: &mut oneshot::Receiver<Infallible>) -> CloseReason {
        loop {
            if let Err(reason) = self.take_packets() {
                return reason;
            }
            if let Err(reason) = poll_fn(|cx| self.poll(cx, closing)).await {
                return reason;
            }
        }
    }

    /// Does all there is to do until something was read: sends what is queued, beats, listens for the end.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        closing: &mut oneshot::Receiver<Infallible>,
    ) -> Poll<Result<(), CloseReason>> {
        if Pin::new(closing).poll(cx).is_ready() {
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
    pub(crate) async fn leave(&mut self) -> Result<(), CloseReason> {
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

/// Fails the requests that wait when a connection is dropped half-way.
impl Drop for Connection {
    fn drop(&mut self) {
        if !self.pending.is_closed() {
            self.tell(&CloseReason::Local, false);
        }
    }
}
