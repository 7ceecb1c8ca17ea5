//! A client's message is handled by another server as if it were handled here.

use crate::game::Room;
use crate::world::{SOON, World, connect, eventually, meet};
use pitaya_client::{Client, RequestError};
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

struct Pair {
    front: App,
    back: App,
    room: Arc<Room>,
    client: Client,
    _world: World,
}

async fn pair(world: World) -> Pair {
    let room = Arc::new(Room::default());
    let back = world.backend("room", "back", |b| b.shared_handlers(room.clone())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    Pair { front, back, room, client, _world: world }
}

async fn ask(client: &Client, route: &str, body: &str) -> String {
    match client.request_raw(route, body.to_owned()).await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(RequestError::Server(error)) => format!("{error}"),
        Err(error) => panic!("{route}: {error}"),
    }
}

async fn requests_are_answered_by_the_other_server(world: World) {
    let p = pair(world).await;
    assert_eq!(ask(&p.client, "room.room.who", "").await, "back front nobody");
    assert_eq!(ask(&p.client, "connector.room.who", "").await, "front - nobody");
    assert_eq!(ask(&p.client, "room.room.echo", "hi").await, "hi");
    assert_eq!(ask(&p.client, "room.room.slow_echo", "hi").await, "hi");
    let big = "x".repeat(900_000);
    assert_eq!(ask(&p.client, "room.room.echo", &big).await, big);
    assert_eq!((p.front.counts().forwarded, p.back.counts().received), (4, 4));
}

async fn errors_come_home_with_code_text_and_metadata(world: World) {
    let p = pair(world).await;
    let said = p.client.request_raw("room.room.fail", "").await;
    let Err(RequestError::Server(error)) = said else { panic!("{said:?}") };
    assert_eq!((error.code(), error.message()), ("ROOM-1", "on purpose"));
    assert_eq!(error.metadata().expect("some")["some"], "meta");
    for (route, text) in [
        ("room.room.panic", "PIT-500: internal error"),
        ("room.room.none", "PIT-404: pitaya/handler: room.room.none not found"),
        ("room.room.secret", "PIT-404: pitaya/handler: room.room.secret not found"),
        ("room.sys.kick", "PIT-404: pitaya/handler: room.sys.kick not found"),
        ("room.room.tell", "PIT-400: tried to request a notify route"),
        ("hall.room.echo", "PIT-500: no servers available of this type"),
    ] {
        assert_eq!(ask(&p.client, route, "").await, text, "{route}");
    }
    assert_eq!(ask(&p.client, "room.room.echo", "still there").await, "still there");
}

async fn notifies_arrive_and_their_errors_stay(world: World) {
    let p = pair(world).await;
    p.client.notify_raw("room.room.tell", "one").await.expect("sent");
    p.client.notify_raw("room.room.fail", "").await.expect("sent");
    p.client.notify_raw("room.room.tell", "two").await.expect("sent");
    eventually("both arrive", || p.room.told.load(SeqCst) == 2).await;
    assert_eq!(*p.room.heard.lock(), ["one", "two"]);
    eventually("the error is counted at both", || p.front.counts().failed_notifies == 1).await;
}

async fn a_backend_binds_and_pushes_at_once(world: World) {
    let p = pair(world).await;
    let mut bound = p.client.on("onBound");
    assert_eq!(ask(&p.client, "room.room.bind", "zoe").await, "bound");
    assert_eq!(&bound.recv().await.expect("open").body[..], b"at once");
    assert_eq!(p.front.sessions().by_uid("zoe").map(|session| session.id()), Some(1));
    assert_eq!(ask(&p.client, "room.room.who", "").await, "back front zoe");
    assert_eq!(ask(&p.client, "room.room.bind", "ann").await, "PIT-000: session is already bound to an uid");
    let other = connect(&p.front).await;
    assert_eq!(ask(&other, "room.room.bind", "").await, "PIT-000: illegal uid");
}

