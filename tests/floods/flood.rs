//! Connections that never say who they are: all of them are gone at the deadline, and nobody else feels them.

use crate::honest::{logins, p99};
use crate::phases::{Phase, Server, TCP, phases, serve};
use crate::{alone, long};
use pitaya_tests::PATIENCE;
use pitaya_tests::procfs::files;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// The deadline of the handshake, by default.
const DEADLINE: Duration = Duration::from_secs(10);
/// And by when all are gone.
const GONE: Duration = Duration::from_secs(11);
/// How long honest clients are watched alone.
const ALONE: Duration = Duration::from_secs(5);
/// So many new ones in a second.
const RATE: u32 = 1_000;
/// At most so many times.
const ROUNDS: usize = 3;
/// Below that, a latency is the machine's noise.
const NOISE: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn connections_that_say_nothing_are_gone_in_time_and_others_do_not_feel_them() {
    let _alone = alone();
    let server = serve(&[]);
    let phases: Vec<Arc<Phase>> = phases().into_iter().map(Arc::new).collect();
    if long() {
        for phase in &phases {
            flood(&server, std::slice::from_ref(phase), 5_000, 2.0).await;
        }
    } else {
        flood(&server, &phases, 300, 4.0).await;
    }
}

/// So many silent and as many dripping connections in each of the phases, and honest logins before, during and after. On a
/// machine that has other work to do once is not enough to judge: then it is done three times, and the medians count.
async fn flood(server: &Server, phases: &[Arc<Phase>], each: u32, bound: f64) {
    let (pid, address) = (server.process.id(), server.process.addresses()[TCP]);
    let quiet = files(pid);
    let names: Vec<_> = phases.iter().map(|phase| phase.name).collect();
    let all = 2 * each * phases.len() as u32;
    // Until the last has come, and a while of what they all do together.
    let watched = Duration::from_secs(u64::from(all / RATE) + 8);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    without.push(p99(logins(address, ALONE).await));
    let mut ratio = f64::MAX;
    for round in 1..=ROUNDS {
        let bad = tokio::spawn(storm(server.process.addresses().to_vec(), phases.to_vec(), each));
        with.push(p99(logins(address, watched).await));
        for (name, drips, stayed) in bad.await.expect("they end") {
            let what = format!("{name}, {}: {stayed:?}", if drips { "dripping" } else { "silent" });
            assert!(stayed <= GONE, "too long: {what}");
            assert!(stayed > DEADLINE - Duration::from_secs(1), "ended for another reason: {what}");
        }
        let end = Instant::now() + PATIENCE;
        while files(pid) > quiet {
            assert!(Instant::now() < end, "the server holds {} files, and had {quiet}", files(pid));
            sleep(Duration::from_millis(5)).await;
        }
        without.push(p99(logins(address, ALONE).await));
        let (quiet, loud) = (median(&mut without), median(&mut with));
        ratio = loud.as_secs_f64() / quiet.max(NOISE).as_secs_f64();
        println!("{names:?}, {round}: p99 {quiet:?} without, {loud:?} with {all} others: {ratio:.2}");
        if ratio < bound && (round == 1 || round == ROUNDS) {
            return;
        }
    }
    panic!("{names:?}: {ratio:.2} times the p99 without them is more than {bound}: {with:?}, {without:?}");
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

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
