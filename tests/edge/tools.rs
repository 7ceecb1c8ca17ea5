//! Tools that everybody has: `openssl s_client` and `curl`.

use crate::support::{Files, start};
use pitaya_core::wire::packet::HEADER;
use pitaya_core::wire::{PacketKind, packet};
use pitaya_runtime::prelude::*;
use pitaya_tests::client::HANDSHAKE;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// Packets go through `openssl s_client` as they are: the handshake, its answer, and a certificate that verifies.
#[tokio::test]
async fn openssl_shakes_hands() {
    let files = Files::new();
    let app = start(Builder::new("game").acceptor(files.tls())).await;
    let port = app.addresses()[0].port();
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"])
        .args(["-verify_return_error", "-verify_hostname", "localhost", "-CAfile"])
        .arg(files.certificate())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is installed");
    let (mut stdin, mut stdout) = (client.stdin.take().expect("a pipe"), client.stdout.take().expect("a pipe"));
    let mut hello = Vec::new();
    packet::encode(PacketKind::Handshake, HANDSHAKE, &mut hello).expect("short");
    stdin.write_all(&hello).await.expect("written");
    let mut head = [0; HEADER];
    timeout(crate::support::SOON, stdout.read_exact(&mut head)).await.expect("in time").expect("an answer");
    assert_eq!(head[0], PacketKind::Handshake as u8);
    let mut body = vec![0; usize::from(head[2]) * 256 + usize::from(head[3])];
    stdout.read_exact(&mut body).await.expect("the whole answer");
    assert!(String::from_utf8_lossy(&body).contains("\"code\":200"));
}

/// What `curl` prints, with the head.
async fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-s", "-i", "-m", "2", "--http1.1"]).args(arguments).output().await;
    String::from_utf8_lossy(&output.expect("curl is installed").stdout).into_owned()
}

#[tokio::test]
async fn curl_upgrades_over_tls_and_gets_a_text_where_it_is_wrong() {
    let files = Files::new();
    let wss = WebSocket::over(files.tls()).pages([Page::new("/", "<p>hello")]);
    let app = start(Builder::new("game").acceptor(wss)).await;
    let port = app.addresses()[0].port();
    let url = format!("https://localhost:{port}/");
    let certificate = files.certificate().display().to_string();
    let trusting = ["--cacert", &certificate, &url];
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
    let key = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let answer = curl(&[&trusting[..], &upgrade, &key].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // The example of RFC 6455.
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    let page = curl(&trusting).await;
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.ends_with("<p>hello"), "{page}");
    let plain = curl(&[&format!("http://localhost:{port}/")]).await;
    assert!(plain.starts_with("HTTP/1.1 400 ") && plain.ends_with("use https or wss\n"), "{plain}");
}
