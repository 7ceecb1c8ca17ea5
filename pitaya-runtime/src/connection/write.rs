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

/// Framed bytes that the client has not taken. Most clients take everything at once, and cost one pointer here.
#[derive(Default)]
pub(super) struct Unsent(Option<Box<Left>>);

/// Upper bound of the buffer inside a stream (TLS), in bytes: the stream does not tell its length.
const OF_STREAM: usize = 64 * 1024;

/// Rest of a write that the stream did not take whole.
struct Left {
    bytes: Vec<u8>,
    sent: usize,
    /// The stream took bytes into a buffer of its own and has not got rid of them.
    flushing: bool,
    /// When the stream last took some.
    progress: Instant,
}

impl Unsent {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How much is left; a stream does not tell what its own buffer holds, so that counts as one.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |left| left.bytes.len() - left.sent + usize::from(left.flushing))
    }

    /// Memory that is held for the client, in bytes.
    pub(super) fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |left| left.bytes.capacity() + if left.flushing { OF_STREAM } else { 0 })
    }

    /// Appends to what is left; the time that a stalled client has begins with the first of it.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if self.0.is_some() || !bytes.is_empty() {
            self.left().bytes.extend_from_slice(bytes);
        }
    }

    /// When it will have been stalled for too long.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        self.0.as_ref().map(|left| left.progress + limit)
    }

    pub(super) fn is_stalled(&self, now: Instant, limit: Duration) -> bool {
        self.deadline(limit).is_some_and(|deadline| now >= deadline)
    }

    fn left(&mut self) -> &mut Left {
        let new = || Box::new(Left { bytes: Vec::new(), sent: 0, flushing: false, progress: Instant::now() });
        self.0.get_or_insert_with(new)
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
        let left = self.unsent.left();
        left.bytes.extend_from_slice(bytes);
        left.flushing = !flushed;
        self.agent.outbox.set_unsent(self.unsent.len());
        self.arm();
    }

    /// Writes from what is left.
    #[inline(never)]
    pub(super) fn drain(&mut self, cx: &mut task::Context<'_>) -> io::Result<()> {
        let Some(left) = &mut self.unsent.0 else { return Ok(()) };
        let (written, flushed) = write_some(&mut self.stream, cx, &left.bytes[left.sent..])?;
        left.sent += written;
        let progress = written > 0 || (left.flushing && flushed);
        left.flushing = !flushed;
        if progress {
            left.progress = Instant::now();
            if flushed && left.sent == left.bytes.len() {
                self.unsent = Unsent::default();
                // It takes again: what was not read meanwhile is to be read.
                cx.waker().wake_by_ref();
            } else if left.sent > left.bytes.len() / 2 {
                left.bytes.drain(..left.sent);
                left.sent = 0;
                if left.bytes.len() < left.bytes.capacity() / 4 {
                    left.bytes.shrink_to_fit();
                }
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
