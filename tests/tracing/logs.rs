//! The log: what it says, how often, and what it never says.

use crate::world::{connect, eventually};
use pitaya_core::wire::PacketKind;
use pitaya_runtime::cluster::EtcdDiscovery;
use pitaya_runtime::cluster::nats::NatsTransport;
use pitaya_runtime::config::Config;
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::Capture;
use pitaya_tests::client::Client;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tracing::Level;

/// A line of its own, and what a terminal obeys.
const EVIL: &str = "x\r\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J\u{9b}31m\u{7f}\0\u{202e}";

struct Room(AtomicUsize);

#[handler]
impl Room {
    pub fn fail(&self, raw: Raw) -> Result<Raw> {
        Err(Error::new(EVIL, String::from_utf8_lossy(&raw.0).into_owned()))
    }

    #[route(notify)]
    pub fn tell(&self, raw: Raw) -> Result<()> {
        Err(Error::bad_request(String::from_utf8_lossy(&raw.0).into_owned()))
    }

    pub fn panic(&self, raw: Raw) -> Raw {
        // Without the hook of the standard library, which writes to standard error whatever the log does.
        std::panic::resume_unwind(Box::new(String::from_utf8_lossy(&raw.0).into_owned()))
    }

    pub fn number(&self, number: u32) -> u32 {
        number
    }

    #[on(session_closed)]
    async fn closed(&self, session: &Session) -> Result<()> {
        self.0.fetch_add(1, SeqCst);
        Err(Error::internal(format!("{EVIL} {}", session.id())))
    }
}

async fn app(change: impl FnOnce(Builder) -> Builder) -> App {
    let builder = Builder::new("chat").acceptor(Tcp::bind("127.0.0.1:0")).acceptor(WebSocket::bind("127.0.0.1:0"));
    let app = change(builder.handlers(Room(AtomicUsize::new(0)))).build().expect("a valid app");
    app.start().await.expect("it starts");
    app
}

/// Everything a client can say that somebody might write down.
fn say_it_all(tcp: SocketAddr, websocket: SocketAddr) {
    let mut client = Client::tcp(tcp);
    client.open();
    for (n, route) in ["chat.room.fail", "chat.room.panic", "chat.room.number", EVIL, "chat.room.\u{1b}", "other.a.b"]
        .into_iter()
        .enumerate()
    {
        client.request(n as u64 + 1, route, EVIL.as_bytes());
        client.notify(route, EVIL.as_bytes());
    }
    client.notify("chat.room.tell", EVIL.as_bytes());
    client.request(99, "chat.room.number", b"7");
    for handshake in [EVIL.to_owned(), serde_json::json!({"sys": {"platform": EVIL}, "user": {EVIL: EVIL}}).to_string()]
    {
        let mut client = Client::tcp(tcp);
        client.send_packet(PacketKind::Handshake, handshake.as_bytes());
        let _ = client.packet_or_end();
    }
    let mut client = Client::tcp(tcp);
    client.open();
    client.send_packet(PacketKind::Data, EVIL.as_bytes());
    client.assert_ended();
    for request in [EVIL.to_owned(), format!("GET /{EVIL} HTTP/1.1\r\nUpgrade: {EVIL}\r\n\r\n")] {
        let mut stream = TcpStream::connect(websocket).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it is sent");
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    }
}

#[tokio::test]
async fn what_clients_say_cannot_forge_a_line() {
    let (log, _guard) = Capture::start(Level::TRACE);
    let app = app(|builder| {
        let refuse =
            |_: &pitaya_runtime::wire::HandshakeData| -> std::result::Result<(), pitaya_runtime::Refusal> { Ok(()) };
        builder.validate_handshake("any", refuse).on_session_closed(|_, _| std::panic::resume_unwind(Box::new(EVIL)))
    })
    .await;
    let (tcp, websocket) = (app.addresses()[0], app.addresses()[1]);
    tokio::task::spawn_blocking(move || say_it_all(tcp, websocket)).await.expect("it is said");
    app.shutdown().await;

    let text = log.text();
    for said in [
        "it panicked",
        "session closed",
        "an error that no client is told",
        "session_Closed of",
        "connection refused",
        "reason=\"handshake_invalid\"",
        "reason=\"not_http\"",
    ] {
        assert!(text.contains(said), "`{said}` is missing, so this proves nothing:\n{text}");
    }
    let raw = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    assert_eq!(raw, None, "{text:?}");
    for line in text.lines() {
        assert!(line.contains(" pitaya_"), "not a line of ours: {line:?}");
        assert!(!line.starts_with("2026-01-01"), "forged: {line:?}");
    }
}

