//! Whoever speaks another protocol than the port learns it at the first byte.

use crate::support::{Files, eventually, start};
use pitaya_runtime::prelude::*;
use pitaya_tests::client::Client;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What the server says to this, until it closes, which is within a second.
async fn answer(app: &App, place: usize, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.addresses()[place]).await.expect("accepted");
    stream.write_all(bytes).await.expect("written");
    let mut said = Vec::new();
    let closed = timeout(Duration::from_secs(1), stream.read_to_end(&mut said)).await;
    let _reset_or_not = closed.unwrap_or_else(|_| panic!("{bytes:x?} on port {place} waits"));
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn one_byte_is_enough() {
    const TLS: &[u8] = &[0x16];
    const PACKET: &[u8] = &[1];
    const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n";
    let files = Files::new();
    let builder = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).acceptor(files.tls());
    let builder = builder.acceptor(WebSocket::bind("127.0.0.1:0")).acceptor(WebSocket::over(files.tls()));
    let app = start(builder).await;
    let (tcp, tls, ws, wss) = (0, 1, 2, 3);

    // TLS on plain ports.
    assert_eq!(answer(&app, tcp, TLS).await, "");
    assert_eq!(answer(&app, ws, TLS).await, "");
    // Packets on ports of TLS: the first byte of a handshake, and nothing behind it.
    assert_eq!(answer(&app, tls, PACKET).await, "");
    assert_eq!(answer(&app, wss, PACKET).await, "");
    // HTTP on ports of TLS is told why.
    for place in [tls, wss] {
        let said = answer(&app, place, HTTP).await;
        assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n") && said.ends_with("use https or wss\n"), "{said}");
    }
    // And on a port of packets.
    answer(&app, tcp, HTTP).await;
    eventually("all are counted", || app.counts().wrong_protocol == 7).await;
    let counts = app.counts();
    assert_eq!((counts.failed_establish, counts.closed("malformed")), (5, 2), "{counts:?}");
    eventually("none is left", || app.sessions().count() == 0).await;
}

/// A client that closes TCP without a word has closed, with TLS as without: so do programs that are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_end_without_a_goodbye_is_the_clients() {
    let files = Files::new();
    let app = start(Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).acceptor(files.tls())).await;
    let (tcp, tls) = (app.addresses()[0], app.addresses()[1]);
    let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(files.pair.certificate.as_bytes());
    let certificate = certificate.expect("a certificate");
    for mut client in [Client::tcp(tcp), Client::tls(tls, certificate)] {
        // It has read what was sent: bytes that nobody reads would reset the connection.
        client.open();
        drop(client);
    }
    eventually("both have gone", || app.counts().closed("client") + app.counts().closed("connection") == 2).await;
    assert_eq!(app.counts().closed("client"), 2);
}
