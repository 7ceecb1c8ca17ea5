//! A game that tells who its clients are, and clients at addresses of their choice.

use pitaya_runtime::prelude::*;
use pitaya_tests::PATIENCE;
use pitaya_tests::client::Client;
use pitaya_tests::websocket::WebSocket as Socket;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The load balancer of these tests; all of 127.0.0.0/8 is this machine.
pub const PROXY: &str = "127.0.0.2";
/// Somebody else.
pub const STRANGER: &str = "127.0.0.1";

pub struct Game;

#[handler(name = "room")]
impl Game {
    /// The client's address, and what is kept of it for other servers.
    pub fn who(&self, session: &Session) -> Raw {
        let address = session.remote_addr().map(|address| address.to_string()).unwrap_or_default();
        let data = session.data().to_wire();
        Raw::from(format!("{address} {}", String::from_utf8_lossy(&data)))
    }

    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

/// Trusts [`PROXY`], over the PROXY protocol and in headers.
pub fn behind_a_proxy(config: &mut Config) {
    config.acceptor.proxyprotocol = true;
    config.acceptor.trustedproxies = vec![PROXY.parse().expect("a network")];
}

pub async fn start(builder: Builder) -> App {
    let app = builder.build().expect("a valid app");
    app.start().await.expect("a free port");
    app
}

pub async fn tcp(configure: impl FnOnce(&mut Config)) -> App {
    start(Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).handlers(Game).configure(configure)).await
}

pub async fn websocket(configure: impl FnOnce(&mut Config)) -> App {
    start(Builder::new("game").acceptor(WebSocket::bind("127.0.0.1:0")).handlers(Game).configure(configure)).await
}

/// A connection from this address that has said these bytes.
pub async fn dial(to: SocketAddr, from: &str, first: &[u8]) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0)).expect("bound");
    let stream = socket.connect(to).await.expect("accepted").into_std().expect("a plain socket");
    stream.set_nonblocking(false).expect("a socket that waits");
    stream.set_nodelay(true).expect("a socket without delay");
    // Who is closed meanwhile finds out when it reads.
    let _ = (&stream).write_all(first);
    stream
}

/// A client of packets that has shaken hands behind these bytes.
pub async fn player(app: &App, from: &str, first: &[u8]) -> Client {
    let mut client = Client::over(dial(app.addresses()[0], from, first).await);
    client.open();
    client
}

/// The same over a WebSocket with these headers.
pub async fn browser(app: &App, from: &str, first: &[u8], headers: &str) -> Client {
    let stream = dial(app.addresses()[0], from, first).await;
    let mut client = Client::over(Socket::over(stream, "/", headers));
    client.open();
    client
}

/// The address under which the server knows it, and the kind that other servers are told.
pub fn who(client: &mut Client) -> (String, String) {
    let answer = client.request(1, "game.room.who", b"");
    let (address, data) = answer.text().split_once(' ').expect("two parts");
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    (address.to_owned(), data["ipversion"].as_str().unwrap_or_default().to_owned())
}

pub fn address_of(client: &mut Client) -> String {
    who(client).0
}

/// Waits until `done`, looking often; for states that announce themselves nowhere.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
