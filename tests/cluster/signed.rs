//! Servers that sign their messages: what a client of the broker can do to a game without that, and cannot with it.

use crate::game::Room;
use crate::world::{World, connect, eventually, meet};
use async_nats::Message;
use futures_util::StreamExt;
use pitaya_client::{Client, RequestError};
use pitaya_core::cluster::envelope::{KickMsg, Msg, Push, Request, Response, RpcType, Session as Named};
use pitaya_core::cluster::lane::{self, LaneAnswer, LaneCall, Number, Outgoing, Part};
use pitaya_runtime::config::{Authentication, Secret, UserTopics};
use pitaya_runtime::prelude::*;
use pitaya_tests::PATIENCE;
use pitaya_tests::capture::Capture;
use prost::Message as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::timeout;

const KEY: &str = "a key that every server of the cluster knows";
const OTHER: &str = "a key that only one server of the cluster has";

fn keys(keys: &str) -> impl FnOnce(&mut Authentication) {
    let keys = Secret::new(keys);
    move |authentication| authentication.keys = keys
}

/// A frontend and a backend with these settings.
struct Game {
    front: App,
    back: App,
    room: Arc<Room>,
    world: World,
}

async fn game(at_front: impl FnOnce(&mut Authentication), at_back: impl FnOnce(&mut Authentication)) -> Game {
    let (world, room) = (World::brokers(), Arc::new(Room::default()));
    let back = world.backend("room", "back", |builder| {
        let builder = builder.configure(|config| at_back(&mut config.cluster.rpc.authentication));
        measured(builder.shared_handlers(room.clone()))
    });
    let back = back.await;
    let front = world.frontend("connector", "front", |builder| {
        let builder = measured(builder.handlers(Room::default()));
        builder.configure(|config| {
            at_front(&mut config.cluster.rpc.authentication);
            // As if a Go server were in the cluster.
            config.cluster.rpc.server.nats.usertopics = UserTopics::Always;
        })
    });
    let front = front.await;
    meet(&[&front, &back]).await;
    Game { front, back, room, world }
}

impl Game {
    async fn bus(&mut self) -> async_nats::Client {
        async_nats::connect(self.world.nats().url()).await.expect("the broker has no logins")
    }

    async fn user(&self, uid: &str) -> Client {
        let client = connect(&self.front).await;
        assert_eq!(ask(&client, "room.room.bind", uid).await, "bound");
        client
    }

    async fn stop(self) {
        self.front.shutdown().await;
        self.back.shutdown().await;
    }
}

async fn ask(client: &Client, route: &str, body: &str) -> String {
    match client.request_raw(route, body.to_owned()).await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(RequestError::Server(error)) => format!("{error}"),
        Err(error) => panic!("{route}: {error}"),
    }
}

/// The number that a transport has counted under this name.
fn counted(app: &App, name: &str) -> u64 {
    let (text, name) = (app.metrics().render(), format!("pitaya_transport_{name}_total"));
    let line = text.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit_once(' ').and_then(|(_, number)| number.parse().ok()).expect("a number")
}

/// Metrics are written on demand.
fn measured(builder: Builder) -> Builder {
    builder.configure(|config| {
        config.metrics.prometheus.enabled = true;
        config.metrics.prometheus.host = "127.0.0.1".to_owned();
        config.metrics.prometheus.port = 0;
    })
}

const FRONTEND: &str = r#"{"peer.id":"front","peer.service":"connector","reqTimeout":"5s"}"#;
const BACKEND: &str = r#"{"peer.id":"back","peer.service":"room","reqTimeout":"5s"}"#;

