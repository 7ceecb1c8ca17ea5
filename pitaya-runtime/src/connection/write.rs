//! Writing: everything at once, and what a slow client leaves.

use super::{Connection, Work};
use crate::accept::Framing;
use pitaya_core::CloseReason;
use std::io;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Framed bytes that the client has not taken.
#[derive(Default)]
pub(super) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    /// The stream took bytes into a buffer of its own and has not got rid of them.
    flushing: bool,
    /// When it last took some; only while something is left.
    progress: Option<Instant>,
}

impl Unsent {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.flushing
    }

    /// How much is left; a stream does not tell what its own buffer holds, so that counts as one.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent + usize::from(self.flushing)
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// When it will have been stalled for too long.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        self.progress.map(|since| since + limit)
    }

    pub(super) fn is_stalled(&self, now: Instant, limit: Duration) -> bool {
        self.deadline(limit).is_some_and(|deadline| now >= deadline)
    }
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Writes what is left and what is new, as far as the client takes it.
    #[inline(never)]
    pub(super) fn write(&mut self, cx: &mut task::Context<'_>, work: &mut Work) -> Result<(), CloseReason> {
        self.write_here(cx, work)
    }

    /// The same, for the end of each poll: behind a system call a processor does not know where it returns to, and each
    /// function less is one such return less.
    #[inline(always)]
    pub(super) fn write_here(&mut self, cx: &mut task::Context<'_>, work: &mut Work) -> Result<(), CloseReason> {
        let new = if F::PLAIN {
            &work.out
        } else {
            work.wire.clear();
            self.framing.encode(&work.out, &mut work.wire);
            &work.wire
        };
        if new.is_empty() && self.unsent.is_empty() {
            return Ok(());
        }
        let broken = |e: io::Error| CloseReason::Connection(e.to_string());
        if self.unsent.is_empty() {
            let (written, flushed) = write_some(&mut self.stream, cx, new).map_err(broken)?;
            if written < new.len() || !flushed {
                self.keep_unsent(&new[written..], flushed);
            }
            work.out.clear();
            return Ok(());
        }
        self.unsent.append(new);
        work.out.clear();
        self.drain(cx).map_err(broken)
    }

    #[cold]
    fn keep_unsent(&mut self, bytes: &[u8], flushed: bool) {
        self.unsent.append(bytes);
        self.unsent.flushing = !flushed;
        self.unsent.progress = Some(Instant::now());
        self.agent.outbox.set_unsent(self.unsent.len());
        self.arm();
    }

    /// Writes from what is left.
    #[inline(never)]
    pub(super) fn drain(&mut self, cx: &mut task::Context<'_>) -> io::Result<()> {
        let (written, flushed) = write_some(&mut self.stream, cx, &self.unsent.bytes[self.unsent.sent..])?;
        self.unsent.sent += written;
        let progress = written > 0 || (self.unsent.flushing && flushed);
        self.unsent.flushing = !flushed;
        if progress {
            self.unsent.progress = Some(Instant::now());
            if flushed && self.unsent.sent == self.unsent.bytes.len() {
                self.unsent = Unsent::default();
                // It takes again: what was not read meanwhile is to be read.
                cx.waker().wake_by_ref();
            } else if self.unsent.sent > self.unsent.bytes.len() / 2 {
                self.unsent.bytes.drain(..self.unsent.sent);
                self.unsent.sent = 0;
            }
        }
        self.agent.outbox.set_unsent(self.unsent.len());
        Ok(())
    }
}

/// Writes until the stream takes no more. A stream with a buffer of its own (TLS) is flushed; whether that is done is
/// the second half of the answer: what such a stream took is not on its way yet.
#[inline(always)]
fn write_some<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut task::Context<'_>,
    bytes: &[u8],
) -> io::Result<(usize, bool)> {
    let mut written = 0;
    while written < bytes.len() {
        match Pin::new(&mut *stream).poll_write(cx, &bytes[written..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => written += n,
            Poll::Ready(Err(e)) => return Err(e),
            Poll::Pending => break,
        }
    }
    match Pin::new(stream).poll_flush(cx) {
        Poll::Ready(Err(e)) => Err(e),
        flushed => Ok((written, flushed.is_ready())),
    }
}
