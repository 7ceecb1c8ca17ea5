//! What breaks, and how little of it is seen.

use crate::clocks::Clocks;
use crate::game::Room;
use crate::load::{Load, codes};
use crate::world::{SOON, World, connect, eventually, launch, long, meet};
use pitaya_runtime::cluster::nats::NatsTransport;
use pitaya_runtime::cluster::{Callee, Delivery, IncomingCall, Reply, ServerInfo, Transport};
use pitaya_runtime::prelude::*;
use pitaya_tests::process::Conformance;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ECHO: &str = "room.room.echo";

/// What may take so many seconds, on a machine that does nothing else. The short form runs beside other tests: what would
/// not come back by itself takes longer than that, too.
fn bound(seconds: u64) -> Duration {
    Duration::from_secs(if long() { seconds } else { seconds + 2 })
}

/// Each request is resolved once, nobody is disconnected, and the first answer comes within a second of the broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn restarts_of_the_broker_under_load() {
    let mut world = World::brokers();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let local = connect(&front).await;
    let load = Load::start(&front, 20, Duration::from_millis(5), ECHO).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..if long() { 100 } else { 5 } {
        let before = load.answered();
        eventually("it works", || load.answered() > before + 200).await;
        world.nats().kill();
        // Who stays here is not concerned.
        assert_eq!(&local.request_raw("connector.room.echo", "here").await.expect("an answer")[..], b"here");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let open = world.nats().restart();
        slowest = slowest.max(load.first_success_after(open).await);
    }
    assert!(slowest < bound(1), "the first answer came {slowest:?} after the broker");
    let resolved = load.stop().await;
    let failed = codes(&resolved);
    assert!(failed.keys().all(|code| ["PIT-408", "PIT-503"].contains(code)), "{failed:?}");
    println!("{} requests, {failed:?}, first answer at most {slowest:?} after the port opened", resolved.len());
}

