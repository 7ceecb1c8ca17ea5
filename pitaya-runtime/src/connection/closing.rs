//! The end of a connection: tell the app, flush, shut down, and wait a moment for the client to read.

use super::scratch::Scratch;
use super::{Connection, READS, Work};
use crate::accept::{Framing, Refused};
use pitaya_core::CloseReason;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a client has to take the last packets.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long what it still sends is read and thrown away: a socket closed with unread bytes is reset, and a reset may
/// take the last packets with it.
const LINGER: Duration = Duration::from_millis(500);

pub(super) enum Closing {
    /// The last packets are being written.
    Flush,
    /// They are written; the write side is being shut down.
    Shutdown,
    /// Reading until the client closes too.
    Linger,
    /// Nothing is owed.
    Drop,
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    pub(super) fn close(&mut self, reason: &CloseReason, work: &mut Work) {
        let owed = !matches!(
            reason,
            CloseReason::SlowConsumer | CloseReason::Connection(_) | CloseReason::Heartbeat | CloseReason::OverBudget
        );
        let read_to_the_end = *reason == CloseReason::Client;
        if read_to_the_end && self.framing.wants_subprotocol() {
            self.not_let_in(Refused::Subprotocol, "the client asked for a WebSocket subprotocol, and there is none");
        }
        // Nothing can be queued behind this; what was queued before and not taken is only owed to a client that reads.
        self.agent.outbox.end(reason.clone(), |_| {});
        self.let_go();
        self.forwarding = None;
        let dropped = self.backlog.drop_all(self.packet_limit());
        self.server.counters.dropped_messages.fetch_add(dropped as u64, Relaxed);
        if owed && self.machine.working() && !read_to_the_end {
            let _ = self.agent.outbox.take(&mut work.out);
        } else {
            // A session may be kept for long after its end.
            self.agent.outbox.forget();
        }
        if owed {
            work.wire.clear();
            if F::PLAIN {
                self.unsent.append(&work.out);
            } else {
                self.framing.encode(&work.out, &mut work.wire);
                self.framing.goodbye(reason, &mut work.wire);
                self.unsent.append(&work.wire);
            }
            self.closing = Some(Closing::Flush);
            self.set_timer(Instant::now() + FLUSH_TIME);
        } else {
            self.closing = Some(Closing::Drop);
        }
        work.out.clear();
        // What waited is gone, and the last packets have come.
        self.look_at_the_rest();
        self.server.close(&self.agent, &self.session, reason);
    }

    pub(super) fn poll_closing(&mut self, cx: &mut task::Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        if self.server.aborting.is_cancelled() {
            return Poll::Ready(());
        }
        self.enrol(cx.waker());
        let mut reads = 0;
        loop {
            match self.closing {
                None | Some(Closing::Drop) => return Poll::Ready(()),
                Some(Closing::Flush) => {
                    if !self.unsent.is_empty() && self.drain(cx).is_err() {
                        return Poll::Ready(());
                    }
                    if !self.unsent.is_empty() {
                        break;
                    }
                    self.closing = Some(Closing::Shutdown);
                }
                Some(Closing::Shutdown) => match Pin::new(&mut self.stream).poll_shutdown(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(())) if self.session.close_reason() == Some(&CloseReason::Client) => {
                        return Poll::Ready(());
                    }
                    Poll::Ready(Ok(())) => {
                        self.closing = Some(Closing::Linger);
                        self.set_timer(Instant::now() + LINGER);
                    }
                },
                Some(Closing::Linger) if reads == READS => {
                    cx.waker().wake_by_ref();
                    break;
                }
                Some(Closing::Linger) => {
                    reads += 1;
                    let mut buffer = ReadBuf::new(&mut scratch.read);
                    match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                        Poll::Pending => break,
                        Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                        Poll::Ready(_) => return Poll::Ready(()),
                    }
                }
            }
        }
        self.poll_timer(cx)
    }
}
