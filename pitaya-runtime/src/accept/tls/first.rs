//! The first byte of a client tells whether it speaks TLS.

use crate::accept::TLS_RECORD;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that ends at once if what is read from it does not begin a TLS handshake. TLS itself waits for the five bytes
/// of a record's head, and a client that has sent four of its own protocol would wait for the deadline.
#[derive(Debug)]
pub struct FirstByte<S> {
    stream: S,
    first: Option<u8>,
}

impl<S> FirstByte<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, first: None }
    }

    /// It began with something else than TLS.
    pub(super) fn is_wrong(&self) -> bool {
        self.first.is_some_and(|first| first != TLS_RECORD)
    }

    /// It began as requests of HTTP do.
    pub(super) fn is_http(&self) -> bool {
        self.first.is_some_and(|first| first.is_ascii_uppercase())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstByte<S> {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_some() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.first = buffer.filled().get(before).copied();
        if self.is_wrong() { Poll::Ready(Err(io::ErrorKind::InvalidData.into())) } else { read }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstByte<S> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