/// A message of a client, as a frontend that is none writes it.
fn as_user(uid: &str, route: &str) -> Vec<u8> {
    let msg = Msg { id: 1, route: route.to_owned(), ..Msg::default() };
    let session = Some(Named { id: 999, uid: uid.to_owned(), data: "{}".into() });
    let (frontend_id, metadata) = ("front".to_owned(), FRONTEND.into());
    Request { r#type: RpcType::Sys.into(), session, msg: Some(msg), frontend_id, metadata }.encode_to_vec()
}

/// A call of a remote, as a backend that is none writes it.
fn call(route: &str, argument: Vec<u8>) -> Vec<u8> {
    let msg = Some(Msg { route: route.to_owned(), data: argument.into(), ..Msg::default() });
    Request { r#type: RpcType::User.into(), msg, metadata: BACKEND.into(), ..Request::default() }.encode_to_vec()
}

/// Waits until the broker has done what this client asked for before.
async fn settled(bus: &async_nats::Client) {
    let _ = bus.request("nobody", "".into()).await;
}

async fn send(bus: &async_nats::Client, subject: &str, payload: Vec<u8>) -> Result<String, Error> {
    let answer = bus.request(subject.to_owned(), payload.into()).await.expect("an answer");
    let outcome: Result<_, _> = Response::decode(answer.payload).expect("a response").into();
    outcome.map(|data| String::from_utf8_lossy(&data).into_owned())
}

/// A message of the user `ann` in a bundle, as the frontend writes it.
async fn in_a_bundle(bus: &async_nats::Client) -> Result<String, Error> {
    let way = "pitaya/servers/connector/front.forged";
    let mut answers = bus.subscribe(format!("{way}.>")).await.expect("subscribed");
    let (session, sender) = (lane::session_part(999, "ann", b"{}"), lane::sender_part("front", FRONTEND.as_bytes()));
    let message = Outgoing {
        session: &session,
        sender: &sender,
        id: 1,
        notify: false,
        route: "room.room.who",
        body: b"",
        deflated: false,
        micros: 0,
        own: b"",
    };
    let mut bundle = Vec::new();
    lane::open(1, &mut bundle);
    message.carry(Number::new(1, 1, 1), &mut bundle);
    let sent = bus.publish_with_reply("pitaya/servers/room/back.lane", format!("{way}.0.1"), bundle.into());
    sent.await.expect("sent");
    first_answer(&mut answers).await
}

/// The same for a call of a remote of the framework.
async fn call_in_a_bundle(bus: &async_nats::Client, route: &str, argument: &[u8]) -> Result<String, Error> {
    let way = "pitaya/servers/room/back.forged";
    let mut answers = bus.subscribe(format!("{way}.>")).await.expect("subscribed");
    let mut bundle = Vec::new();
    lane::open_calls(&lane::sender_part("", BACKEND.as_bytes()), &mut bundle);
    LaneCall { route, body: argument, own: b"", number: Number(7), micros: 5_000_000 }.carry(&mut bundle);
    let sent = bus.publish_with_reply("pitaya/servers/connector/front.calls", format!("{way}.c0.1"), bundle.into());
    sent.await.expect("sent");
    first_answer(&mut answers).await
}

async fn first_answer(answers: &mut async_nats::Subscriber) -> Result<String, Error> {
    let answer = timeout(PATIENCE, answers.next()).await.expect("an answer").expect("open");
    let Some(Ok(Part::Envelope(envelope))) = lane::parts(&answer.payload).next() else {
        panic!("no answer: {answer:?}")
    };
    let answer = LaneAnswer::read(envelope).expect("an answer");
    answer.outcome().map(|data| String::from_utf8_lossy(data).into_owned())
}

/// Acts as a user, pushes to one, replaces a session's data and kicks, in each way there is. `succeeds`: whether it should.
async fn attack(game: &mut Game, succeeds: bool) {
    let bus = game.bus().await;
    let client = game.user("ann").await;
    let mut pushes = client.on("onForged");
    let session = game.front.sessions().by_uid("ann").expect("bound");
    let named = |data: &'static str| Named { id: session.id(), uid: String::new(), data: data.into() }.encode_to_vec();
    let kick = KickMsg { user_id: "ann".to_owned(), ..KickMsg::default() }.encode_to_vec();
    let push = Push { route: "onForged".to_owned(), uid: "ann".to_owned(), data: "x".into() }.encode_to_vec();
    let (front, back) = ("pitaya/servers/connector/front", "pitaya/servers/room/back");

    let outcomes = [
        ("acts as a user", send(&bus, back, as_user("ann", "room.room.who")).await),
        ("acts as a user, in a bundle", in_a_bundle(&bus).await),
        ("pushes", send(&bus, "pitaya/connector/user/ann/push", push).await),
        ("replaces data", send(&bus, front, call("sys.pushsession", named(r#"{"gold":1}"#))).await),
        ("replaces data, in a bundle", call_in_a_bundle(&bus, "sys.pushsession", &named(r#"{"gold":9}"#)).await),
    ];
    for (what, outcome) in outcomes {
        match outcome {
            Ok(_) => assert!(succeeds, "{what}"),
            Err(error) => {
                assert!(!succeeds, "{what}: {error}");
                assert_eq!(error.code(), "PIT-401", "{what}: {error}");
                assert!(error.message().contains("pitaya.cluster.rpc.authentication.file"), "{what}: {error}");
            }
        }
    }
    let data = ask(&client, "connector.room.get", "").await;
    assert_eq!(data, if succeeds { r#"{"gold":9}"# } else { "{}" });
    let kicked = send(&bus, front, call("sys.kick", kick.clone())).await;
    assert_eq!(kicked.is_ok(), succeeds, "{kicked:?}");
    if succeeds {
        assert_eq!(&pushes.recv().await.expect("open").body[..], b"x");
        timeout(PATIENCE, client.closed()).await.expect("kicked");
        return;
    }
    let published = bus.request("pitaya/connector/user/ann/kick", kick.into()).await.expect("an answer");
    assert!(Response::decode(published.payload).expect("a response").error.is_some());
    // An acknowledgement that nobody waited for: logins of frontends.
    bus.publish("pitaya/connector/bindings", vec![0x0a, 3, b'a', b'n', b'n', 0x12, 1, b'x'].into())
        .await
        .expect("sent");
    bus.flush().await.expect("sent");
    eventually("all are counted", || counted(&game.front, "unsigned") == 6).await;
    assert_eq!(counted(&game.back, "unsigned"), 2);
    assert_eq!(ask(&client, "room.room.who", "").await, "back front ann", "nothing has become of it");
    assert!(client.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_of_the_broker_is_any_server_without_signatures() {
    let mut game = game(|_| (), |_| ()).await;
    attack(&mut game, true).await;
    game.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_of_the_broker_is_no_server_with_signatures() {
    let mut game = game(keys(KEY), keys(KEY)).await;
    attack(&mut game, false).await;
    game.stop().await;
}

/// All that servers say to each other is signed: nothing is refused while a game does what it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_game_plays_as_before() {
    let mut game = game(keys(KEY), keys(KEY)).await;
    let second = game.world.frontend("connector", "second", |builder| {
        let builder = measured(builder.handlers(Room::default()));
        builder.configure(|config| config.cluster.rpc.authentication.keys = Secret::new(KEY))
    });
    let second = second.await;
    meet(&[&game.front, &game.back, &second]).await;
    let client = game.user("ann").await;
    let mut pushes = client.on("onX");
    assert_eq!(ask(&client, "room.room.set", r#"{"gold":7}"#).await, "set");
    assert_eq!(ask(&client, "connector.room.get", "").await, r#"{"gold":7}"#);
    for server in [&game.back, &second] {
        server.users("connector").push("onX", &1, &["ann"]).await.expect("pushed");
        assert_eq!(&pushes.recv().await.expect("open").body[..], b"1");
    }
    // A login elsewhere, which frontends acknowledge to each other.
    let newer = connect(&second).await;
    assert_eq!(ask(&newer, "room.room.bind", "ann").await, "bound");
    timeout(PATIENCE, client.closed()).await.expect("replaced");
    game.back.users("connector").kick(&["ann"]).await.expect("kicked");
    timeout(PATIENCE, newer.closed()).await.expect("kicked");
    // A broker that comes back: numbers begin anew, with another connection.
    game.world.nats().kill();
    eventually("it is lost", || !game.front.health().is_ready()).await;
    game.world.nats().restart();
    let third = connect(&game.front).await;
    timeout(PATIENCE, async {
        while ask(&third, "room.room.echo", "x").await != "x" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it is back");
    for app in [&game.front, &game.back, &second] {
        for name in ["unsigned", "unknown_key", "forged", "replayed", "untimely", "malformed"] {
            assert_eq!(counted(app, name), 0, "{name}");
        }
    }
    second.shutdown().await;
    game.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_recorded_is_not_taken_again() {
    for signed in [false, true] {
        let with = || keys(if signed { KEY } else { "" });
        let mut game = game(with(), with()).await;
        let bus = game.bus().await;
        let mut tap = bus.subscribe("pitaya/servers/room/back.lane").await.expect("subscribed");
        settled(&bus).await;
        let client = game.user("ann").await;
        client.notify_raw("room.room.tell", "pay").await.expect("sent");
        eventually("it is heard", || game.room.told.load(SeqCst) == 1).await;
        let recorded = timeout(PATIENCE, async {
            loop {
                let message: Message = tap.next().await.expect("open");
                if message.payload.windows(3).any(|part| part == b"pay") {
                    return message;
                }
            }
        });
        let Message { subject, reply, payload, .. } = recorded.await.expect("it was sent");
        let reply = reply.expect("a reply subject");
        bus.publish_with_reply(subject.clone(), reply.clone(), payload.clone()).await.expect("sent");
        if !signed {
            eventually("it runs again", || game.room.told.load(SeqCst) == 2).await;
            game.stop().await;
            continue;
        }
        eventually("it is refused", || counted(&game.back, "replayed") == 1).await;
        // Elsewhere, with another way back, and with other bytes.
        bus.publish_with_reply("pitaya/servers/connector/front.lane", reply.clone(), payload.clone())
            .await
            .expect("sent");
        eventually("it is refused", || counted(&game.front, "forged") == 1).await;
        let elsewhere = "pitaya/servers/connector/front.other.0.1";
        bus.publish_with_reply(subject.clone(), elsewhere, payload.clone()).await.expect("sent");
        eventually("it is refused", || counted(&game.back, "forged") == 1).await;
        let mut changed = payload.to_vec();
        let at = changed.windows(3).position(|part| part == b"pay").expect("the body");
        changed[at] = b'P';
        bus.publish_with_reply(subject, reply, changed.into()).await.expect("sent");
        eventually("it is refused", || counted(&game.back, "forged") == 2).await;
        client.notify_raw("room.room.tell", "more").await.expect("sent");
        eventually("its own go on", || game.room.told.load(SeqCst) == 2).await;
        assert_eq!(*game.room.heard.lock(), ["pay", "more"]);
        game.stop().await;
    }
}

/// On one thread, so that the lines of all tasks are seen.
#[tokio::test]
async fn a_wrong_key_is_told_in_the_log_and_in_the_answer() {
    let (log, _guard) = Capture::filtered("info");
    let game = game(keys(OTHER), keys(KEY)).await;
    let client = connect(&game.front).await;
    let answer = ask(&client, "room.room.who", "").await;
    assert!(
        answer.starts_with("PIT-401: the message was refused, by an answer that is not signed, and may have run: it is signed with a key that"),
        "{answer}"
    );
    assert_eq!((counted(&game.back, "unknown_key"), game.room.told.load(SeqCst)), (1, 0));
    let lines = log.lines("message of another server refused: it is signed with a key that is not known");
    assert_eq!(lines.len(), 1, "{}", log.text());
    assert!(lines[0].contains(r#"server="front" kind="connector""#), "{}", lines[0]);
    assert!(!log.text().contains(KEY) && !log.text().contains(OTHER));
    assert!(!format!("{game:?}", game = game.front).contains(OTHER));
    game.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_sign_is_named_and_not_asked() {
    let (log, _guard) = Capture::filtered("info");
    // Each way round.
    for front_signs in [true, false] {
        let with = |signs| keys(if signs { KEY } else { "" });
        let game = game(with(front_signs), with(!front_signs)).await;
        let client = connect(&game.front).await;
        let answer = ask(&client, "room.room.who", "").await;
        let wanted = if front_signs { "the server does not sign its messages" } else { "it is not signed" };
        assert!(answer.starts_with("PIT-401") && answer.contains(wanted), "{answer}");
        assert!(answer.contains("pitaya.cluster.rpc.authentication.unsigned"), "{answer}");
        game.stop().await;
    }
    for text in ["server does not sign its messages: they are refused", "server wants signed messages"] {
        let lines = log.lines(text);
        for (server, kind) in [("back", "room"), ("front", "connector")] {
            let names = |line: &&String| line.contains(&format!(r#"server="{server}" kind="{kind}""#));
            assert_eq!(lines.iter().filter(names).count(), 1, "{text} {server}: {}", log.text());
        }
    }
}

/// A server of ours that does not sign stands in for Go's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_of_a_listed_type_need_not_sign() {
    for (front, back) in [("", KEY), (KEY, "")] {
        let listing = |own: &str, types: &[&str]| {
            let (own, types) = (own.to_owned(), types.iter().map(|kind| (*kind).to_owned()).collect());
            move |authentication: &mut Authentication| {
                if !own.is_empty() {
                    (authentication.keys, authentication.unsigned) = (Secret::new(own), types);
                }
            }
        };
        let mut game = game(listing(front, &["room"]), listing(back, &["connector"])).await;
        let client = game.user("ann").await;
        let mut pushes = client.on("onX");
        assert_eq!(ask(&client, "room.room.set", r#"{"gold":7}"#).await, "set");
        assert_eq!(ask(&client, "connector.room.get", "").await, r#"{"gold":7}"#);
        game.back.users("connector").push("onX", &1, &["ann"]).await.expect("pushed");
        assert_eq!(&pushes.recv().await.expect("open").body[..], b"1");
        // A stranger, a server of another type, and one that only says that it is of this type.
        let bus = game.bus().await;
        let (signs, subject) = if front.is_empty() {
            (&game.back, "pitaya/servers/room/back")
        } else {
            (&game.front, "pitaya/servers/connector/front")
        };
        for (id, kind) in [("front", "room"), ("back", "connector"), ("ghost", "connector"), ("ghost", "room")] {
            let metadata = format!(r#"{{"peer.id":"{id}","peer.service":"{kind}"}}"#);
            for r#type in [RpcType::Sys, RpcType::User] {
                let msg = Some(Msg { route: "room.room.who".to_owned(), ..Msg::default() });
                let (frontend_id, metadata) = (id.to_owned(), metadata.clone().into());
                let request = Request { r#type: r#type.into(), session: None, msg, frontend_id, metadata };
                let error = send(&bus, subject, request.encode_to_vec()).await.expect_err("refused");
                assert_eq!(error.code(), "PIT-401", "{id} {kind}: {error}");
            }
        }
        assert_eq!(counted(signs, "unsigned"), 8);
        game.back.users("connector").kick(&["ann"]).await.expect("kicked");
        timeout(PATIENCE, client.closed()).await.expect("kicked");
        game.stop().await;
    }
}

/// While requests go on, each step at one server after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_replaced_while_servers_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |server: &str| folder.path().join(server);
    let write = |server: &str, keys: &str| std::fs::write(file(server), keys).expect("written");
    for server in ["front", "back"] {
        write(server, &format!("# the first key\n{KEY}\n"));
    }
    let at = |server: &str| {
        let path = file(server).display().to_string();
        move |authentication: &mut Authentication| authentication.file = path
    };
    let game = game(at("front"), at("back")).await;
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let client = connect(&game.front).await;
    let load = async {
        while !stop.load(SeqCst) {
            let answers = (0..8).map(|_| ask(&client, "room.room.echo", "x"));
            for answer in futures_util::future::join_all(answers).await {
                assert_eq!(answer, "x");
                answered.fetch_add(1, SeqCst);
            }
        }
    };
    let rotate = async {
        for keys in [format!("{KEY}\n{OTHER}"), format!("{OTHER}\n{KEY}"), OTHER.to_owned()] {
            for (server, app) in [("front", &game.front), ("back", &game.back)] {
                write(server, &keys);
                app.reload().await.expect("the file can be used");
                let before = answered.load(SeqCst);
                eventually("requests go on", || answered.load(SeqCst) > before + 40).await;
            }
        }
        // A file that cannot be used changes nothing.
        write("front", "short");
        let error = game.front.reload().await.expect_err("too short").to_string();
        assert!(error.contains("key 1 has 5 bytes") && error.contains("front"), "{error}");
        let before = answered.load(SeqCst);
        eventually("requests go on", || answered.load(SeqCst) > before + 40).await;
        stop.store(true, SeqCst);
    };
    tokio::join!(load, rotate);
    for app in [&game.front, &game.back] {
        assert_eq!((counted(app, "unknown_key"), counted(app, "forged"), counted(app, "unsigned")), (0, 0, 0));
    }
    game.stop().await;
}

#[tokio::test]
async fn keys_that_cannot_work_are_refused_before_the_start() {
    let built = |change: fn(&mut Authentication)| {
        let builder = Builder::new("room").configure(|config| change(&mut config.cluster.rpc.authentication));
        builder.build().err().map(|error| error.to_string()).unwrap_or_default()
    };
    let text = built(|authentication| authentication.keys = Secret::new("hunter2"));
    assert!(text.contains("key 1 has 7 bytes, and at least 32 are needed") && !text.contains("hunter2"), "{text}");
    let text = built(|authentication| authentication.unsigned = vec!["go".to_owned()]);
    assert!(text.contains("has no effect without `keys` or `file`"), "{text}");
    let world = World::brokers();
    let app =
        world.builder("room", "r1").configure(|config| config.cluster.rpc.authentication.file = "/no/file".to_owned());
    let error = app.build().expect("a valid app").start().await.expect_err("no file").to_string();
    assert!(error.contains("pitaya.cluster.rpc.authentication.file: the file /no/file cannot be read"), "{error}");
}
