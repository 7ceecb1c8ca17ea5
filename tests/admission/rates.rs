//! Limits of messages: of a session, and of routes.

use crate::support::{Game, browser, player, start};
use pitaya_core::wire::{MessageKind, RouteRef};
use pitaya_runtime::accept::Acceptor;
use pitaya_runtime::prelude::*;
use pitaya_tests::client::{Client, Received};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Semaphore;

const HOUR: Duration = Duration::from_secs(3600);

/// Counts what it hears.
struct Room {
    heard: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

#[handler]
impl Room {
    pub fn say(&self, raw: Raw) -> Raw {
        self.heard.fetch_add(1, SeqCst);
        raw
    }

    pub async fn wait(&self) -> Result<&'static str> {
        self.gate.acquire().await?.forget();
        Ok("waited")
    }
}

struct Table {
    app: App,
    heard: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

async fn table(acceptor: impl Acceptor, limit: impl FnOnce(Builder) -> Builder) -> Table {
    let (heard, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let room = Room { heard: heard.clone(), gate: gate.clone() };
    let builder = Builder::new("game").acceptor(acceptor).handlers_as("room", room).handlers_as("other", Game);
    Table { app: start(limit(builder)).await, heard, gate }
}

fn tcp() -> Tcp {
    Tcp::bind("127.0.0.1:0")
}

fn is_refused(answer: &Received) -> bool {
    answer.error && answer.json()["code"] == "PIT-429" && answer.json()["msg"] == "too many messages"
}

/// How many of so many requests are answered as they should be; the others are refused.
fn served(client: &mut Client, requests: u64, route: &str) -> u64 {
    let answers = (1..=requests).map(|id| client.request(id, route, b"x"));
    answers.filter(|answer| !is_refused(answer)).inspect(|answer| assert_eq!(answer.text(), "x")).count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_has_a_limit_for_each_session() {
    let limit = |builder: Builder| builder.limit("game.room.say", Rate::new(3, HOUR));
    let (over_tcp, over_web) = (table(tcp(), limit).await, table(WebSocket::bind("127.0.0.1:0"), limit).await);
    let mut first = [player(&over_tcp.app, "127.0.0.1", &[]).await, browser(&over_web.app, "127.0.0.1", &[], "").await];
    for (table, client) in [&over_tcp, &over_web].into_iter().zip(&mut first) {
        assert_eq!(served(client, 2, "game.room.say"), 2);
        // The same route by its short name, and as a notify.
        client.notify("room.say", b"x");
        assert_eq!(served(client, 5, "room.say"), 0);
        client.notify("game.room.say", b"x");
        // Another route, and an answer that shows that the notify is done with.
        assert_eq!(served(client, 10, "game.other.echo"), 10);
        assert_eq!((table.heard.load(SeqCst), table.app.counts().limited_messages), (3, 6));
        assert_eq!(table.app.counts().error_answers, 5);
    }
    let mut another = player(&over_tcp.app, "127.0.0.1", &[]).await;
    assert_eq!(served(&mut another, 5, "game.room.say"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_a_limit_over_all_routes() {
    let table = table(tcp(), |builder| builder.limit_session(Rate::new(4, HOUR)).limit("room.say", Rate::new(1, HOUR)));
    let table = table.await;
    let mut client = player(&table.app, "127.0.0.1", &[]).await;
    assert_eq!(served(&mut client, 3, "room.say"), 1);
    assert_eq!(served(&mut client, 3, "other.echo"), 1, "what was refused for its route has counted");
    assert!(is_refused(&client.request(9, "no.such", b"")));
    assert_eq!(table.app.counts().limited_messages, 5);
    assert_eq!(table.app.sessions().count(), 1, "nobody is closed for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_say_the_same_and_a_call_comes_before_them() {
    let builder = |builder: Builder| {
        let set = |config: &mut Config| {
            config.limits.messages = Some("6/1h".parse().expect("a rate"));
            config.limits.routes.insert("game.room.say".to_owned(), Rate::new(1, HOUR));
            config.limits.routes.insert("game.other.echo".to_owned(), Rate::new(1, HOUR));
        };
        builder.configure(set).limit("game.other.echo", Rate::new(2, HOUR))
    };
    let table = table(tcp(), builder).await;
    let mut client = player(&table.app, "127.0.0.1", &[]).await;
    assert_eq!(served(&mut client, 2, "game.room.say"), 1);
    assert_eq!(served(&mut client, 3, "game.other.echo"), 2);
    let answers = [client.request(7, "game.other.who", b""), client.request(8, "game.other.who", b"")];
    assert_eq!(answers.map(|answer| is_refused(&answer)), [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_fills_again() {
    let rate = Rate::new(2, Duration::from_secs(2));
    let table = table(tcp(), |builder| builder.limit("room.say", rate)).await;
    let mut client = player(&table.app, "127.0.0.1", &[]).await;
    assert_eq!(served(&mut client, 3, "room.say"), 2);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert!(served(&mut client, 1, "room.say") == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_are_counted_when_their_turn_comes() {
    let table = table(tcp(), |builder| builder.limit("room.say", Rate::new(2, HOUR))).await;
    let mut client = player(&table.app, "127.0.0.1", &[]).await;
    client.send_request(1, "room.wait", b"");
    for id in 2..6 {
        client.send_request(id, "room.say", b"x");
    }
    table.gate.add_permits(1);
    let answers: Vec<_> = (1..6).map(|_| client.message()).collect();
    assert_eq!(answers.iter().map(|answer| answer.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(answers.iter().map(is_refused).collect::<Vec<_>>(), [false, false, false, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_as_a_code_is_the_same_route() {
    let limit =
        |builder: Builder| builder.dictionary([("game.room.say", 7)]).limit("game.room.say", Rate::new(2, HOUR));
    let table = table(tcp(), limit).await;
    let mut client = player(&table.app, "127.0.0.1", &[]).await;
    let mut coded = Vec::new();
    let message = pitaya_core::wire::Message {
        kind: MessageKind::Request,
        id: 1,
        route: Some(RouteRef::Code(7)),
        compressed: false,
        error: false,
        body: b"x",
    };
    message.encode(&mut coded).expect("short");
    for refused in [false, false, true] {
        client.send_packet(pitaya_core::wire::PacketKind::Data, &coded);
        assert_eq!(is_refused(&client.message()), refused);
    }
    assert!(is_refused(&client.request(2, "game.room.say", b"x")));
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_other_servers_are_limited_where_the_client_is() {
    let cluster = LocalCluster::default();
    let heard = Arc::new(AtomicUsize::new(0));
    let room = Room { heard: heard.clone(), gate: Arc::new(Semaphore::new(0)) };
    let backend = start(Builder::new("room").local_cluster(&cluster).handlers(room)).await;
    let connector = Builder::new("connector").acceptor(tcp()).local_cluster(&cluster).handlers_as("other", Game);
    // Few may be in flight: others are tried again later, and none is counted twice for it.
    let connector = connector.configure(|config| config.limits.inflight = 2);
    let connector = start(connector.limit("room.room.say", Rate::new(5, HOUR))).await;
    let mut client = player(&connector, "127.0.0.1", &[]).await;
    for id in 1..=20 {
        client.send_request(id, "room.room.say", b"x");
    }
    let mut answers: Vec<_> = (1..=20).map(|_| client.message()).collect();
    answers.sort_by_key(|answer| answer.id);
    let refused: Vec<_> = answers.iter().map(is_refused).collect();
    assert_eq!(refused, [[false; 5].as_slice(), &[true; 15]].concat());
    assert_eq!((heard.load(SeqCst), connector.counts().limited_messages), (5, 15));
    assert_eq!(served(&mut client, 5, "connector.other.echo"), 5);
    assert_eq!(backend.counts().limited_messages, 0);
}

#[test]
fn a_limit_of_nothing_is_told_at_the_start() {
    let rate = Rate::per_second(1);
    let builder = Builder::new("game").acceptor(tcp()).handlers_as("other", Game);
    let builder = builder.limit("other.ehco", rate).limit("game.other.gone", rate).limit("no route", rate);
    let error = builder.limit("other.echo", rate).limit("game.other.echo", rate).limit("room.a.b", rate).build();
    let error = error.expect_err("wrong limits");
    let expected = [
        "a limit is set for `game.other.gone`, but nothing is mounted there",
        "a limit is set for `no route`, which is no route",
        "the route `other.echo` has two limits, by two names; leave one",
        "a limit is set for `other.ehco`, but nothing is mounted there",
    ];
    let mut found: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
}
