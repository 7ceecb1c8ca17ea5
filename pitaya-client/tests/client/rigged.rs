use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::join_all;
use pitaya_client::{Client, CloseReason};
use pitaya_core::wire::{Dictionary, packet};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::Instant;

use crate::peer::{Peer, terms};

/// A pipe that counts writes, and fails from a given one on.
struct Rigged {
    pipe: DuplexStream,
    writes: Arc<AtomicUsize>,
    fails_from: usize,
}

impl AsyncRead for Rigged {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, into)
    }
}

impl AsyncWrite for Rigged {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.writes.fetch_add(1, Ordering::Relaxed) + 1 >= self.fails_from {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

async fn pair(fails_from: usize) -> (Client, Peer<DuplexStream>, Arc<AtomicUsize>) {
    let (pipe, theirs) = duplex(64 << 10);
    let writes = Arc::new(AtomicUsize::new(0));
    let (options, mut peer) = (Client::options(), Peer::new(theirs));
    let dictionary = Dictionary::default();
    let reply = terms("json", &dictionary);
    let mine = Rigged { pipe, writes: Arc::clone(&writes), fails_from };
    let (client, _) = tokio::join!(options.over(mine), peer.accept(&reply));
    (client.unwrap(), peer, writes)
}

#[tokio::test]
async fn what_is_there_together_is_written_together() {
    let (client, mut peer, writes) = pair(usize::MAX).await;
    assert_eq!(writes.load(Ordering::Relaxed), 2, "handshake and ack");
    let requests = join_all((0..64).map(|_| client.request_raw("a.b", "body")));
    let server = async {
        for _ in 0..64 {
            let id = peer.message().await.id;
            peer.respond(id, "").await;
        }
    };
    tokio::join!(requests, server);
    assert_eq!(writes.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_kick_is_found_behind_a_failed_write() {
    let (client, mut peer, writes) = pair(3).await;
    client.notify_raw("a.b", "into the void").await.unwrap();
    while writes.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    assert!(client.close_reason().is_none());
    peer.send(&packet::KICK).await;
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::Kicked { .. }), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_is_told_when_nothing_else_comes() {
    let (client, _peer, _) = pair(3).await;
    client.notify_raw("a.b", "into the void").await.unwrap();
    let begun = Instant::now();
    let reason = client.closed().await;
    assert!(matches!(&reason, CloseReason::Io(error) if error.kind() == io::ErrorKind::BrokenPipe), "{reason:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
}
