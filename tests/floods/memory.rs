//! What a connection costs before it is anybody.

use crate::alone;
use crate::phases::{phases, serve};
use futures_util::{StreamExt, stream};
use pitaya_tests::PATIENCE;
use pitaya_tests::client::Client;
use pitaya_tests::process::Conformance;
use pitaya_tests::procfs::{files, resident};
use pitaya_tests::websocket::WebSocket;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// So many that what the process allocates in steps does not count.
const CONNECTIONS: usize = 2_000;

/// The growth of a process of its own, which does nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn a_connection_costs_little_before_it_is_anybody() {
    let _alone = alone();
    let mut costs = Vec::new();
    for phase in phases() {
        let server = serve(&[("PITAYA_LIMITS_HANDSHAKE_TIMEOUT", "10m")]);
        let (pid, addresses) = (server.process.id(), server.process.addresses());
        let enter = |count| stream::iter(0..count).map(|_| phase.enter(addresses)).buffer_unordered(64);
        // What is allocated once, whoever comes.
        let first: Vec<TcpStream> = enter(50).collect().await;
        let before = settled(pid, 50).await;
        let others: Vec<TcpStream> = enter(CONNECTIONS).collect().await;
        let after = settled(pid, 50 + CONNECTIONS).await;
        let each = after.saturating_sub(before) as f64 / CONNECTIONS as f64 / 1024.0;
        println!("{:>30}: {each:5.2} KiB of at most {} KiB", phase.name, phase.kib);
        costs.push((phase.name, each, phase.kib));
        drop((first, others));
    }
    let dear: Vec<_> = costs.iter().filter(|(_, each, limit)| each > limit).collect();
    assert!(dear.is_empty(), "these cost more than they may: {dear:#?}");
}

/// Large messages cost memory while they are there. What the server keeps of them is told from what the allocator keeps: with a
/// fixed threshold glibc gives large blocks back at once, and whatever stays is the server's.
#[tokio::test]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn large_messages_leave_nothing_with_the_server() {
    const CLIENTS: usize = 40;
    let _alone = alone();
    // Packets are up to 1 MiB: with their frame they come in many pieces, and are kept until the last one.
    let body = vec![b'x'; 1_000_000];
    let server = Conformance::start(&["-ways", "ws"], &[("MALLOC_TRIM_THRESHOLD_", "131072")]);
    let (pid, address) = (server.id(), server.address());
    let connect = || {
        let mut client = Client::over(WebSocket::connect(address, "/", ""));
        client.open();
        client
    };
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| connect()).collect();
    let before = settled(pid, CLIENTS).await;
    for _ in 0..4 {
        clients.iter_mut().for_each(|client| client.notify("connector.testsvc.missing", &body));
    }
    // A request behind them: all of them have been read.
    for client in &mut clients {
        client.request(1, "connector.testsvc.missing", b"");
    }
    let kept = settled(pid, CLIENTS).await.saturating_sub(before);
    drop(clients);
    let left = settled(pid, 0).await.saturating_sub(before);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{CLIENTS} clients, 4 MB each: {:.1} MiB more with them, {:.1} MiB without", mib(kept), mib(left));
    // One packet of each would be 40 MB. A worker thread keeps four buffers of 256 KiB at most.
    assert!(kept < 12 << 20, "{kept} bytes stay while the clients are idle");
    assert!(left < 12 << 20, "{left} bytes stay when nobody is connected");
}

/// The memory of the process once it has all connections and grows no more.
async fn settled(pid: u32, connections: usize) -> u64 {
    let end = Instant::now() + PATIENCE;
    let (mut last, mut same) = (0, 0);
    while same < 5 {
        assert!(Instant::now() < end, "the process does not settle");
        sleep(Duration::from_millis(50)).await;
        let now = resident(pid);
        let whole = files(pid) > connections;
        same = if whole && now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}
