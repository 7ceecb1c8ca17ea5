//! Names with several addresses, of which some do not serve.

use std::net::SocketAddr;
use std::time::Duration;

use pitaya_core::wire::{Dictionary, HandshakeReply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_websockets::upgrade;

use super::*;
use crate::supervisor;

/// Time for all addresses: each share of it is long enough for a busy machine.
const WHOLE: Duration = Duration::from_secs(6);

fn route(scheme: &str, known: &[&TcpListener]) -> Route {
    let mut route = Route::parse(&format!("{scheme}://game.test:1")).unwrap();
    route.known = known.iter().map(|listener| listener.local_addr().unwrap()).collect();
    route
}

fn options() -> ConnectOptions {
    ConnectOptions::default().connect_timeout(WHOLE)
}

async fn listen(host: &str) -> TcpListener {
    TcpListener::bind((host, 0)).await.unwrap()
}

/// Answers the handshake, and gives the connection.
async fn serve(listener: &TcpListener) -> TcpStream {
    let (mut io, _) = listener.accept().await.unwrap();
    let mut head = [0; packet::HEADER];
    io.read_exact(&mut head).await.unwrap();
    let dictionary = Dictionary::default();
    let reply = HandshakeReply { heartbeat: 3600, serializer: "json", dictionary: &dictionary };
    io.write_all(&reply.ok()).await.unwrap();
    io
}

/// A listener that drops SYNs: its queue is full.
async fn full() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(0).unwrap();
    let (address, mut queued) = (listener.local_addr().unwrap(), Vec::new());
    while let Ok(Ok(one)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(one);
    }
    (listener, queued)
}

/// A client whose first address is silent arrives at the second one.
async fn arrives(scheme: &str) {
    let (silent, good) = (listen("127.0.0.1").await, listen("127.0.0.2").await);
    let mut route = route(scheme, &[&silent, &good]);
    let options = options().dangerously_accept_invalid_certificates(true);
    tokio::select! {
        opened = open(&mut route, &options) => panic!("{scheme}: {:?}", opened.map(drop)),
        arrived = good.accept() => drop(arrived.unwrap()),
    }
}

#[tokio::test]
async fn an_address_that_accepts_and_says_nothing_is_passed_over() {
    let served = async {
        let (silent, good) = (listen("127.0.0.1").await, listen("127.0.0.2").await);
        let (mut route, options) = (route("tcp", &[&silent, &good]), options());
        let (opened, _io) = tokio::join!(open(&mut route, &options), serve(&good));
        assert_eq!(opened.map(|opened| opened.response.heartbeat).map_err(drop), Ok(3600));
        assert_eq!(route.last, Some(good.local_addr().unwrap()));
    };
    tokio::join!(served, arrives("tls"), arrives("ws"), arrives("wss"));
}

#[tokio::test]
async fn an_address_that_drops_syns_is_passed_over() {
    let ((dropping, _queued), good) = (full().await, listen("127.0.0.2").await);
    let (mut route, options) = (route("tcp", &[&dropping, &good]), options());
    let (opened, _io) = tokio::join!(open(&mut route, &options), serve(&good));
    assert!(opened.is_ok());
}

#[tokio::test]
async fn a_refusal_speaks_for_all_addresses() {
    let (refusing, other) = (listen("127.0.0.1").await, listen("127.0.0.2").await);
    let (mut route, options) = (route("ws", &[&refusing, &other]), options());
    let refuse = async {
        let (mut io, _) = refusing.accept().await.unwrap();
        io.read_buf(&mut Vec::new()).await.unwrap();
        io.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    };
    let (opened, ()) = tokio::join!(open(&mut route, &options), refuse);
    let Err(ConnectError::WebSocket(error)) = opened.map(drop) else { panic!("it is refused") };
    let status = error.downcast_ref();
    assert!(matches!(status, Some(tokio_websockets::Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(403)))));
    assert_eq!(route.last, Some(refusing.local_addr().unwrap()));
}

#[tokio::test]
async fn all_that_hang_are_a_timeout_of_the_whole() {
    let (one, two) = (listen("127.0.0.1").await, listen("127.0.0.2").await);
    let (mut route, whole) = (route("tcp", &[&one, &two]), Duration::from_millis(40));
    let error = open(&mut route, &options().connect_timeout(whole)).await.map(drop).unwrap_err();
    assert!(matches!(error, ConnectError::Timeout(told) if told == whole), "{error:?}");
}

#[tokio::test]
async fn a_lost_connection_is_restored_at_the_next_address() {
    let (first, second) = (listen("127.0.0.1").await, listen("127.0.0.2").await);
    let plan = Reconnect::default().backoff(Duration::from_millis(1), Duration::from_millis(2));
    let (mut route, options) = (route("tcp", &[&first, &second]), options().reconnect(plan));
    let (opened, io) = tokio::join!(open(&mut route, &options), serve(&first));
    let client = supervisor::start(opened.map_err(drop).unwrap(), &options, Some(route));
    drop(io);
    // The first one still accepts, and would be served by its queue.
    let io = serve(&second).await;
    client.connected().await.unwrap();
    drop(io);
    let _io = serve(&first).await;
    client.connected().await.unwrap();
}
