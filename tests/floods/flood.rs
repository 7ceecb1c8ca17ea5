//! Connections that never say who they are: all of them are gone at the deadline, and nobody else feels them.

use crate::honest::logins;
use crate::phases::{Phase, Server, TCP, phases, serve};
use crate::{alone, long};
use pitaya_tests::PATIENCE;
use pitaya_tests::procfs::{cpu, files};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// The deadline of the handshake, by default.
const DEADLINE: Duration = Duration::from_secs(10);
/// And by how much later all are gone, beside other work of the machine.
const GRACE: Duration = Duration::from_secs(4);
/// So many new ones in a second.
const RATE: u32 = 1_000;
/// Below that, a latency is the machine's noise.
const NOISE: Duration = Duration::from_millis(5);
/// What the server may spend on one of them, in processor time: it accepts, reads some bytes, and ends it.
const EACH: Duration = Duration::from_micros(if cfg!(debug_assertions) { 3_000 } else { 300 });

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn connections_that_say_nothing_are_gone_in_time_and_others_do_not_feel_them() {
    let _alone = alone();
    // One is flooded, the other one is not.
    let servers = [serve(&[]), serve(&[])];
    let phases: Vec<Arc<Phase>> = phases().into_iter().map(Arc::new).collect();
    if long() {
        for phase in &phases {
            flood(&servers, std::slice::from_ref(phase), 5_000, 2.0).await;
        }
    } else {
        flood(&servers, &phases, 300, 4.0).await;
    }
}

/// So many silent and as many dripping connections in each of the phases at the first server, and honest logins meanwhile
/// at both.
async fn flood(servers: &[Server; 2], phases: &[Arc<Phase>], each: u32, bound: f64) {
    let [flooded, calm] = servers.each_ref().map(|server| server.process.addresses()[TCP]);
    let pid = servers[0].process.id();
    let quiet = files(pid);
    let names: Vec<_> = phases.iter().map(|phase| phase.name).collect();
    let all = 2 * each * phases.len() as u32;
    // Until the last has come, and a while of what they all do together.
    let watched = Duration::from_secs(u64::from(all / RATE) + 8);
    let before = servers.each_ref().map(|server| cpu(server.process.id()));
    let bad = tokio::spawn(storm(servers[0].process.addresses().to_vec(), phases.to_vec(), each));
    let [with, without] = logins([flooded, calm], watched).await;
    for (name, drips, stayed) in bad.await.expect("they end") {
        let what = format!("{name}, {}: {stayed:?}", if drips { "dripping" } else { "silent" });
        let grace = if long() { GRACE / 4 } else { GRACE };
        assert!(stayed <= DEADLINE + grace, "too long: {what}");
        assert!(stayed > DEADLINE - Duration::from_secs(1), "ended for another reason: {what}");
    }
    let end = Instant::now() + PATIENCE;
    while files(pid) > quiet {
        assert!(Instant::now() < end, "the server holds {} files, and had {quiet}", files(pid));
        sleep(Duration::from_millis(5)).await;
    }
    // The honest ones cost both the same.
    let [spent, honest] = [0, 1].map(|n| cpu(servers[n].process.id()) - before[n]);
    let cost = spent.saturating_sub(honest) / all;
    let ratio = with.as_secs_f64() / without.max(NOISE).as_secs_f64();
    println!("{names:?}: p99 {without:?} without, {with:?} with {all} others: {ratio:.2}; each costs {cost:?}");
    assert!(ratio < bound, "{names:?}: {ratio:.2} times the p99 without them is more than {bound}");
    assert!(cost < EACH, "{names:?}: each of them costs {cost:?}");
}

/// All of them, at the rate at which they come. What each was, and how long it stayed.
async fn storm(
    addresses: Vec<std::net::SocketAddr>,
    phases: Vec<Arc<Phase>>,
    each: u32,
) -> Vec<(&'static str, bool, Duration)> {
    let (addresses, begun) = (Arc::new(addresses), Instant::now());
    let mut all = JoinSet::new();
    for n in 0..2 * each * phases.len() as u32 {
        sleep_until(begun + Duration::from_secs(1) / RATE * n).await;
        let (phase, drips) = (phases[n as usize / 2 % phases.len()].clone(), n % 2 == 1);
        let addresses = addresses.clone();
        all.spawn(async move { (phase.name, drips, phase.stay(&addresses, drips).await) });
    }
    all.join_all().await
}
