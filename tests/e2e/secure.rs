//! TLS and WebSocket: four ways into one app, and what happens on the wrong one.

use crate::support::{SOON, eventually, serve};
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

/// A certificate for `localhost` and its key, in files.
struct Pair {
    dir: TempDir,
    pem: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("server.crt"), made.cert.pem()).expect("written");
        std::fs::write(dir.path().join("server.key"), made.signing_key.serialize_pem()).expect("written");
        Self { dir, pem: made.cert.pem() }
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("server.crt")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("server.key")
    }
}

const SCHEMES: [&str; 4] = ["tcp", "tls", "ws", "wss"];

/// An app that listens in the order of [`SCHEMES`].
async fn everywhere(pair: &Pair) -> App {
    let tls = || Tcp::bind("127.0.0.1:0").tls(pair.certificate(), pair.key());
    let app = Builder::new("game")
        .acceptor(Tcp::bind("127.0.0.1:0"))
        .acceptor(tls())
        .acceptor(WebSocket::bind("127.0.0.1:0"))
        .acceptor(WebSocket::over(tls()))
        .handlers(Room)
        .build()
        .expect("a valid app");
    app.start().await.expect("free ports");
    app
}

async fn dial(app: &App, pair: &Pair, scheme: &str, port: usize) -> Result<Client, pitaya_client::ConnectError> {
    let address = format!("{scheme}://localhost:{}", app.addresses()[port].port());
    Client::options().root_certificate(pair.pem.clone()).connect(&address).await
}

#[tokio::test]
async fn every_way_in_leads_to_the_same_app() {
    let pair = Pair::new();
    let app = everywhere(&pair).await;
    let mut clients = Vec::new();
    for (port, scheme) in SCHEMES.iter().enumerate() {
        clients.push(dial(&app, &pair, scheme, port).await.expect(scheme));
    }
    for (client, scheme) in clients.iter().zip(SCHEMES) {
        // Small, and longer than any buffer on the way.
        for length in [5, 300_000] {
            let body = vec![b'x'; length];
            assert_eq!(client.request_raw("game.room.echo", body.clone()).await.expect(scheme), body);
        }
    }
    assert_eq!((app.sessions().count(), app.counts().accepted), (4, 4));
    for client in &clients {
        client.close().await;
    }
    eventually("all have left in order", || app.counts().closed("client") == 4).await;
}

#[tokio::test]
async fn whoever_speaks_another_protocol_than_the_port_learns_it_within_a_second() {
    let pair = Pair::new();
    let app = everywhere(&pair).await;
    for (port, right) in SCHEMES.iter().enumerate() {
        for scheme in SCHEMES.iter().filter(|scheme| *scheme != right) {
            let connected = timeout(Duration::from_secs(1), dial(&app, &pair, scheme, port)).await;
            let connected = connected.unwrap_or_else(|_| panic!("{scheme} on the port of {right} waits"));
            assert!(connected.is_err(), "{scheme} on the port of {right} works");
        }
    }
    eventually("none is left", || app.sessions().count() == 0).await;
    // What is not TLS or HTTP fails before it is a session; what is decoded further is malformed.
    let counts = app.counts();
    assert_eq!((counts.failed_establish, counts.closed("malformed")), (8, 4), "{counts:?}");
    for (port, scheme) in SCHEMES.iter().enumerate() {
        dial(&app, &pair, scheme, port).await.expect("the right ones still come in");
    }
}

#[test]
fn each_thing_that_is_wrong_with_certificates_has_its_own_text() {
    let (pair, other) = (Pair::new(), Pair::new());
    let empty = pair.dir.path().join("empty.pem");
    std::fs::write(&empty, "no PEM at all").expect("written");
    let nowhere = pair.dir.path().join("nowhere.pem");
    let cases = [
        (nowhere.clone(), pair.key(), "cannot be read", "nowhere.pem"),
        (empty.clone(), pair.key(), "has no certificate in it", "empty.pem"),
        (pair.certificate(), nowhere, "cannot be read", "nowhere.pem"),
        (pair.certificate(), empty, "has no private key in it", "empty.pem"),
        (pair.certificate(), other.key(), "do not go together", "server.crt"),
    ];
    for (certificate, key, text, file) in cases {
        let builder = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0").tls(certificate, key));
        let error = builder.build().expect_err(text).to_string();
        assert!(error.contains(text) && error.contains(file), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_does_not_connect() {
    let (pair, other) = (Pair::new(), Pair::new());
    let app = everywhere(&pair).await;
    for (port, scheme) in [(1, "tls"), (3, "wss")] {
        let error = dial(&app, &other, scheme, port).await.expect_err("not trusted");
        assert!(matches!(error, pitaya_client::ConnectError::Tls(_)), "{error}");
    }
    eventually("both are counted", || app.counts().failed_establish == 2).await;
}

/// What the port says to a request, until it closes or upgrades.
async fn http(app: &App, port: usize, request: &str) -> String {
    let mut stream = TcpStream::connect(app.addresses()[port]).await.expect("accepted");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    while !(answer.starts_with(b"HTTP/1.1 101") && answer.ends_with(b"\r\n\r\n")) {
        let read = timeout(SOON, stream.read_buf(&mut answer)).await.expect("an answer in time");
        if read.expect("in order") == 0 {
            break;
        }
    }
    String::from_utf8(answer).expect("a text")
}

fn upgrade(origin: &str) -> String {
    format!(
        "GET /any HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n{origin}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[tokio::test]
async fn pages_are_served_on_the_port_of_the_websocket() {
    let pages = [Page::new("/", "<p>hello</p>"), Page::new("/app.js", "let a;")];
    let app = serve(Builder::new("game").acceptor(WebSocket::bind("127.0.0.1:0").pages(pages)).handlers(Room)).await;
    for (path, status, media_type, content) in [
        ("/", "200 OK", "text/html; charset=utf-8", "<p>hello</p>"),
        ("/app.js?v=1", "200 OK", "text/javascript; charset=utf-8", "let a;"),
        ("/none", "404 Not Found", "text/plain", "no such page\n"),
    ] {
        let answer = http(&app, 0, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert!(head.contains(&format!("Content-Type: {media_type}\r\n")), "{head}");
        assert_eq!(body, content);
    }
    let address = format!("ws://{}/game", app.addresses()[0]);
    let client = Client::connect(&address).await.expect("accepted");
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("served"), "x");
    assert_eq!(app.counts().failed_establish, 0, "a page is no failure");
}

#[tokio::test]
async fn only_allowed_origins_are_upgraded() {
    let listed = WebSocket::bind("127.0.0.1:0").origins(["https://game.example"]);
    let app = serve(Builder::new("game").acceptor(listed).acceptor(WebSocket::bind("127.0.0.1:0"))).await;
    for (port, origin, status) in [
        (0, "Origin: https://game.example\r\n", "101"),
        (0, "Origin: https://evil.example\r\n", "403"),
        (0, "Origin: null\r\n", "403"),
        (0, "", "101"),
        (1, "Origin: https://evil.example\r\n", "101"),
    ] {
        let answer = http(&app, port, &upgrade(origin)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{origin:?}: {answer}");
    }
    // The example of RFC 6455.
    let answer = http(&app, 0, &upgrade("")).await;
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
}
