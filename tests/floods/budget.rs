//! Bytes held for clients: no more than the budget says, from whoever holds the most.

use crate::honest::{login, logins, message, open, until};
use crate::{alone, long};
use futures_util::{StreamExt, stream};
use pitaya_core::wire::{MessageKind, PacketKind, packet};
use pitaya_tests::PATIENCE;
use pitaya_tests::process::Conformance;
use pitaya_tests::procfs::resident;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const MIB: u64 = 1 << 20;
/// The budget.
const BUDGET: u64 = 16 * MIB;
/// What the process may grow by: the budget, what is being freed, and what the allocator keeps.
const GROWTH: u64 = 3 * BUDGET;

/// A server with this budget and a port that tells its metrics.
struct Server {
    process: Conformance,
    admin: SocketAddr,
}

impl Server {
    fn start(env: &[(&str, &str)]) -> Self {
        let budget = BUDGET.to_string();
        let mut all = vec![
            ("PITAYA_LIMITS_BUFFERS", &*budget),
            ("PITAYA_METRICS_PROMETHEUS_ENABLED", "true"),
            ("PITAYA_METRICS_PROMETHEUS_HOST", "127.0.0.1"),
            ("PITAYA_METRICS_PROMETHEUS_PORT", "0"),
            ("RUST_LOG", "info"),
        ];
        all.extend(env);
        let process = Conformance::start(&[], &all);
        let told = process.logged_before_ready().iter().find_map(|line| line.split_once("on http://"));
        let admin = told.and_then(|(_, address)| address.trim().parse().ok()).expect("the admin port");
        Self { process, admin }
    }

    /// The sum of a metric over lines that have this text too.
    async fn metric(&self, name: &str, label: &str) -> u64 {
        let mut stream = TcpStream::connect(self.admin).await.expect("an admin port");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        let lines = answer.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.map(|line| line.rsplit_once(' ').expect("a value").1.parse::<f64>().expect("a number") as u64).sum()
    }

    async fn held(&self) -> u64 {
        self.metric("pitaya_server_buffered_bytes", "").await
    }

    async fn closed(&self, reason: &str) -> u64 {
        self.metric("pitaya_server_closed_total", &format!("reason=\"{reason}\"")).await
    }

