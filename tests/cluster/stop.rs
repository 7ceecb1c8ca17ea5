//! A server that stops finishes what it has begun with others.

use crate::game::Room;
use crate::world::{SOON, World, connect, eventually, in_every_world, meet};
use pitaya_client::{Client, RequestError};
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

type Answer = JoinHandle<Result<bytes::Bytes, RequestError>>;

struct Pair {
    front: App,
    back: App,
    gate: Arc<Semaphore>,
    client: Arc<Client>,
    _world: World,
}

/// A frontend and a backend that stop in this time at most.
async fn pair(world: World, limit: Duration) -> Pair {
    let gate = Arc::new(Semaphore::new(0));
    let times = |config: &mut Config| {
        config.limits.shutdown.timeout = limit;
        config.cluster.sd.etcd.shutdown.delay = Duration::from_millis(20);
    };
    let room = Room { gate: Some(gate.clone()), ..Room::default() };
    let back = world.backend("room", "back", |b| b.handlers(room).configure(times)).await;
    let front = world.frontend("connector", "front", |b| b.configure(times)).await;
    meet(&[&front, &back]).await;
    let client = Arc::new(connect(&front).await);
    Pair { front, back, gate, client, _world: world }
}

impl Pair {
    fn ask(&self, route: &'static str, body: &'static str) -> Answer {
        let client = self.client.clone();
        tokio::spawn(async move { client.request_raw(route, body).await })
    }
}

fn stop(app: &App) -> JoinHandle<()> {
    let app = app.clone();
    tokio::spawn(async move { app.shutdown().await })
}

async fn answers_what_is_in_flight(world: World, which: fn(&Pair) -> &App) {
    let p = pair(world, SOON).await;
    let mut answers = Vec::new();
    // One behind the other: the first waits at the gate.
    for (route, body) in [("room.room.wait", "one"), ("room.room.wait", "two"), ("room.room.bind", "ann")] {
        answers.push(p.ask(route, body));
        eventually("it is on its way", || p.front.counts().forwarded == answers.len() as u64).await;
    }
    eventually("the first is there", || p.back.counts().received == 1).await;
    let stopping = stop(which(&p));
    let seen_by = if which(&p).server_id() == "back" { &p.front } else { &p.back };
    eventually("it has left", || seen_by.servers().get(which(&p).server_id()).is_none()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_finished());
    p.gate.add_permits(2);
    let bound = answers.pop().expect("three");
    for (answer, body) in answers.into_iter().zip(["one", "two"]) {
        assert_eq!(timeout(SOON, answer).await.expect("in time").expect("no panic").expect("answered"), body);
    }
    let bound = timeout(SOON, bound).await.expect("in time").expect("no panic");
    timeout(SOON, stopping).await.expect("in time").expect("no panic");
    // It called back to the frontend: one that stops binds nobody any more, and says so.
    match which(&p).server_id() {
        "back" => assert_eq!(bound.expect("bound"), "bound"),
        _ => assert!(matches!(bound, Err(RequestError::Server(_))), "{bound:?}"),
    }
}

async fn a_backend_answers_what_it_has_got(world: World) {
    answers_what_is_in_flight(world, |p| &p.back).await;
}

async fn a_frontend_waits_for_what_it_has_forwarded(world: World) {
    answers_what_is_in_flight(world, |p| &p.front).await;
}

async fn a_stuck_backend_holds_a_frontend_for_no_longer_than_it_may(world: World) {
    let limit = Duration::from_millis(200);
    let p = pair(world, limit).await;
    let stuck = p.ask("room.room.stuck", "");
    eventually("it is there", || p.back.counts().received == 1).await;
    let begun = tokio::time::Instant::now();
    timeout(SOON, p.front.shutdown()).await.expect("in time");
    assert!(begun.elapsed() >= limit);
    assert!(timeout(SOON, stuck).await.expect("in time").expect("no panic").is_err());
    timeout(SOON, p.back.shutdown()).await.expect("a backend has the same bound");
}

/// A user whose frontend drains is reached by other servers as before.
async fn a_draining_frontend_stays_in_the_cluster(world: World) {
    let p = pair(world, SOON).await;
    let front = p.front.clone();
    let draining = tokio::spawn(async move { front.drain().await });
    let refused = || std::net::TcpStream::connect(p.front.addresses()[0]).is_err();
    eventually("it lets nobody in", refused).await;
    let bound = p.ask("room.room.bind", "ann").await.expect("no panic").expect("bound");
    assert_eq!(bound, "bound");
    let mut pushes = p.client.on("onNews");
    p.back.users("connector").push("onNews", "news", &["ann"]).await.expect("reached");
    assert_eq!(timeout(SOON, pushes.recv()).await.expect("in time").expect("open").body, r#""news""#);
    assert!(!draining.is_finished());
    drop((p.client, pushes));
    assert_eq!(timeout(SOON, draining).await.expect("in time").expect("no panic"), 0);
}

in_every_world! {
    a_backend_answers_what_it_has_got,
    a_frontend_waits_for_what_it_has_forwarded,
    a_stuck_backend_holds_a_frontend_for_no_longer_than_it_may,
    a_draining_frontend_stays_in_the_cluster,
}
