//! What comes at the wrong moment, or from code that fails, is one answer and nothing else.

use crate::game::Room;
use crate::world::{SOON, World, connect, eventually, meet};
use pitaya_client::{Client, RequestError};
use pitaya_runtime::StartError;
use pitaya_runtime::cluster::{Message, ServerInfo};
use pitaya_runtime::prelude::*;
use pitaya_runtime::remote::{RpcCall, Target};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

async fn ask(client: &Client, route: &str, body: &str) -> String {
    let answer = timeout(SOON, client.request_raw(route, body.to_owned())).await;
    match answer.unwrap_or_else(|_| panic!("{route}: no answer")) {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(RequestError::Server(error)) => format!("{error}"),
        Err(error) => panic!("{route}: {error}"),
    }
}

fn asking(client: &Client, route: &'static str, body: &'static str) -> tokio::task::JoinHandle<String> {
    let client = client.clone();
    tokio::spawn(async move { ask(&client, route, body).await })
}

fn quick(builder: Builder) -> Builder {
    builder.configure(|config| config.cluster.rpc.client.nats.requesttimeout = Duration::from_millis(200))
}

/// The stop of a server does not take the time-out of a call to be noticed, and leaves no session waiting.
#[tokio::test]
async fn what_a_server_is_cut_off_from_is_answered() {
    let world = World::local();
    let hasty = |b: Builder| b.configure(|config| config.limits.shutdown.timeout = Duration::from_millis(50));
    let back = world.backend("room", "back", |b| hasty(b).handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let stuck = asking(&client, "room.room.stuck", "");
    eventually("it is there", || back.counts().received == 1).await;
    let behind = asking(&client, "room.room.echo", "");
    eventually("it is sent", || front.counts().forwarded == 2).await;
    back.shutdown().await;
    for lost in [stuck, behind] {
        let answer = timeout(Duration::from_secs(3), lost).await.expect("at once").expect("no panic");
        assert!(answer.starts_with("PIT-408"), "{answer}");
    }
    assert_eq!(ask(&client, "connector.room.echo", "on").await, "on");
}

/// Whoever has run out of time behind a call that never ends takes no place from others.
#[tokio::test]
async fn what_nobody_waits_for_any_more_takes_no_place() {
    let world = World::local();
    let few = |b: Builder| b.configure(|config| config.limits.forwarded = 2);
    let back = world.backend("room", "back", |b| few(b).handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| quick(b).handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let (stuck, other) = (connect(&front).await, connect(&front).await);
    assert!(ask(&stuck, "room.room.stuck", "").await.starts_with("PIT-408"));
    assert!(ask(&stuck, "room.room.echo", "").await.starts_with("PIT-408"));
    let end = tokio::time::Instant::now() + SOON;
    while ask(&other, "room.room.echo", "hi").await != "hi" {
        assert!(tokio::time::Instant::now() < end, "its place is never free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A uid that the app has not accepted yet, and will not, is nobody's on the way to another server.
#[tokio::test]
async fn a_binding_that_is_refused_was_never_seen_elsewhere() {
    let world = World::local();
    let gate = Arc::new(Semaphore::new(0));
    let judge = gate.clone();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world
        .frontend("connector", "front", |b| {
            b.handlers(Room::default()).on_session_bind(move |_| {
                let judge = judge.clone();
                async move {
                    judge.acquire().await?.forget();
                    Err(Error::new("APP-1", "banned"))
                }
            })
        })
        .await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let bind = asking(&client, "room.room.bind", "admin");
    let binding = || front.sessions().get(1).is_some_and(|session| session.uid().is_some());
    eventually("it is being bound", binding).await;
    let who = asking(&client, "room.room.who", "");
    eventually("both are sent", || front.counts().forwarded == 2).await;
    gate.add_permits(1);
    assert_eq!((&*bind.await.expect("joined"), &*who.await.expect("joined")), ("APP-1: banned", "back front nobody"));
}

/// Sent at whatever moment around the end of a binding.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_follows_a_binding_at_any_moment_sees_it() {
    let world = World::local();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..400_u32 {
        let client = connect(&front).await;
        tasks.spawn(async move {
            let uid = format!("u{n}");
            let followed = async {
                for _ in 0..n % 40 {
                    tokio::task::yield_now().await;
                }
                ask(&client, "room.room.who", "").await
            };
            let (bound, who) = tokio::join!(ask(&client, "room.room.bind", &uid), followed);
            assert_eq!((bound, who), ("bound".to_owned(), format!("back front {uid}")));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("bound and seen");
    }
}

#[tokio::test]
async fn a_router_that_panics_costs_its_message_only() {
    let world = World::local();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let router = |message: &Message<'_>, servers: &[Arc<ServerInfo>]| {
        std::str::from_utf8(message.body).expect("a text");
        servers.first().cloned()
    };
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default()).route("room", router)).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let answer = timeout(SOON, client.request_raw("room.room.echo", vec![0xff])).await.expect("in time");
    let Err(RequestError::Server(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.to_string(), "PIT-500: internal error");
    assert_eq!(ask(&client, "room.room.echo", "hi").await, "hi");
    assert_eq!(front.counts().panics, 1);
}

/// Answers come in the order of the requests, whoever gives them.
#[tokio::test]
async fn an_error_of_the_frontend_waits_for_what_came_before_it() {
    let world = World::local();
    let gate = Arc::new(Semaphore::new(0));
    let gated = Room { gate: Some(gate.clone()), ..Room::default() };
    let back = world.backend("room", "back", |b| b.handlers(gated)).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let first = asking(&client, "room.room.wait", "first");
    eventually("it is there", || back.counts().received == 1).await;
    let mut others = ["hall.room.echo", "connector.room.none"].map(|route| asking(&client, route, ""));
    for other in &mut others {
        assert!(timeout(Duration::from_millis(50), other).await.is_err(), "it was answered first");
    }
    gate.add_permits(1);
    assert_eq!(first.await.expect("joined"), "first");
    for (other, code) in others.into_iter().zip(["PIT-500", "PIT-404"]) {
        assert!(other.await.expect("joined").starts_with(code));
    }
}

/// What Go keeps among the data stays on the wire, and out of sight.
#[tokio::test]
async fn data_that_come_back_are_the_apps_alone() {
    let world = World::local();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    assert_eq!(ask(&client, "room.room.add", "gold").await, "added");
    assert_eq!(ask(&client, "connector.room.get", "").await, r#"{"gold":1}"#);
    let wire = || front.sessions().get(1).map(|session| session.data().to_wire()).expect("here");
    assert_eq!(&wire()[..], br#"{"gold":1,"ipversion":"ipv4"}"#);
    assert_eq!(ask(&client, "room.room.set", "{}").await, "set");
    assert_eq!(&wire()[..], br#"{"ipversion":"ipv4"}"#);
}

/// The app's checks of a binding may panic or never end: the backend hears of it, and the session can be bound again.
#[tokio::test]
async fn a_check_of_a_binding_that_fails_its_caller_ends() {
    let world = World::local();
    let back = world.backend("room", "back", |b| quick(b).handlers(Room::default())).await;
    let check = |session: Session| async move {
        match session.uid().as_deref() {
            Some("panic") => panic!("on purpose"),
            Some("stuck") => std::future::pending().await,
            _ => Ok(()),
        }
    };
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default()).on_session_bind(check)).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    assert_eq!(ask(&client, "room.room.bind", "panic").await, "PIT-500: internal error");
    assert!(ask(&client, "room.room.bind", "stuck").await.starts_with("PIT-408"));
    eventually("it is unbound again", || front.sessions().get(1).is_some_and(|session| session.uid().is_none())).await;
    assert_eq!(ask(&client, "room.room.bind", "ann").await, "bound");
}

struct Hall(Arc<AtomicBool>);

#[remote]
impl Hall {
    pub async fn stuck(&self) -> Result<()> {
        self.0.store(true, SeqCst);
        std::future::pending().await
    }
}

/// With nobody else to ask, the caller learns what the last one said.
#[tokio::test]
async fn a_call_that_may_be_repeated_keeps_its_error() {
    let world = World::local();
    let busy = Arc::new(AtomicBool::new(false));
    let hall = Hall(busy.clone());
    let back = world.backend("hall", "one", |b| b.remotes(hall).configure(|c| c.limits.calls = 1)).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default()).retry("hall.stuck")).await;
    meet(&[&front, &back]).await;
    let rpc = front.rpc().clone();
    let first = tokio::spawn(async move { rpc.call(RpcCall::new(Target::Any("hall".into()), "hall.stuck")).await });
    eventually("it is busy", || busy.load(SeqCst)).await;
    let second = front.rpc().call(RpcCall::new(Target::Any("hall".into()), "hall.stuck")).await;
    assert_eq!(second.expect_err("refused").code(), "PIT-503");
    first.abort();
}

/// A route without a name is a message, not a kick.
#[tokio::test]
async fn a_push_without_a_route_kicks_nobody() {
    let world = World::local();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    assert_eq!(ask(&client, "room.room.bind", "ann").await, "bound");
    let _ = back.users("connector").push("", &1, &["ann"]).await;
    assert_eq!(ask(&client, "connector.room.echo", "still there").await, "still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_with_one_id_one_starts() {
    for _ in 0..50 {
        let world = World::local();
        let apps = [(); 2].map(|()| world.builder("room", "same").handlers(Room::default()));
        let apps = apps.map(|builder| builder.acceptor(Tcp::bind("127.0.0.1:0")).build().expect("valid"));
        let [one, two] = apps.clone().map(|app| tokio::spawn(async move { app.start().await }));
        let started = [one.await.expect("no panic"), two.await.expect("no panic")];
        assert_eq!(started.iter().filter(|started| started.is_ok()).count(), 1, "{started:?}");
        assert!(started.iter().any(|started| matches!(started, Err(StartError::ServerId(id)) if **id == *"same")));
        for app in apps {
            app.shutdown().await;
        }
    }
}

/// A component, and whether it is still there.
fn room() -> (Arc<Room>, Weak<Room>) {
    let room = Arc::new(Room::default());
    let weak = Arc::downgrade(&room);
    (room, weak)
}

#[tokio::test]
async fn nothing_keeps_servers_that_have_stopped() {
    let world = World::local();
    let hasty = |b: Builder| b.configure(|config| config.limits.shutdown.timeout = Duration::from_millis(50));
    let [(one, at_back), (two, at_front), (three, unstarted)] = [room(), room(), room()];
    let back = world.backend("room", "back", |b| hasty(b).shared_handlers(one)).await;
    let front = world.frontend("connector", "front", |b| hasty(b).shared_handlers(two)).await;
    meet(&[&front, &back]).await;
    let twin = world.builder("connector", "front").shared_handlers(three).acceptor(Tcp::bind("127.0.0.1:0"));
    let twin = twin.build().expect("valid");
    assert!(twin.start().await.is_err());
    drop(twin);
    eventually("what did not start is gone", || unstarted.strong_count() == 0).await;
    let client = connect(&front).await;
    for route in ["room.room.echo", "room.room.slow_echo", "room.room.bind", "connector.room.slow_echo"] {
        ask(&client, route, "ann").await;
    }
    let stuck = tokio::spawn(async move { client.request_raw("room.room.stuck", "").await });
    eventually("it is there", || back.counts().received == 4).await;
    tokio::join!(front.shutdown(), back.shutdown());
    let _ = stuck.await;
    drop((front, back));
    eventually("the backend is gone", || at_back.strong_count() == 0).await;
    eventually("the frontend is gone", || at_front.strong_count() == 0).await;
}

/// However often it is tried, its client waits as long as for any other.
#[tokio::test]
async fn a_message_that_is_tried_again_has_no_more_time() {
    let world = World::local();
    let (stop, patience) = (Duration::from_secs(3), Duration::from_secs(4));
    let hasty = |b: Builder| b.configure(|config| config.limits.shutdown.timeout = stop);
    let one = world.backend("room", "one", |b| hasty(b).handlers(Room::default())).await;
    let two = world.backend("room", "two", |b| hasty(b).handlers(Room::default())).await;
    let patient = |b: Builder| b.configure(|c| c.cluster.rpc.client.nats.requesttimeout = patience);
    let front = world.frontend("connector", "front", |b| patient(b).retry("room.room.stuck")).await;
    meet(&[&front, &one, &two]).await;
    let (client, start) = (connect(&front).await, std::time::Instant::now());
    let stuck = asking(&client, "room.room.stuck", "");
    eventually("one has it", || one.counts().received + two.counts().received == 1).await;
    let (first, other) = if one.counts().received == 1 { (one, two) } else { (two, one) };
    first.shutdown().await;
    assert!(stuck.await.expect("no panic").starts_with("PIT-408"));
    assert_eq!(other.counts().received, 1, "it was not tried again");
    assert!(start.elapsed() < stop + patience, "{:?}", start.elapsed());
}
