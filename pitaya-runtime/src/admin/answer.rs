//! What goes back.

use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Text without more to say of it.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// A status, and a body of a type.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// As on the wire: `200 OK`. Further header lines may follow, each behind a line break.
    pub(super) status: &'static str,
    pub(super) media_type: &'static str,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// An answer of any type.
    pub(crate) fn new(status: &'static str, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, media_type, body: body.into() }
    }

    /// An answer that a person reads.
    pub(crate) fn text(status: &'static str, text: impl Into<String>) -> Self {
        Self::new(status, TEXT, text.into())
    }

    pub(super) async fn send(&self, stream: &mut (impl AsyncWrite + Unpin), with_body: bool) -> io::Result<()> {
        let Self { status, media_type, body } = self;
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(body);
        }
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    }
}