#[tokio::test]
async fn one_line_for_each_beginning_and_end() {
    let (log, _guard) = Capture::start(Level::DEBUG);
    let app = app(|builder| builder).await;
    for _ in 0..5 {
        connect(&app).await.close().await;
    }
    let silent = Client::tcp(app.addresses()[0]);
    eventually("it is there", || app.counts().accepted == 6).await;
    eventually("all others are gone", || app.sessions().count() == 1).await;
    app.shutdown().await;
    drop(silent);
    let (opened, closed) = (log.lines("session opened"), log.lines("session closed"));
    assert_eq!((opened.len(), closed.len()), (6, 6), "{}", log.text());
    for line in opened.iter().chain(&closed) {
        assert!(line.contains(" DEBUG ") && line.contains(" session="), "{line}");
    }
    let ended = |reason: &str| closed.iter().filter(|line| line.contains(&format!("reason={reason}"))).count();
    assert_eq!((ended("client"), ended("shutdown")), (5, 1), "{closed:#?}");
    assert!(opened.iter().all(|line| line.contains("remote=127.0.0.1:")), "{opened:#?}");
}

#[tokio::test]
async fn a_flood_is_a_handful_of_lines() {
    let (log, _guard) = Capture::start(Level::INFO);
    let app = app(|builder| builder.on_session_closed(|_, _| std::panic::resume_unwind(Box::new("again")))).await;
    let before = log.text().lines().count();
    let began = std::time::Instant::now();
    let tcp = app.addresses()[0];
    let flood = move || {
        for _ in 0..100 {
            let mut client = Client::tcp(tcp);
            client.open();
            for n in 1..=20 {
                client.request(n, "chat.room.panic", b"x");
                client.request(n, "chat.room.fail", b"x");
                client.request(n, "no.such.route", b"x");
                client.notify("chat.room.tell", b"x");
                client.notify("chat.room.panic", b"x");
            }
            client.send(b"\xff\xff\xff\xff");
            client.assert_ended();
        }
    };
    tokio::task::spawn_blocking(flood).await.expect("it is done");
    eventually("all are closed", || app.counts().closed("malformed") == 100).await;
    let text = log.text();
    app.shutdown().await;
    let lines: Vec<_> = text.lines().skip(before).collect();
    assert!(app.counts().panics >= 4_000, "{:?}", app.counts());
    let seconds = began.elapsed().as_secs() as usize + 1;
    // Panics and failed hooks: one line a second each.
    assert!(lines.len() <= 2 * seconds + 1, "{} lines in {seconds} s: {lines:#?}", lines.len());
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("missed=")), "{lines:#?}");
}

#[tokio::test]
async fn no_password_is_written_anywhere() {
    const SECRET: &str = "hunter2";
    let (log, _guard) = Capture::start(Level::TRACE);
    let mut said = Vec::new();
    // Nobody listens there.
    let port = TcpStream::connect("127.0.0.1:1").err().map_or(2, |_| 1);
    let mut config = Config::default();
    config.cluster.rpc.client.nats.connect = format!("nats://root:{SECRET}@127.0.0.1:{port}");
    config.cluster.rpc.client.nats.maxreconnectionretries = 0;
    let transport = NatsTransport::new(&config.cluster.rpc);
    said.push(format!("{transport:?}"));
    config.cluster.sd.etcd.dialtimeout = std::time::Duration::from_millis(200);
    let game = Builder::new("room").config(config.clone()).clustered().handlers(Room(AtomicUsize::new(0)));
    let game = game.build().expect("a valid app");
    said.push(game.start().await.expect_err("there is no broker").to_string());
    for wrong in [format!("nats://root:{SECRET}@127.0.0.1:port"), format!("ws://root:{SECRET}@a")] {
        config.cluster.rpc.client.nats.connect = wrong;
        let game = Builder::new("room").config(config.clone()).clustered().build();
        said.push(match game {
            Err(error) => error.to_string(),
            Ok(app) => app.start().await.expect_err("no address").to_string(),
        });
    }
    config.cluster.sd.etcd.endpoints = vec![format!("http://root:{SECRET}@127.0.0.1:{port}")];
    said.push(EtcdDiscovery::new(&config.cluster.sd.etcd).expect_err("names have keys").to_string());
    let environment = [
        ("PITAYA_HEARTBEAT_INTERVAL".to_owned(), format!("nats://root:{SECRET}@a")),
        ("PITAYA_CLUSTER_SD_ETCD_PASS".to_owned(), SECRET.to_owned()),
    ];
    said.push(Config::from_sources(None, environment).expect_err("no duration").to_string());
    assert_eq!(said.len(), 6);
    said.push(log.text());
    for text in &said {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(said.iter().any(|text| text.contains("cannot connect to NATS at nats://127.0.0.1")), "{said:#?}");
}
