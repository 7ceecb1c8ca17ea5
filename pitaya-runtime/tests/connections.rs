//! What a connection promises when something is slow, panics, floods or stops: over streams made for the purpose.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pitaya_runtime::Refusal;
use pitaya_runtime::accept::{Acceptor, Established, Plain};
use pitaya_runtime::prelude::*;
use pitaya_runtime::wire::HandshakeData;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::sync::{Notify, mpsc, oneshot};

/// Hands streams to an app.
struct Pipe<S>(Mutex<Option<mpsc::UnboundedReceiver<S>>>);

fn pipe<S>() -> (mpsc::UnboundedSender<S>, Pipe<S>) {
    let (dial, incoming) = mpsc::unbounded_channel();
    (dial, Pipe(Mutex::new(Some(incoming))))
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Acceptor for Pipe<S> {
    type Listener = mpsc::UnboundedReceiver<S>;
    type Raw = S;
    type Stream = S;
    type Framing = Plain;

    fn protocol(&self) -> &'static str {
        "pipe"
    }

    fn configured(&self) -> String {
        "here".to_owned()
    }

    async fn bind(&self) -> io::Result<(Self::Listener, SocketAddr)> {
        let incoming = self.0.lock().unwrap().take().ok_or(io::ErrorKind::AddrInUse)?;
        Ok((incoming, SocketAddr::from(([127, 0, 0, 1], 1))))
    }

    async fn accept(&self, incoming: &mut Self::Listener) -> io::Result<(S, SocketAddr)> {
        match incoming.recv().await {
            Some(stream) => Ok((stream, SocketAddr::from(([127, 0, 0, 1], 2)))),
            None => pending().await,
        }
    }

    async fn establish(&self, stream: S, remote: SocketAddr) -> io::Result<Option<Established<S, Plain>>> {
        Ok(Some(Established::new(stream, Plain, remote)))
    }
}

#[derive(Default)]
struct Room {
    begun: Notify,
    go_on: Notify,
    hook_panics: bool,
    hook_waits: bool,
}

#[handler]
impl Room {
    pub(crate) fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    pub(crate) fn large(&self) -> Raw {
        Raw::from(vec![7; 100_000])
    }

    #[route(concurrent)]
    pub(crate) async fn slow(&self, raw: Raw, session: &Session) -> Result<Raw> {
        self.begun.notify_one();
        self.go_on.notified().await;
        session.push_raw("onSlow", b"")?;
        Ok(raw)
    }

    /// Pushes what it got, waits as often as its last figure says, answers with the same.
    pub(crate) async fn work(&self, raw: Raw, session: &Session) -> Result<Raw> {
        session.push_raw("on", &raw.0)?;
        for _ in 0..raw.0.last().map_or(0, |digit| digit % 4) {
            tokio::task::yield_now().await;
        }
        Ok(raw)
    }

    pub(crate) async fn stuck(&self) -> Raw {
        pending().await
    }

    pub(crate) async fn login(&self, session: &Session) -> Result<()> {
        session.bind("alice").await
    }

    #[on(session_bound)]
    async fn bound(&self) {
        if self.hook_waits {
            pending::<()>().await;
        }
    }

    #[on(before_shutdown)]
    fn leaving(&self) {
        assert!(!self.hook_panics, "a hook that panics");
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, a, b, c], body].concat()
}

fn request(id: u8, route: &str, body: &str) -> Vec<u8> {
    let head = [0, id, u8::try_from(route.len()).unwrap()];
    packet(4, &[&head, route.as_bytes(), body.as_bytes()].concat())
}

async fn receive(client: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    within(async {
        let head = client.read_u32().await.unwrap();
        let mut body = vec![0; (head & 0xff_ffff) as usize];
        client.read_exact(&mut body).await.unwrap();
        ((head >> 24) as u8, body)
    })
    .await
}

/// Much less than a heartbeat: nothing here may wait for one.
async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("it takes too long")
}

