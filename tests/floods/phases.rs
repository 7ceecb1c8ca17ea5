//! The phases before a session, each a row: how a client gets there, and what it then sends, bit by bit or not at all.

use pitaya_core::wire::{PacketKind, packet};
use pitaya_tests::client::HANDSHAKE;
use pitaya_tests::process::Conformance;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// The places of the acceptors, in the order of [`serve`].
pub const TCP: usize = 0;
pub const TLS: usize = 1;
pub const WS: usize = 2;
pub const PROXIED: usize = 3;
pub const WAYS: &str = "tcp,tls,ws,proxy";

/// One phase.
pub struct Phase {
    pub name: &'static str,
    /// The acceptor.
    pub way: usize,
    /// What is sent at once.
    pub opening: Vec<u8>,
    /// The server says something to that, and the client waits for it.
    pub answered: bool,
    /// What comes behind it, one byte a second, of those that drip.
    pub drip: Vec<u8>,
    /// What a connection in this phase may cost, in KiB.
    pub kib: f64,
}

/// All of them.
pub fn phases() -> Vec<Phase> {
    let hello = client_hello();
    let (first, rest) = hello.split_at(hello.len() / 2);
    let handshake = wrap(HANDSHAKE);
    let (half, other_half) = handshake.split_at(handshake.len() / 2);
    // Before its acknowledgement a client may shake hands again; this one never gets to the end.
    let again = wrap(&[b' '; 1_000]);
    let phase = |name, way, opening: &[u8], answered, drip: &[u8], kib| Phase {
        name,
        way,
        opening: opening.to_vec(),
        answered,
        drip: drip.to_vec(),
        kib,
    };
    vec![
        phase("TCP, nothing sent", TCP, b"", false, &handshake, 4.0),
        phase("PROXY header, nothing sent", PROXIED, b"", false, b"PROXY TCP4 203.0.113.7", 4.0),
        phase("PROXY header, half of it", PROXIED, b"PROXY TCP4 203.0.", false, b"113.7 192.0.2.1 56", 4.0),
        phase("TLS, nothing sent", TLS, b"", false, &hello, 24.0),
        phase("TLS, half a hello", TLS, first, false, rest, 24.0),
        phase(
            "WebSocket, half a head",
            WS,
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            false,
            b"X: yyyyyyyyyyyyyyyyyyyyyyyyyy",
            4.0,
        ),
        phase("handshake, half of it", TCP, half, false, other_half, 4.0),
        phase("handshake, not acknowledged", TCP, &handshake, true, &again, 4.0),
    ]
}

fn wrap(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    packet::encode(PacketKind::Handshake, body, &mut out).expect("short");
    out
}

/// What a client of TLS says first.
fn client_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("the provider has them").with_root_certificates(rustls::RootCertStore::empty());
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = rustls::ClientConnection::new(Arc::new(config.with_no_client_auth()), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("into memory");
    hello
}

/// A server in a process of its own, and the files it needs.
pub struct Server {
    pub process: Conformance,
    _folder: TempDir,
}

/// Starts one with all the ways in, and these variables besides.
pub fn serve(env: &[(&str, &str)]) -> Server {
    let folder = tempfile::tempdir().expect("a directory");
    let (certificate, key) = pitaya_tests::certificates::Pair::localhost().write(folder.path());
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let mut all = vec![("PITAYA_ACCEPTOR_TLS_CERTIFICATE", &*certificate), ("PITAYA_ACCEPTOR_TLS_KEY", &*key)];
    all.push(("PITAYA_ACCEPTOR_TRUSTEDPROXIES", "127.0.0.0/8"));
    all.extend(env);
    Server { process: Conformance::start(&["-ways", WAYS], &all), _folder: folder }
}

impl Phase {
    /// A connection that is in this phase.
    pub async fn enter(&self, addresses: &[SocketAddr]) -> TcpStream {
        let mut stream = TcpStream::connect(addresses[self.way]).await.expect("accepted");
        stream.write_all(&self.opening).await.expect("written");
        if self.answered {
            assert_ne!(stream.read(&mut [0; 512]).await.expect("an answer"), 0, "{}: closed at once", self.name);
        }
        stream
    }

    /// Stays in it, silent or dripping, until the server ends it. Returns how long it had been connected.
    pub async fn stay(&self, addresses: &[SocketAddr], drips: bool) -> Duration {
        let begun = Instant::now();
        let mut stream = self.enter(addresses).await;
        let mut drops = self.drip.iter().filter(|_| drips);
        let (mut next, mut buffer) = (Instant::now(), [0; 512]);
        loop {
            next += Duration::from_secs(1);
            tokio::select! {
                read = stream.read(&mut buffer) => if !read.is_ok_and(|read| read > 0) {
                    return begun.elapsed();
                },
                () = sleep_until(next) => if let Some(drop) = drops.next() {
                    let _ = stream.write_all(&[*drop]).await;
                },
            }
        }
    }
}