/// Nothing is seen of it, and the list is right soon after.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn etcd_is_away_for_longer_than_any_lease() {
    let mut world = World::brokers();
    let quick = |b: Builder| {
        b.handlers(Room::default()).configure(|c| c.cluster.sd.etcd.heartbeat.ttl = Duration::from_secs(2))
    };
    let one = world.backend("room", "one", quick).await;
    let two = world.backend("room", "two", quick).await;
    let front = world.frontend("connector", "front", quick).await;
    meet(&[&front, &one, &two]).await;
    let load = Load::start(&front, 10, Duration::from_millis(10), ECHO).await;
    world.etcd().freeze();
    tokio::time::sleep(Duration::from_secs(if long() { 300 } else { 7 })).await;
    assert_eq!(front.servers().of("room").len(), 2, "the last known servers stand");
    world.etcd().thaw();
    let back = Instant::now();
    let listed = |world: &mut World| world.etcd().ctl(&["get", "--prefix", "--keys-only", "pitaya/servers/"]);
    while listed(&mut world).split_whitespace().count() < 3 {
        assert!(back.elapsed() < bound(5), "all register again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    two.shutdown().await;
    eventually("who leaves is gone", || front.servers().of("room").len() == 1).await;
    assert!(back.elapsed() < bound(8), "{:?}", back.elapsed());
    let resolved = load.stop().await;
    assert!(codes(&resolved).is_empty(), "{:?} of {}", codes(&resolved), resolved.len());
}

/// A backend in a process of its own.
fn process(world: &mut World) -> Conformance {
    launch(world, &["-type", "room", "-frontend=false"], &[])
}

/// Failures end within a second; who asks for a route that may run twice sees none.
async fn a_backend_is_killed(with: impl FnOnce(Builder) -> Builder) -> Vec<(Duration, String)> {
    let mut world = World::brokers();
    let mut backs: Vec<_> = (0..3).map(|_| process(&mut world)).collect();
    let front = world.frontend("connector", "front", |b| with(b.handlers(Room::default()))).await;
    eventually("all are seen", || front.servers().of("room").len() == 3).await;
    // 2,000 requests a second.
    let load = Load::start(&front, 40, Duration::from_millis(20), ECHO).await;
    eventually("it works", || load.answered() > 1_000).await;
    let killed = Instant::now();
    drop(backs.pop());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let resolved = load.stop().await;
    let failed = resolved.into_iter().filter_map(|(at, code)| code.map(|code| (at - killed, code)));
    failed.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failures_of_a_killed_backend_end_within_a_second() {
    let failed = a_backend_is_killed(|b| b).await;
    assert!(failed.iter().all(|(_, code)| ["PIT-408", "PIT-503"].contains(&code.as_str())), "another code");
    let last = failed.iter().map(|(at, _)| *at).max().unwrap_or_default();
    assert!(last < bound(1), "{last:?} after the kill: {}", failed.len());
    assert!(failed.len() < 100, "{} of some 6,000", failed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_route_that_may_run_twice_does_not_see_a_killed_backend() {
    let failed = a_backend_is_killed(|b| b.retry(ECHO)).await;
    assert!(failed.is_empty(), "{:?} and so on, {}", failed.first(), failed.len());
}

/// A backend that hangs is asked no more once its lease has ended, and its sessions go to another one; when it goes on, it
/// is used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backend_that_hangs_is_left_until_it_goes_on() {
    let mut world = World::brokers();
    let flags = ["-type", "room", "-frontend=false"];
    let backs = [0, 1].map(|_| launch(&mut world, &flags, &[("PITAYA_CLUSTER_SD_ETCD_HEARTBEAT_TTL", "2s")]));
    let hasty = |b: Builder| {
        let b = b.configure(|c| c.cluster.rpc.client.nats.requesttimeout = Duration::from_secs(1));
        b.handlers(Room::default())
    };
    let front = world.frontend("connector", "front", hasty).await;
    let rooms = || front.servers().of("room").len();
    eventually("both are there", || rooms() == 2).await;
    let load = Load::start(&front, 20, Duration::from_millis(10), ECHO).await;
    eventually("it works", || load.answered() > 500).await;
    backs[0].signal("STOP");
    let hung = Instant::now();
    eventually("its lease ends", || rooms() == 1).await;
    let gone = Instant::now();
    let before = load.answered();
    eventually("the others are served", || load.answered() > before + 1_000).await;
    backs[0].signal("CONT");
    eventually("it is back", || rooms() == 2).await;
    let resolved = load.stop().await;
    let failed = codes(&resolved);
    println!("{} requests, {failed:?}, gone after {:?}", resolved.len(), gone - hung);
    assert!(failed.keys().all(|code| *code == "PIT-408"), "it may have run: {failed:?}");
    // What it had been asked before has its time-out still.
    let last = resolved.iter().filter(|(_, code)| code.is_some()).map(|(at, _)| *at).max().expect("some failed");
    assert!(last.saturating_duration_since(gone) < bound(1), "{:?} after it was gone", last - gone);
}

/// Receives what other servers send, and does nothing with it.
struct Deaf;

impl Callee for Deaf {
    fn call(&self, _: IncomingCall, _: Reply) {}
    fn messages(&self, _: Delivery) {}
    fn push(&self, _: &str, _: &str, _: &[u8]) -> bool {
        false
    }
    fn kick(&self, _: &str, _: Option<&KickReason>) -> bool {
        false
    }
    fn bound_elsewhere(&self, _: &pitaya_core::cluster::Login) {}
}

/// What a server is to others between a restart of the broker and its own way back to it.
#[tokio::test]
async fn a_server_that_was_passed_over_is_used_again_when_it_is_there() {
    let mut world = World::brokers();
    let back = world.backend("room", "here", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut late = ServerInfo::new("room", "late", false);
    late.metadata.insert("pitaya.lane".to_owned(), "1".to_owned());
    let record = r#"{"id":"late","type":"room","metadata":{"pitaya.lane":"1"},"frontend":false,"hostname":"vm"}"#;
    let _ = world.etcd().ctl(&["put", "pitaya/servers/room/late", record]);
    eventually("both are known", || front.servers().of("room").len() == 2).await;
    // A session stays with the server that it has chosen: each of these chooses anew, until one meets the late one.
    let met = async {
        while front.servers().of("room").len() == 2 {
            if let Err(error) = connect(&front).await.request_raw(ECHO, "x").await {
                assert!(error.to_string().contains("PIT-503"), "{error}");
            }
        }
    };
    tokio::time::timeout(SOON, met).await.expect("a session chooses the late one");
    assert_eq!(&*front.servers().of("room")[0].id, "here", "the one that does not listen is passed over");
    let mut config = Config::default();
    config.cluster.rpc.client.nats.connect = world.nats().url();
    let transport = NatsTransport::new(&config.cluster.rpc);
    transport.start(Arc::new(late), Arc::new(Deaf)).await.expect("the broker is there");
    let began = Instant::now();
    eventually("it is used again", || front.servers().of("room").len() == 2).await;
    println!("used again {:?} after it listened", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(3), "long before it would have been tried anyway: {began:?}");
    transport.stop().await;
}

/// How a frontend stands still, and for how long.
#[derive(Clone, Copy)]
struct Standstill {
    time: Duration,
    /// Its clock knows nothing of that, as of a virtual machine that was saved.
    clock: bool,
    /// For longer than its lease in etcd lasts and than the broker waits for a sign of life.
    given_up: bool,
}

impl Standstill {
    fn of(short: u64, clock: bool, given_up: bool) -> Self {
        Self { time: Duration::from_secs(if long() { 8 } else { short }), clock, given_up }
    }
}

async fn a_frontend_stands_still(still: Standstill) {
    let clocks = still.clock.then(|| Clocks::new(false));
    let preloaded = clocks.as_ref().map(Clocks::env).unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder");
    let broker = folder.path().join("nats.conf");
    let mut env = vec![("PITAYA_CLUSTER_RPC_CLIENT_NATS_REQUESTTIMEOUT", "1s"), ("RUST_LOG", "info")];
    env.extend(preloaded.iter().map(|(name, value)| (*name, &**value)));
    let mut world = if still.given_up {
        env.extend([
            ("PITAYA_CLUSTER_SD_ETCD_HEARTBEAT_TTL", "2s"),
            ("PITAYA_CLUSTER_RPC_CLIENT_NATS_PINGINTERVAL", "500ms"),
        ]);
        std::fs::write(&broker, "ping_interval: \"500ms\"\nping_max: 1\n").expect("a file");
        World::brokers_with(&["-c", broker.to_str().expect("a path")])
    } else {
        World::brokers()
    };
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = launch(&mut world, &["-type", "connector", "-addr", "127.0.0.1:0"], &env);
    let is_seen = || !back.servers().of("connector").is_empty();
    eventually("it is seen", is_seen).await;
    let load = Load::start_at(front.address(), 20, Duration::from_millis(5), ECHO).await;
    eventually("it works", || load.answered() > 1_000).await;
    front.signal("STOP");
    tokio::time::sleep(still.time).await;
    if still.given_up {
        eventually("its record has gone", || !is_seen()).await;
    }
    if let Some(clocks) = &clocks {
        clocks.lose(still.time);
    }
    let went_on = Instant::now();
    front.signal("CONT");
    // What fails does so within this time, and then for long nothing.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let resolved = load.stop().await;
    let failed = resolved.iter().filter(|(_, code)| code.is_some()).map(|(at, _)| at.duration_since(went_on));
    let last = failed.max().unwrap_or_default();
    let failed = codes(&resolved);
    println!("{} requests, {failed:?}, the last {last:?} after it went on", resolved.len());
    assert!(last < bound(2), "{last:?} after it went on: {failed:?}");
    assert!(failed.keys().all(|code| ["PIT-408", "PIT-503"].contains(code)), "{failed:?}");
    let answered = resolved.iter().filter(|(at, code)| code.is_none() && at.duration_since(went_on) > last).count();
    assert!(answered > 300, "it is whole again: {answered}");
    if still.given_up {
        assert!(is_seen(), "its record is back");
        let log = front.logged();
        let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
        let (lines, leases) = (count("NATS connection restored"), count("a lease in etcd was lost"));
        assert_eq!((lines, leases), (1, 1), "{log:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_frontend_that_was_stopped_is_whole_again_within_two_seconds() {
    a_frontend_stands_still(Standstill::of(2, false, false)).await;
}

/// The virtual machine of a frontend is saved and goes on: its clock knows nothing of the time between.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_frontend_whose_clock_stood_still_is_whole_again_within_two_seconds() {
    a_frontend_stands_still(Standstill::of(2, true, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_frontend_that_etcd_and_the_broker_gave_up_is_whole_again_within_two_seconds() {
    tokio::join!(
        a_frontend_stands_still(Standstill::of(3, false, true)),
        a_frontend_stands_still(Standstill::of(3, true, true))
    );
}