async fn greet(client: &mut DuplexStream) -> Vec<u8> {
    client.write_all(&packet(1, br#"{"sys":{"type":"test","version":"1"},"user":{}}"#)).await.unwrap();
    receive(client).await.1
}

async fn enter(client: &mut DuplexStream) {
    let answer = greet(client).await;
    assert!(answer.starts_with(br#"{"code":200"#), "{}", String::from_utf8_lossy(&answer));
    client.write_all(&packet(2, b"")).await.unwrap();
}

fn builder<S>(acceptor: Pipe<S>, room: Arc<Room>) -> Builder
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Builder::new("test").acceptor(acceptor).shared_handlers(room).configure(|c| {
        c.heartbeat.interval = Duration::from_secs(60);
        c.handler.messages.compression = false;
    })
}

/// An app with one client that has shaken hands.
async fn one_client(build: impl FnOnce(Builder) -> Builder, room: &Arc<Room>) -> (App, DuplexStream) {
    let (dial, acceptor) = pipe();
    let app = build(builder(acceptor, room.clone())).build().unwrap();
    app.start().await.unwrap();
    let (mut client, server) = duplex(64 * 1024);
    dial.send(server).unwrap();
    enter(&mut client).await;
    (app, client)
}

/// Takes all that is written at once, as TLS does, and passes it on when it is flushed.
struct Buffered {
    inner: DuplexStream,
    buffer: Vec<u8>,
}

impl AsyncRead for Buffered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, to)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.buffer.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.buffer.is_empty() {
            let written = task::ready!(Pin::new(&mut this.inner).poll_write(cx, &this.buffer))?;
            this.buffer.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        task::ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn what_a_stream_has_in_its_own_buffer_is_flushed_without_another_message() {
    let (dial, acceptor) = pipe();
    let app = builder(acceptor, Arc::default()).build().unwrap();
    app.start().await.unwrap();
    let (mut client, inner) = duplex(1024);
    dial.send(Buffered { inner, buffer: vec![] }).unwrap();
    enter(&mut client).await;
    client.write_all(&request(1, "room.large", "")).await.unwrap();
    assert_eq!(receive(&mut client).await.1.len(), 100_002);
    client.write_all(&request(2, "room.echo", "again")).await.unwrap();
    assert_eq!(receive(&mut client).await.1, b"\x04\x02again");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_that_buffer_is_slow() {
    let (dial, acceptor) = pipe();
    let build = builder(acceptor, Arc::default());
    let app = build.configure(|c| c.buffer.agent.conntimeout = Duration::from_millis(50)).build().unwrap();
    app.start().await.unwrap();
    let (mut client, inner) = duplex(1024);
    dial.send(Buffered { inner, buffer: vec![] }).unwrap();
    enter(&mut client).await;
    client.write_all(&request(1, "room.large", "")).await.unwrap();
    let session = app.sessions().get(1).unwrap();
    assert_eq!(within(session.closed()).await, &CloseReason::SlowConsumer);
}

#[tokio::test]
async fn concurrent_calls_are_answered_in_a_shutdown() {
    let room = Arc::new(Room::default());
    let (app, mut client) = one_client(|b| b, &room).await;
    client.write_all(&request(1, "room.slow", "late")).await.unwrap();
    within(room.begun.notified()).await;
    let stopping = tokio::spawn({
        let app = app.clone();
        async move { app.shutdown().await }
    });
    // One thread: by now the shutdown has reached the session.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    room.go_on.notify_one();
    assert_eq!(receive(&mut client).await.1, b"\x06\x06onSlow");
    assert_eq!(receive(&mut client).await.1, b"\x04\x01late");
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    drop(client);
    within(stopping).await.unwrap();
    assert_eq!(app.counts().late_answers, 0);
}

#[tokio::test]
async fn a_hook_that_panics_does_not_stop_the_stop() {
    let room = Arc::new(Room { hook_panics: true, ..Room::default() });
    let (app, client) = one_client(|b| b, &room).await;
    drop(client);
    within(app.shutdown()).await;
}

#[tokio::test]
async fn a_bind_that_is_given_up_leaves_no_entry() {
    let room = Arc::new(Room { hook_waits: true, ..Room::default() });
    let (app, mut client) =
        one_client(|b| b.configure(|c| c.limits.handler.hard = Duration::from_millis(50)), &room).await;
    client.write_all(&request(1, "room.login", "")).await.unwrap();
    assert!(String::from_utf8_lossy(&receive(&mut client).await.1).contains("PIT-408"));
    assert_eq!(app.sessions().get(1).unwrap().uid(), None);
    assert!(app.sessions().by_uid("alice").is_none());
}

#[tokio::test]
async fn what_waits_behind_a_call_that_takes_too_long_goes_on_at_once() {
    let room = Arc::default();
    let (_app, mut client) =
        one_client(|b| b.configure(|c| c.limits.handler.hard = Duration::from_millis(50)), &room).await;
    let both = [request(1, "room.stuck", ""), request(2, "room.echo", "next")].concat();
    client.write_all(&both).await.unwrap();
    assert!(String::from_utf8_lossy(&receive(&mut client).await.1).contains("PIT-408"));
    assert_eq!(receive(&mut client).await.1, b"\x04\x02next");
}

#[tokio::test]
async fn a_check_that_panics_refuses() {
    let (dial, acceptor) = pipe();
    let check = |_: &HandshakeData| -> Result<(), Refusal> { panic!("a check that panics") };
    let app = builder(acceptor, Arc::default()).validate_handshake("panics", check).build().unwrap();
    app.start().await.unwrap();
    let (mut client, server) = duplex(1024);
    dial.send(server).unwrap();
    let answer = String::from_utf8(greet(&mut client).await).unwrap();
    assert!(answer.contains("400") && answer.contains("internal error"), "{answer}");
    assert_eq!((app.counts().panics, app.counts().closed("handshake_refused")), (1, 1));
}

/// Small pipes, so that every read and write is cut somewhere and the backlog fills; the notes between the requests ask
/// for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_out_of_order_however_the_bytes_are_cut() {
    let (dial, acceptor) = pipe();
    let app = builder(acceptor, Arc::default()).build().unwrap();
    app.start().await.unwrap();
    let clients = (0..16_usize).map(|client| {
        let (mut ours, theirs) = duplex(7 + 13 * client);
        dial.send(theirs).unwrap();
        tokio::spawn(async move {
            enter(&mut ours).await;
            let (mut read, mut write) = tokio::io::split(ours);
            let sent = (0..300).map(|n| [request(1, "room.work", &n.to_string()), packet(3, b"")].concat());
            let sent: Vec<u8> = sent.flatten().collect();
            let writer = tokio::spawn(async move {
                for chunk in sent.chunks(1 + 97 * client) {
                    write.write_all(chunk).await.unwrap();
                }
                write
            });
            for n in 0..300 {
                assert_eq!(receive(&mut read).await.1, format!("\x06\x02on{n}").into_bytes());
                assert_eq!(receive(&mut read).await.1, format!("\x04\x01{n}").into_bytes());
            }
            writer.await.unwrap();
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let counts = app.counts();
    assert_eq!((counts.messages, counts.late_answers, counts.dropped_messages), (16 * 300, 0, 0));
    within(app.shutdown()).await;
    assert_eq!(app.sessions().count(), 0);
}

#[tokio::test]
async fn a_kick_is_the_last_thing_a_client_gets() {
    let (app, mut client) = one_client(|b| b, &Arc::default()).await;
    client.write_all(&request(1, "room.echo", "first")).await.unwrap();
    assert_eq!(receive(&mut client).await.1, b"\x04\x01first");
    let session = app.sessions().get(1).unwrap();
    let (said, heard) = oneshot::channel();
    session.on_close(|session, reason| {
        assert!(session.push_raw("on", b"").is_err());
        session.close();
        said.send(reason.clone()).unwrap();
    });
    session.push_raw("on", b"last").unwrap();
    session.kick().unwrap();
    assert!(session.push_raw("on", b"more").is_err());
    client.write_all(&request(2, "room.echo", "late")).await.unwrap();
    assert_eq!(receive(&mut client).await.1, b"\x06\x02onlast");
    let mut rest = vec![];
    within(client.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(&[5, 0, 0, 0]), "{rest:?}");
    assert_eq!(within(heard).await.unwrap(), CloseReason::Kicked(None));
}

/// Always has another heartbeat to read, as long as tokio lets it; tells when it is dropped.
struct Flood {
    beats: tokio::io::Repeat,
    _dropped: oneshot::Sender<()>,
}

impl AsyncRead for Flood {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        task::ready!(Pin::new(&mut self.beats).poll_read(cx, to))?;
        to.filled_mut().iter_mut().step_by(4).for_each(|kind| *kind = 3);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, _: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_flood_stops_neither_the_clock_nor_the_end() {
    let (dial, acceptor) = pipe();
    let build = builder(acceptor, Arc::default());
    let app = build.configure(|c| c.limits.handshake.timeout = Duration::from_millis(50)).build().unwrap();
    app.start().await.unwrap();
    let (sender, dropped) = oneshot::channel();
    dial.send(Flood { beats: tokio::io::repeat(0), _dropped: sender }).unwrap();
    assert!(within(dropped).await.is_err());
    assert_eq!(app.counts().closed("handshake_timeout"), 1);
}
