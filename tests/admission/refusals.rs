//! Connections that do not become sessions: each is counted by its reason, logged at a bounded rate, and its client is
//! told what the wire has room for.

use crate::support::{Game, PROXY, STRANGER, dial, eventually, player, start};
use pitaya_core::wire::packet::HEADER;
use pitaya_core::wire::{PacketKind, packet};
use pitaya_runtime::prelude::*;
use pitaya_tests::PATIENCE;
use pitaya_tests::certificates::Pair;
use pitaya_tests::process::Conformance;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn wrap(kind: PacketKind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    packet::encode(kind, body, &mut out).expect("it fits");
    out
}

fn rest(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut said = Vec::new();
    // Cut with or without a reset.
    let _ = stream.read_to_end(&mut said);
    said
}

/// What the server says to these bytes until it closes.
async fn answer(to: SocketAddr, from: &str, bytes: &[u8]) -> Vec<u8> {
    let stream = dial(to, from, bytes).await;
    tokio::task::spawn_blocking(|| rest(stream)).await.expect("no panic")
}

/// The document that refuses a handshake.
fn refusal(packet: &[u8]) -> serde_json::Value {
    serde_json::from_slice(&packet[HEADER..]).unwrap_or_else(|e| panic!("{e}: {packet:x?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_is_counted_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = Pair::localhost().write(folder.path());
    let builder = Builder::new("game")
        .acceptor(Tcp::bind("127.0.0.1:0"))
        .acceptor(WebSocket::bind("127.0.0.1:0").origins(["https://game.example"]))
        .acceptor(Tcp::bind("127.0.0.1:0").tls(certificate, key))
        .acceptor(Tcp::bind("127.0.0.1:0").proxy_protocol(true))
        .handlers(Game)
        .validate_handshake(
            "age",
            |data: &pitaya_runtime::wire::HandshakeData| {
                if data.user.contains_key("young") { Err("too young".into()) } else { Ok(()) }
            },
        )
        .configure(|config| {
            config.acceptor.trustedproxies = vec![PROXY.parse().expect("a network")];
            config.limits.handshake.timeout = Duration::from_secs(2);
        });
    let app = start(builder).await;
    let [tcp, ws, tls, proxied] = app.addresses()[..] else { panic!("four") };
    let token = |length| format!(r#"{{"user":{{"token":"{}"}}}}"#, "a".repeat(length));
    let cases: Vec<(&str, SocketAddr, Vec<u8>, &str)> = vec![
        ("http_on_tcp", tcp, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), ""),
        ("tls_on_plain", tcp, b"\x16\x03\x01\x02\x00\x01".to_vec(), ""),
        ("tls_on_plain", ws, b"\x16\x03\x01\x02\x00\x01".to_vec(), ""),
        ("not_tls", tls, wrap(PacketKind::Handshake, b"{}"), ""),
        ("not_tls", tls, b"GET / HTTP/1.1\r\n\r\n".to_vec(), "use https or wss"),
        ("tls", tls, b"\x16\x03\x01\x00\x05hello".to_vec(), ""),
        ("not_http", ws, wrap(PacketKind::Handshake, b"{}"), ""),
        ("not_a_packet", tcp, b"\x09\x00\x00\x01x".to_vec(), ""),
        ("before_handshake", tcp, wrap(PacketKind::Data, b"\0\0"), ""),
        ("before_handshake", tcp, packet::ACK.to_vec(), ""),
        ("handshake_too_long", tcp, wrap(PacketKind::Handshake, token(17_000).as_bytes()), "exceeds the limit"),
        ("handshake_invalid", tcp, wrap(PacketKind::Handshake, b"hello"), "the handshake is no JSON"),
        ("handshake_invalid", tcp, wrap(PacketKind::Handshake, br#"{"user":3}"#), "the handshake's user must be"),
        ("handshake_refused", tcp, wrap(PacketKind::Handshake, br#"{"user":{"young":true}}"#), "too young"),
        ("handshake_timeout", tcp, Vec::new(), ""),
        ("handshake_timeout", ws, b"GET / HT".to_vec(), ""),
        ("proxy_header", proxied, b"PROXY nonsense\r\n".to_vec(), ""),
        ("upgrade", ws, format!("{UPGRADE}\r\n").into_bytes(), "Sec-WebSocket-Key"),
        (
            "upgrade_too_large",
            ws,
            format!("{UPGRADE}{KEY}A: {}\r\n\r\n", "x".repeat(20_000)).into_bytes(),
            "HTTP/1.1 431",
        ),
        ("upgrade_too_large", ws, format!("{UPGRADE}{KEY}{}\r\n", "A: b\r\n".repeat(130)).into_bytes(), "HTTP/1.1 431"),
        ("origin", ws, format!("{UPGRADE}{KEY}Origin: https://evil.example\r\n\r\n").into_bytes(), "HTTP/1.1 403"),
        ("origin", ws, [UPGRADE.as_bytes(), KEY.as_bytes(), b"Origin: \xff\r\n\r\n"].concat(), "HTTP/1.1 403"),
    ];
    for (reason, to, bytes, told) in cases {
        let before = app.counts().refused(reason);
        let from = if to == proxied { PROXY } else { STRANGER };
        let said = answer(to, from, &bytes).await;
        let text = String::from_utf8_lossy(&said);
        assert!(if told.is_empty() { said.is_empty() } else { text.contains(told) }, "{reason}: {text}");
        if said.first() == Some(&(PacketKind::Handshake as u8)) {
            let document = refusal(&said);
            assert_eq!(document["code"], 400);
            assert!(document["message"].as_str().is_some_and(|message| message.contains(told)), "{document}");
            assert!(text.find("\"sys\"") < text.find("\"message\""), "behind all of Go's keys: {text}");
        }
        eventually(reason, || app.counts().refused(reason) == before + 1).await;
    }
    // A browser that asks for a subprotocol gets none and goes away.
    let mut stream = dial(ws, STRANGER, format!("{UPGRADE}{KEY}Sec-WebSocket-Protocol: mqtt\r\n\r\n").as_bytes()).await;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 101"));
    drop(stream);
    eventually("subprotocol", || app.counts().refused("subprotocol") == 1).await;
    // A real token fits, and whoever comes in is no refusal; nor is one that connects and goes.
    let sum: u64 = app.counts().refused.iter().sum();
    let welcome = {
        let mut stream = dial(tcp, STRANGER, &wrap(PacketKind::Handshake, token(15_000).as_bytes())).await;
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[HEADER..length]).into_owned()
    };
    assert!(welcome.starts_with(r#"{"code":200"#), "{welcome}");
    player(&app, STRANGER, b"").await;
    drop(dial(tls, STRANGER, b"").await);
    drop(dial(ws, STRANGER, b"").await);
    eventually("all are gone", || app.sessions().count() == 0).await;
    assert_eq!(app.counts().refused.iter().sum::<u64>(), sum);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_admission_are_reasons_too() {
    for (reason, limit) in [
        ("total", (|config| config.limits.connections.total = 1) as fn(&mut Config)),
        ("per_address", |config| config.limits.connections.peraddress = 1),
        ("rate", |config| config.limits.accept.rate = 1),
    ] {
        let app = crate::support::tcp(limit).await;
        let _first = player(&app, STRANGER, b"").await;
        assert_eq!(answer(app.addresses()[0], STRANGER, b"").await, b"");
        eventually(reason, || app.counts().refused(reason) == 1).await;
        app.shutdown().await;
    }
}

/// A stranger makes neither a log nor a metric grow.
#[test]
fn a_flood_of_them_is_a_line_a_second() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let server = Conformance::start(
        &["-ways", "tcp,ws"],
        &[
            ("PITAYA_METRICS_PROMETHEUS_ENABLED", "true"),
            ("PITAYA_METRICS_PROMETHEUS_HOST", "127.0.0.1"),
            ("PITAYA_METRICS_PROMETHEUS_PORT", &port.to_string()),
            ("PITAYA_METRICS_PERIOD", "100ms"),
        ],
    );
    let [tcp, _] = server.addresses()[..] else { panic!("two") };
    let refused = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(tcp).expect("accepted");
        stream.write_all(bytes).expect("written");
        rest(stream);
    };
    let first = Instant::now();
    let mut sent = 0;
    while sent < 300 || first.elapsed() < Duration::from_millis(1_100) {
        refused(format!("GET /{sent} HTTP/1.1\r\n\r\n").as_bytes());
        refused(&wrap(PacketKind::Handshake, format!("\"{sent}\u{1b}[31m").as_bytes()));
        sent += 1;
    }
    let last = first.elapsed().as_secs() as usize + 2;
    std::thread::sleep(Duration::from_secs(1));
    refused(b"GET / HTTP/1.1\r\n\r\n");
    let lines: Vec<_> = {
        server.logs("connection refused");
        let end = Instant::now() + Duration::from_millis(500);
        let mut lines = Vec::new();
        while Instant::now() < end {
            lines.extend(server.logged());
            std::thread::sleep(Duration::from_millis(10));
        }
        lines
    };
    for reason in ["http_on_tcp", "handshake_invalid"] {
        let told: Vec<_> = lines.iter().filter(|line| line.contains(reason)).collect();
        assert!(!told.is_empty() && told.len() <= last + 1, "{reason}: {} lines in {last} s: {lines:#?}", told.len());
        assert!(told.iter().all(|line| line.contains("127.0.0.1:") && line.len() < 600), "{told:#?}");
    }
    let scrape = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("accepted");
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("written");
        String::from_utf8(rest(stream)).expect("text")
    };
    let end = Instant::now() + PATIENCE;
    loop {
        let text = scrape();
        let row =
            |line: &&str| line.contains("pitaya_server_refused_connections_total{") && line.contains("http_on_tcp");
        if text.lines().find(row).is_some_and(|line| line.ends_with(&format!(" {}", sent + 1))) {
            let series =
                text.lines().filter(|line| line.starts_with("pitaya_server_refused_connections_total{")).count();
            assert_eq!(series, 21, "one for each reason: {text}");
            break;
        }
        assert!(Instant::now() < end, "{text}");
    }
}
