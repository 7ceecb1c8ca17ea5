//! Clients who only want to play: logins at a fixed rate, whatever else goes on.

use pitaya_core::wire::{Message, MessageKind, Packet, PacketKind, packet};
use pitaya_tests::client::HANDSHAKE;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Logins a second.
const RATE: u32 = 200;

/// Logs in at the rate for this time, in turn at each of the servers, and gives the 99th percentile of each: how long a
/// login took from when it was due, since a client that had to wait for its turn has waited. What else the machine does
/// falls on all servers alike.
pub async fn logins<const SERVERS: usize>(addresses: [SocketAddr; SERVERS], time: Duration) -> [Duration; SERVERS] {
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for n in 0..time.as_secs() as u32 * RATE {
        let due = begun + Duration::from_secs(1) / RATE * n;
        sleep_until(due).await;
        let server = n as usize % SERVERS;
        let address = addresses[server];
        all.spawn(async move {
            login(address).await;
            (server, due.elapsed())
        });
    }
    let mut times = [const { Vec::new() }; SERVERS];
    for (server, took) in all.join_all().await {
        times[server].push(took);
    }
    times.map(p99)
}

/// Shakes hands, and has one request answered.
pub async fn login(address: SocketAddr) {
    let (mut stream, mut read) = open(address).await;
    stream.write_all(&message(MessageKind::Request, "connector.room.join", b"{}")).await.expect("written");
    until(&mut stream, &mut read, PacketKind::Data).await;
}

/// A connection whose handshake is done, and what was read behind it.
pub async fn open(address: SocketAddr) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.expect("accepted");
    stream.set_nodelay(true).expect("a socket without delay");
    let mut out = Vec::new();
    packet::encode(PacketKind::Handshake, HANDSHAKE, &mut out).expect("short");
    stream.write_all(&out).await.expect("written");
    let mut read = Vec::new();
    until(&mut stream, &mut read, PacketKind::Handshake).await;
    stream.write_all(&packet::ACK).await.expect("written");
    (stream, read)
}

/// A whole packet with a message; a request has the id 1.
pub fn message(kind: MessageKind, route: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let at = packet::open(&mut out, PacketKind::Data);
    let id = u64::from(kind == MessageKind::Request);
    let message = Message { kind, id, route: Some(route.into()), compressed: false, error: false, body };
    message.encode(&mut out).expect("a short route");
    packet::seal(&mut out, at).expect("a body that fits");
    out
}

/// Reads until there was a packet of this kind.
pub async fn until(stream: &mut TcpStream, read: &mut Vec<u8>, kind: PacketKind) {
    loop {
        while let Some((packet, length)) = Packet::decode(read, packet::MAX_BODY).expect("packets") {
            let found = packet.kind == kind;
            read.drain(..length);
            if found {
                return;
            }
        }
        assert_ne!(stream.read_buf(read).await.expect("in order"), 0, "closed before its {kind:?}");
    }
}

/// The time that 99 of 100 did not exceed.
fn p99(mut times: Vec<Duration>) -> Duration {
    assert!(!times.is_empty());
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