    /// Waits until this holds of what is held.
    async fn holds(&self, what: &str, is: impl Fn(u64) -> bool) -> u64 {
        let end = Instant::now() + PATIENCE;
        loop {
            let held = self.held().await;
            if is(held) {
                return held;
            }
            assert!(Instant::now() < end, "{what}, and not {held} bytes");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The highest memory of the process until it is asked for.
struct Peak {
    most: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    watch: JoinHandle<()>,
}

impl Peak {
    fn of(pid: u32) -> Self {
        let (most, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, ended) = (most.clone(), ends.clone());
        let watch = tokio::task::spawn_blocking(move || {
            while !ended.load(Relaxed) {
                seen.fetch_max(resident(pid), Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { most, ends, watch }
    }

    async fn end(self) -> u64 {
        self.ends.store(true, Relaxed);
        self.watch.await.expect("no panic");
        self.most.load(Relaxed)
    }
}

/// A session with so many bytes of a longer packet; its server may have closed it.
async fn half_a_packet(address: SocketAddr, bytes: usize, whole: usize) -> TcpStream {
    let (mut stream, _) = open(address).await;
    let sent = &message(MessageKind::Request, "connector.room.join", &vec![b'x'; whole])[..bytes];
    let _ = stream.write_all(sent).await;
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn half_packets_cost_what_the_budget_says_and_honest_clients_are_served() {
    let _alone = alone();
    let clients = if long() { 1_000 } else { 200 };
    let server = Server::start(&[]);
    let address = server.process.address();
    for _ in 0..50 {
        login(address).await;
    }
    let before = resident(server.process.id());
    let peak = Peak::of(server.process.id());
    let honest = tokio::spawn(logins([address], Duration::from_secs(5)));
    let most = (1 << 20) - 2048;
    let all = stream::iter(0..clients).map(|_| half_a_packet(address, most, (1 << 20) - 64));
    let sessions: Vec<TcpStream> = all.buffer_unordered(32).collect().await;
    let [p99] = honest.await.expect("each login is answered");
    let held = server.holds("the budget holds", |held| held <= BUDGET).await;
    let grown = peak.end().await.saturating_sub(before);
    let closed = server.closed("over_budget").await;
    println!(
        "{clients} clients with {} MiB: {closed} closed, {} MiB held, {} MiB more resident at most, logins within {p99:?} (p99)",
        clients as u64 * most as u64 / MIB,
        held / MIB,
        grown / MIB
    );
    assert!(held > BUDGET / 2, "no more are closed than have to be: {held}");
    assert!(closed >= clients as u64 - BUDGET / most as u64, "{closed} were closed");
    assert!(grown < GROWTH, "{grown} bytes more");
    server.process.logs("clients' buffers exceed pitaya.limits.buffers");
    drop(sessions);
    server.holds("nothing is held", |held| held == 0).await;
    login(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn the_largest_are_closed_and_small_ones_finish() {
    let _alone = alone();
    let server = Server::start(&[]);
    let address = server.process.address();
    let request = message(MessageKind::Request, "connector.room.join", &[b'x'; 16 * 1024]);
    let (begin, end) = request.split_at(12 * 1024);
    let mut small = Vec::new();
    for _ in 0..50 {
        let (mut stream, read) = open(address).await;
        stream.write_all(begin).await.expect("written");
        small.push((stream, read));
    }
    let (idle, read) = open(address).await;
    let least = begin.len() * small.len();
    server.holds("they are counted", |held| held >= least as u64).await;
    let mut large = Vec::new();
    for _ in 0..40 {
        large.push(half_a_packet(address, (1 << 20) - 2048, (1 << 20) - 64).await);
    }
    server.holds("the budget holds", |held| held <= BUDGET && held > BUDGET / 2).await;
    assert!(server.closed("over_budget").await >= 24);
    small.push((idle, read));
    for (at, (stream, read)) in small.iter_mut().enumerate() {
        let rest = if at < 50 { end } else { &request };
        stream.write_all(rest).await.expect("still connected");
        until(stream, read, PacketKind::Data).await;
    }
}

/// A session in a group that has told its receive buffer to be small, and does not read.
async fn stalls(address: SocketAddr, uid: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
    join(socket.connect(address).await.expect("accepted"), uid).await.0
}

async fn join(mut stream: TcpStream, uid: &str) -> (TcpStream, Vec<u8>) {
    let mut out = Vec::new();
    packet::encode(PacketKind::Handshake, b"{}", &mut out).expect("short");
    stream.write_all(&out).await.expect("written");
    let mut read = Vec::new();
    until(&mut stream, &mut read, PacketKind::Handshake).await;
    stream.write_all(&packet::ACK).await.expect("written");
    for (route, body) in [("connector.room.bindto", uid), ("connector.room.enter", "crowd")] {
        stream.write_all(&message(MessageKind::Request, route, body.as_bytes())).await.expect("written");
        until(&mut stream, &mut read, PacketKind::Data).await;
    }
    (stream, read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn what_clients_do_not_take_counts_too() {
    let _alone = alone();
    // Each of them may have more than all of them.
    let server = Server::start(&[("PITAYA_LIMITS_OUTBOX", "64MiB"), ("PITAYA_BUFFER_AGENT_CONNTIMEOUT", "10m")]);
    let address = server.process.address();
    let mut crowd = Vec::new();
    for n in 0..40 {
        crowd.push(stalls(address, &format!("silent-{n}")).await);
    }
    let (mut hears, mut read) = join(TcpStream::connect(address).await.expect("accepted"), "listener").await;
    let peak = Peak::of(server.process.id());
    let before = resident(server.process.id());
    let (mut speaker, _) = open(address).await;
    // No zlib makes it short.
    let noise = (0..32 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    let push =
        message(MessageKind::Notify, "connector.room.say", &[&b"crowd "[..], &noise.collect::<Vec<_>>()].concat());
    for _ in 0..96 {
        speaker.write_all(&push).await.expect("still connected");
        until(&mut hears, &mut read, PacketKind::Data).await;
    }
    let held = server.holds("the budget holds", |held| held <= BUDGET).await;
    let grown = peak.end().await.saturating_sub(before);
    let closed = server.closed("over_budget").await;
    println!("40 silent ones, 3 MiB each: {closed} closed, {} MiB held, {} MiB grown", held / MIB, grown / MIB);
    assert!(closed >= 20, "{closed} were closed");
    assert_eq!(server.closed("slow_consumer").await, 0);
    assert!(grown < GROWTH, "{grown} bytes more");
}
