//! What a connection costs before it is anybody.

use crate::alone;
use crate::phases::{phases, serve};
use futures_util::{StreamExt, stream};
use pitaya_tests::PATIENCE;
use pitaya_tests::procfs::{files, resident};
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
