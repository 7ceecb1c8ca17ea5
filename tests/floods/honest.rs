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

/// Logs in at the rate for this time, and gives how long each login took from when it was due: a client that had to wait
/// for its turn has waited.
pub async fn logins(address: SocketAddr, time: Duration) -> Vec<Duration> {
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for n in 0..time.as_secs() as u32 * RATE {
        let due = begun + Duration::from_secs(1) / RATE * n;
        sleep_until(due).await;
        all.spawn(async move {
            login(address).await;
            due.elapsed()
        });
    }
    all.join_all().await
}

/// Shakes hands, and has one request answered.
pub async fn login(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("accepted");
    stream.set_nodelay(true).expect("a socket without delay");
    let mut out = Vec::new();
    packet::encode(PacketKind::Handshake, HANDSHAKE, &mut out).expect("short");
    stream.write_all(&out).await.expect("written");
    let mut read = Vec::new();
    until(&mut stream, &mut read, PacketKind::Handshake).await;
    let mut out = packet::ACK.to_vec();
    let at = packet::open(&mut out, PacketKind::Data);
    let route = Some("connector.room.join".into());
    let message = Message { kind: MessageKind::Request, id: 1, route, compressed: false, error: false, body: b"{}" };
    message.encode(&mut out).expect("a short route");
    packet::seal(&mut out, at).expect("a short body");
    stream.write_all(&out).await.expect("written");
    until(&mut stream, &mut read, PacketKind::Data).await;
}

async fn until(stream: &mut TcpStream, read: &mut Vec<u8>, kind: PacketKind) {
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
pub fn p99(mut times: Vec<Duration>) -> Duration {
    assert!(!times.is_empty());
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
