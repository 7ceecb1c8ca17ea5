//! Sessions that wait for a call and go on sending: what that costs the server, and what others feel of it.

use crate::honest::{logins, message, open, until};
use crate::{alone, long};
use pitaya_core::wire::{MessageKind, PacketKind, packet};
use pitaya_tests::process::Conformance;
use pitaya_tests::procfs::cpu;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, interval};

/// What one client sends behind its call, in bytes: less than what may wait.
const LOAD: usize = 950_000;
/// Bytes a second that it sends afterwards, one by one.
const DRIP: u32 = 300;
/// The share of a core that it may take with that: 5 %, where the server is built as users build it.
const SHARE: f64 = if cfg!(debug_assertions) { 0.2 } else { 0.05 };
/// How much longer an honest login may take beside twenty of them, and what is the machine's noise.
const SLOWER: f64 = if cfg!(debug_assertions) { 2.0 } else { 1.2 };
const NOISE: Duration = Duration::from_millis(5);

/// What waits behind the call, and the bytes that follow it for ever.
struct Load {
    name: &'static str,
    first: Vec<u8>,
    drip: &'static [u8],
}

fn loads() -> [Load; 3] {
    let beats = packet::HEARTBEAT.repeat(LOAD / packet::HEARTBEAT.len());
    let note = message(MessageKind::Notify, "connector.room.told", &vec![b'x'; LOAD / 63 - 64]);
    let mut half = message(MessageKind::Notify, "connector.room.told", &vec![b'x'; (1 << 20) - 64]);
    half.truncate(LOAD);
    [
        Load { name: "heartbeats", first: beats, drip: &packet::HEARTBEAT },
        Load { name: "63 messages", first: note.repeat(63), drip: &packet::HEARTBEAT },
        Load { name: "most of a message", first: half, drip: b"x" },
    ]
}

/// A session with a call that never ends, and these bytes behind it.
async fn waiting(address: SocketAddr, group: Option<&str>, first: &[u8]) -> TcpStream {
    let (mut stream, mut read) = open(address).await;
    if let Some(uid) = group {
        for (route, body) in [("connector.room.bindto", uid), ("connector.room.enter", "crowd")] {
            stream.write_all(&message(MessageKind::Request, route, body.as_bytes())).await.expect("written");
            until(&mut stream, &mut read, PacketKind::Data).await;
        }
    }
    stream.write_all(&message(MessageKind::Request, "connector.room.sleep", b"24h")).await.expect("written");
    stream.write_all(first).await.expect("written");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn bytes_that_drip_behind_a_call_cost_what_they_weigh() {
    let _alone = alone();
    let server = Conformance::start(&[], &[]);
    let time = Duration::from_secs(if long() { 20 } else { 3 });
    for load in loads() {
        let mut stream = waiting(server.address(), None, &load.first).await;
        let (before, begun) = (cpu(server.id()), Instant::now());
        let mut tick = interval(Duration::from_secs(1) / DRIP);
        let mut drip = load.drip.iter().cycle();
        while begun.elapsed() < time {
            tick.tick().await;
            stream.write_all(&[*drip.next().expect("for ever")]).await.expect("still connected");
        }
        let share = (cpu(server.id()) - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!("{} behind a call, {DRIP} B/s: {:.1} % of a core", load.name, share * 100.0);
        assert!(share < SHARE, "{}: {share:.3} of a core", load.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn a_group_of_waiting_sessions_that_hears_pushes_is_nobodys_burden() {
    let _alone = alone();
    // One has the crowd, the other one has not.
    let (server, calm) = (Conformance::start(&[], &[]), Conformance::start(&[], &[]));
    let address = server.address();
    let time = Duration::from_secs(if long() { 40 } else { 8 });
    let beats = packet::HEARTBEAT.repeat(LOAD / packet::HEARTBEAT.len());
    let mut crowd = Vec::new();
    for n in 0..20 {
        crowd.push(waiting(address, Some(&format!("silent-{n}")), &beats).await);
    }
    let (mut speaker, _) = open(address).await;
    let (before, begun) = (cpu(server.id()), Instant::now());
    let speaks = tokio::spawn(async move {
        let mut tick = interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let push = message(MessageKind::Notify, "connector.room.say", b"crowd hello");
            speaker.write_all(&push).await.expect("still connected");
        }
    });
    let [with, without] = logins([address, calm.address()], time).await;
    assert!(!speaks.is_finished(), "it spoke all the time");
    speaks.abort();
    let share = (cpu(server.id()) - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "20 silent sessions, 20 pushes/s: p99 of logins {with:?}, elsewhere {without:?}, {:.1} % of a core",
        share * 100.0
    );
    let bound = without.mul_f64(SLOWER) + NOISE;
    assert!(with <= bound, "{with:?} in place of {without:?}");
    drop(crowd);
}