/// Every server that binds looks at the uid: the backend before it asks the frontend, and the frontend whoever asks, for a
/// Go backend lets any uid pass. A user that is bound is who its frontend says it is.
async fn uids_that_nobody_sees_pass_where_they_are_allowed(world: World) {
    let allow = |b: Builder| b.configure(|c| c.session.bind.invisible = true).handlers(Room::default());
    let strict = world.backend("room", "strict", |b| b.handlers(Room::default())).await;
    let lax = world.backend("hall", "lax", allow).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    let open = world.frontend("gate", "open", allow).await;
    meet(&[&strict, &lax, &front, &open]).await;
    let uid = "zo\u{202e}e";
    let client = connect(&front).await;
    for route in ["room.room.bind", "hall.room.bind", "connector.room.bind"] {
        let said = ask(&client, route, uid).await;
        let (code, text) = ("PIT-400: ", "U+202E behind 2 bytes");
        assert!(
            said.starts_with(code) && said.contains(text) && said.contains("pitaya.session.bind.invisible"),
            "{said}"
        );
    }
    assert_eq!(front.sessions().bound(), 0);
    assert_eq!(ask(&client, "hall.room.bind", "zoe").await, "bound");
    let client = connect(&open).await;
    assert!(ask(&client, "room.room.bind", uid).await.starts_with("PIT-400: "), "the strict backend has not asked");
    assert_eq!(ask(&client, "hall.room.bind", uid).await, "bound");
    assert!(open.sessions().by_uid(uid).is_some());
    assert_eq!(ask(&client, "room.room.who", "").await, format!("strict open {uid}"));
}

/// Sent before the frontend knew of the binding, handled after it.
async fn what_follows_a_binding_sees_it(world: World) {
    let p = pair(world).await;
    let (bound, who, set, get) = tokio::join!(
        ask(&p.client, "room.room.bind", "zoe"),
        ask(&p.client, "room.room.who", ""),
        ask(&p.client, "room.room.set", r#"{"gold":7}"#),
        ask(&p.client, "room.room.get", ""),
    );
    assert_eq!((&*bound, &*who, &*set, &*get), ("bound", "back front zoe", "set", r#"{"gold":7}"#));
}

async fn session_data_are_seen_on_both_sides(world: World) {
    let p = pair(world).await;
    assert_eq!(ask(&p.client, "room.room.get", "").await, "{}");
    let data = r#"{"big":9007199254740993,"name":"Zoë","nest":{"a":[1,null]},"ratio":0.5}"#;
    assert_eq!(ask(&p.client, "room.room.set", data).await, "set");
    assert_eq!(ask(&p.client, "connector.room.get", "").await, data);
    assert_eq!(ask(&p.client, "room.room.get", "").await, data);
    assert_eq!(ask(&p.client, "connector.room.set", r#"{"front":1}"#).await, "set");
    assert_eq!(ask(&p.client, "room.room.get", "").await, r#"{"front":1}"#);
}

/// Whatever a method does to its session, the next message finds it as the frontend has it.
async fn what_a_message_leaves_goes_with_it(world: World) {
    let p = pair(world).await;
    for keep in ["", "keep", "keep", ""] {
        assert_eq!(ask(&p.client, "room.room.get", "").await, "{}");
        assert_eq!(ask(&p.client, "room.room.scribble", keep).await, r#"{"scribble":true}"#);
    }
    assert_eq!(ask(&p.client, "room.room.get", "").await, "{}");
    assert_eq!(ask(&p.client, "room.room.bind", "zoe").await, "bound");
    assert_eq!(ask(&p.client, "room.room.who", "").await, "back front zoe");
    let kept = std::mem::take(&mut *p.room.kept.lock());
    assert!(kept[0] != kept[1] && kept.iter().all(|session| session.uid().is_none()), "of their own messages");
    assert!(kept.iter().all(|session| session.data().contains("scribble")));
    drop(kept);
    eventually("nothing else keeps a session", || Arc::strong_count(&p.room.left) == 1).await;
}

async fn a_backend_kicks(world: World) {
    let p = pair(world).await;
    let _ = p.client.request_raw("room.room.kick", "").await;
    let reason = tokio::time::timeout(SOON, p.client.closed()).await.expect("closed");
    assert!(format!("{reason:?}").contains("Kick"), "{reason:?}");
    eventually("it is gone", || p.front.sessions().count() == 0).await;
}

async fn nobody_waits_for_ever(world: World) {
    let _back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let quick = |b: Builder| {
        b.configure(|c| c.cluster.rpc.client.nats.requesttimeout = Duration::from_millis(200)).handlers(Room::default())
    };
    let front = world.frontend("connector", "front", quick).await;
    meet(&[&front]).await;
    let client = connect(&front).await;
    let start = std::time::Instant::now();
    let text = ask(&client, "room.room.stuck", "").await;
    assert!(text.starts_with("PIT-408: rpc client: request timeout"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(3), "not the default of 5 s: {:?}", start.elapsed());
    // The next one waits behind it there, and is told as much.
    assert!(ask(&client, "room.room.echo", "").await.starts_with("PIT-408"));
    assert_eq!(ask(&client, "connector.room.echo", "here").await, "here");
}

/// A message that goes elsewhere, or stays here, waits for what is in flight.
async fn the_next_target_waits_for_the_last_one(world: World) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let room = || Room { gate: Some(gate.clone()), ..Room::default() };
    let (room, hall, here) = (Arc::new(room()), Arc::new(room()), Arc::new(room()));
    let back = world.backend("room", "back", |b| b.shared_handlers(room.clone())).await;
    let other = world.backend("hall", "other", |b| b.shared_handlers(hall.clone())).await;
    let front = world.frontend("connector", "front", |b| b.shared_handlers(here.clone())).await;
    meet(&[&front, &back, &other]).await;
    let client = connect(&front).await;
    let messages = [("room", "1"), ("room", "2"), ("hall", "3"), ("connector", "4"), ("room", "5")];
    // Polled in one task, so that they are sent in this order.
    let waiting = tokio::spawn(futures_util::future::join_all(messages.map(|(kind, body)| {
        let client = client.clone();
        async move { client.request_raw(&format!("{kind}.room.wait"), body).await.map(|b| b.to_vec()) }
    })));
    // Two are on their way to one server; the third waits here.
    eventually("two are sent", || front.counts().forwarded == 2).await;
    gate.add_permits(2);
    eventually("the third follows", || front.counts().forwarded == 3).await;
    assert!(hall.heard.lock().is_empty() && here.heard.lock().is_empty());
    gate.add_permits(1);
    eventually("the third is done", || hall.heard.lock().len() == 1).await;
    gate.add_permits(2);
    for outcome in waiting.await.expect("joined") {
        outcome.expect("answered");
    }
    assert_eq!(
        (&**room.heard.lock(), &**hall.heard.lock(), &**here.heard.lock()),
        (&["1".to_owned(), "2".to_owned(), "5".to_owned()][..], &["3".to_owned()][..], &["4".to_owned()][..])
    );
}

async fn a_session_stays_with_its_server_and_moves_when_that_leaves(world: World) {
    let one = world.backend("room", "one", |b| b.handlers(Room::default())).await;
    let two = world.backend("room", "two", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &one, &two]).await;
    let client = connect(&front).await;
    let first = ask(&client, "room.room.who", "").await;
    for _ in 0..20 {
        assert_eq!(ask(&client, "room.room.who", "").await, first);
    }
    let (leaves, stays) = if first.starts_with("one") { (one, "two") } else { (two, "one") };
    leaves.shutdown().await;
    assert!(ask(&client, "room.room.who", "").await.starts_with(stays));
}

async fn a_router_chooses_for_each_message(world: World) {
    let one = world.backend("room", "one", |b| b.handlers(Room::default()).metadata("map", "desert")).await;
    let two = world.backend("room", "two", |b| b.handlers(Room::default()).metadata("map", "snow")).await;
    let by_body = |message: &pitaya_runtime::cluster::Message<'_>,
                   servers: &[Arc<pitaya_runtime::cluster::ServerInfo>]| {
        let map = std::str::from_utf8(message.body).ok()?;
        servers.iter().find(|server| server.metadata.get("map").is_some_and(|known| known == map)).cloned()
    };
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default()).route("room", by_body)).await;
    meet(&[&front, &one, &two]).await;
    let client = connect(&front).await;
    assert_eq!(ask(&client, "room.room.who", "snow").await, "two front nobody");
    assert_eq!(ask(&client, "room.room.who", "desert").await, "one front nobody");
    assert_eq!(ask(&client, "room.room.who", "sea").await, "PIT-500: no server was chosen by the router");
}

async fn a_backend_that_stops_answers_what_it_has(world: World) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let back =
        world.backend("room", "back", |b| b.handlers(Room { gate: Some(gate.clone()), ..Room::default() })).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.request_raw("room.room.wait", "late").await }
    });
    eventually("it is there", || back.counts().received == 1).await;
    let stopping = tokio::spawn(async move { back.shutdown().await });
    eventually("nobody sees it", || front.servers().of("room").is_empty()).await;
    gate.add_permits(1);
    assert_eq!(&waiting.await.expect("joined").expect("answered")[..], b"late");
    stopping.await.expect("joined");
    assert_eq!(ask(&client, "room.room.echo", "").await, "PIT-500: no servers available of this type");
}

crate::world::in_every_world! {
    requests_are_answered_by_the_other_server,
    errors_come_home_with_code_text_and_metadata,
    notifies_arrive_and_their_errors_stay,
    a_backend_binds_and_pushes_at_once,
    what_follows_a_binding_sees_it,
    uids_that_nobody_sees_pass_where_they_are_allowed,
    session_data_are_seen_on_both_sides,
    what_a_message_leaves_goes_with_it,
    a_backend_kicks,
    nobody_waits_for_ever,
    the_next_target_waits_for_the_last_one,
    a_session_stays_with_its_server_and_moves_when_that_leaves,
    a_router_chooses_for_each_message,
    a_backend_that_stops_answers_what_it_has,
}
