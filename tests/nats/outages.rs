//! The broker or a server goes away: everybody hears it at once, nothing is done twice, and all comes back.

use crate::long;
use crate::support::{Event, Node, Told, code, server, until};
use pitaya_runtime::cluster::{Login, OutgoingCall, Transport};
use pitaya_tests::capture::ThreadLog;
use pitaya_tests::nats::NatsServer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ROUNDS: usize = 6;

/// Counts how often each message was run.
type Runs = Arc<Mutex<HashMap<(i64, Vec<u8>), u32>>>;

async fn room(id: &'static str, plain: bool, broker: &NatsServer, runs: &Runs) -> Node {
    let runs = runs.clone();
    let maker = server("room", id, broker).on_message(move |message| {
        *runs.lock().expect("unpoisoned").entry((message.letter.session, message.letter.body.to_vec())).or_default() +=
            1;
        message.from.back.answer(message.letter.ticket, Ok(&message.letter.body));
    });
    if plain { maker.plain().start().await } else { maker.start().await }
}

/// The broker is killed and started again and again while messages fly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_has_one_outcome_whatever_the_broker_does() {
    let mut broker = NatsServer::start(&[]);
    let runs = Runs::default();
    let rooms = [room("r1", false, &broker, &runs).await, room("r2", true, &broker, &runs).await];
    let front = server("connector", "f1", &broker).start().await;
    let (stop, last_success) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Instant::now())));
    let tally: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let mut sessions = Vec::new();
    for number in 1..=40 {
        let (mut client, stop, success) = (front.session(number), stop.clone(), last_success.clone());
        let (to, depth) = (rooms[number as usize % 2].info.clone(), if number % 2 == 0 { 8 } else { 1 });
        let (runs, tally) = (runs.clone(), tally.clone());
        sessions.push(tokio::spawn(async move {
            let (mut sent, mut open) = (0u64, 0);
            while !stop.load(Relaxed) || open > 0 {
                while open < depth && !stop.load(Relaxed) {
                    sent += 1;
                    match client.send(&to, sent, &sent.to_be_bytes()) {
                        Ok(()) => open += 1,
                        Err(error) => {
                            assert_eq!(error.code(), "PIT-503");
                            *tally.lock().expect("unpoisoned").entry("refused".to_owned()).or_default() += 1;
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                    }
                }
                if open == 0 {
                    continue;
                }
                let Event::Answer(id, outcome) = client.event().await else { panic!("nobody pushes") };
                open -= 1;
                let ran =
                    runs.lock().expect("unpoisoned").get(&(number, id.to_be_bytes().to_vec())).copied().unwrap_or(0);
                assert!(ran <= 1, "message {id} of {number} was run {ran} times");
                let how = match outcome {
                    Ok(body) => {
                        assert_eq!((body, ran), (id.to_be_bytes().to_vec(), 1));
                        *success.lock().expect("unpoisoned") = Instant::now();
                        "answered".to_owned()
                    }
                    Err(error) => {
                        assert!(matches!(error.code(), "PIT-408" | "PIT-503"), "{error}");
                        assert!(error.code() != "PIT-503" || ran == 0, "it has not run, and ran");
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        error.code().to_owned()
                    }
                };
                *tally.lock().expect("unpoisoned").entry(how).or_default() += 1;
            }
            // One outcome each, and nothing more.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(client.is_quiet());
            sent
        }));
    }
    for round in 0..ROUNDS {
        let before = Instant::now();
        until("messages are answered", || *last_success.lock().expect("unpoisoned") > before).await;
        broker.kill();
        tokio::time::sleep(Duration::from_millis(60 * round as u64)).await;
        let opened = broker.restart();
        until("messages are answered again", || *last_success.lock().expect("unpoisoned") > opened).await;
        let took = opened.elapsed();
        assert!(took < Duration::from_secs(if long() { 1 } else { 3 }), "the first success came after {took:?}");
    }
    stop.store(true, Relaxed);
    let mut sent = 0;
    for session in sessions {
        sent += session.await.expect("a session without a mistake");
    }
    let tally = tally.lock().expect("unpoisoned").clone();
    assert_eq!(tally.values().sum::<u64>(), sent, "{tally:?}");
    assert!(tally["answered"] > 100, "{tally:?}");
    assert_eq!(front.transport.counts().timeouts, 0, "a loss is told at once: {tally:?}");
    assert!(front.transport.counts().disconnects >= ROUNDS as u64);
    assert!(runs.lock().expect("unpoisoned").values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_lost_connection_is_told_at_once() {
    let mut broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).on_message(|_| {}).on_call(|_, _| {}).start().await;
    let front = server("connector", "f1", &broker).start().await;
    let mut client = front.session(1);
    client.send(&room.info, 1, b"").expect("sent");
    let (transport, to) = (front.transport.clone(), room.info.clone());
    let call =
        tokio::spawn(async move { transport.call(&to, OutgoingCall::new("room.a.b", Duration::from_secs(9))).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    broker.kill();
    let began = Instant::now();
    assert_eq!(code(client.outcome(1).await), "PIT-408");
    assert_eq!(code(call.await.expect("no panic")), "PIT-408");
    assert!(began.elapsed() < Duration::from_secs(2), "long before any time-out: {:?}", began.elapsed());
    until("it is known", || !front.transport.is_connected()).await;
    // Nothing is kept for later.
    assert_eq!(code(client.send(&room.info, 2, b"")), "PIT-503");
    let call = OutgoingCall::new("room.a.b", Duration::from_secs(9));
    assert_eq!(code(front.transport.call(&room.info, call).await), "PIT-503");
    assert_eq!(code(front.transport.push("connector", "zoe", "onX", b"")), "PIT-503");
    assert!(front.transport.listen("zoe").await.is_ok(), "with the next connection");
    front.transport.stop().await;
}

/// A broker that is there and says nothing.
#[tokio::test]
async fn a_black_hole_is_noticed() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).on_message(|_| {}).start().await;
    let mut maker = server("connector", "f1", &broker).timeout(Duration::from_secs(30));
    maker.config.cluster.rpc.client.nats.pinginterval = Duration::from_millis(100);
    maker.config.cluster.rpc.client.nats.connectiontimeout = Duration::from_millis(200);
    let front = maker.start().await;
    let mut client = front.session(1);
    client.send(&room.info, 1, b"").expect("sent");
    tokio::time::sleep(Duration::from_millis(50)).await;
    broker.stand_still();
    let began = Instant::now();
    assert_eq!(code(client.outcome(1).await), "PIT-408");
    assert!(began.elapsed() < Duration::from_secs(10), "long before the time-out: {:?}", began.elapsed());
    broker.go_on();
    until("it is back", || front.transport.is_connected()).await;
    assert_eq!(front.transport.counts().connections, 2);
}

/// A server dies: by the lane it is noticed without any traffic.
#[tokio::test]
async fn a_dead_server_is_noticed() {
    let broker = NatsServer::start(&[]);
    let arrived = Arc::new(AtomicU64::new(0));
    let counter = arrived.clone();
    let maker = server("room", "r1", &broker).on_message(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    let dying = tokio::runtime::Runtime::new().expect("a runtime");
    let start = || dying.block_on(maker.start());
    let room = std::thread::scope(|scope| scope.spawn(start).join()).expect("it starts");
    let front = server("connector", "f1", &broker).timeout(Duration::from_secs(30)).start().await;
    let mut client = front.session(1);
    for id in 1..=100 {
        client.send(&room.info, id, b"").expect("sent");
    }
    until("all are there", || arrived.load(Relaxed) == 100).await;
    let to = room.info.clone();
    // All its tasks end where they stand, and its connection with them.
    dying.shutdown_background();
    let began = Instant::now();
    for id in 1..=100 {
        assert_eq!(code(client.outcome(id).await), "PIT-408");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "long before the time-out: {:?}", began.elapsed());
    client.send(&to, 101, b"").expect("sent");
    assert_eq!(code(client.outcome(101).await), "PIT-503");
    assert!(front.transport.is_connected());
    drop(room);
}

#[tokio::test]
async fn users_are_heard_again_when_the_broker_is_back() {
    let mut broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).start().await;
    let room = server("room", "r1", &broker).start().await;
    for user in ["zoe", "max"] {
        front.transport.listen(user).await.expect("listening");
    }
    broker.kill();
    until("it is lost", || !front.transport.is_connected() && !room.transport.is_connected()).await;
    front.transport.ignore("max");
    broker.restart();
    until("it is back", || front.transport.is_connected() && room.transport.is_connected()).await;
    for user in ["max", "zoe"] {
        room.transport.push("connector", user, "onX", b"1").expect("sent");
    }
    assert_eq!(front.hear().await, Told::Push("zoe".to_owned(), "onX".to_owned(), b"1".to_vec()));
    room.transport.tell_bound(&Login::new("x", "r1")).expect("sent");
    let client = async_nats::connect(broker.url()).await.expect("a client");
    pitaya_tests::bus::settled(&client).await;
    assert_eq!(front.transport.counts().connections, 2);
}

/// A server that stops takes nothing more, answers what it has, and others hear at once that it is gone.
#[tokio::test]
async fn stopping_answers_what_was_taken() {
    let broker = NatsServer::start(&[]);
    let held = Arc::new(Mutex::new(Vec::new()));
    let holding = held.clone();
    let room = server("room", "r1", &broker)
        .on_message(move |message| holding.lock().expect("unpoisoned").push(message))
        .start()
        .await;
    let front = server("connector", "f1", &broker).start().await;
    let mut client = front.session(1);
    client.send(&room.info, 1, b"").expect("sent");
    until("it is there", || held.lock().expect("unpoisoned").len() == 1).await;
    room.transport.stop_taking().await;
    let mut other = front.session(2);
    other.send(&room.info, 1, b"").expect("sent");
    assert_eq!(code(other.outcome(1).await), "PIT-503");
    let call = OutgoingCall::new("room.a.b", Duration::from_secs(9));
    assert_eq!(code(front.transport.call(&room.info, call).await), "PIT-503");
    let message = held.lock().expect("unpoisoned").pop().expect("it is held");
    message.from.back.answer(message.letter.ticket, Ok(b"last"));
    // What was said before the end is sent.
    room.transport.stop().await;
    assert_eq!(client.outcome(1).await, Ok(b"last".to_vec()));
    assert!(!room.transport.is_connected());
    client.send(&room.info, 2, b"").expect("sent");
    assert_eq!(code(client.outcome(2).await), "PIT-503");
    assert!(held.lock().expect("unpoisoned").is_empty());
}

/// A broker of two is about to end: its clients go to the other, and nothing is done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lame_duck_is_left_in_time() {
    let route = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let route = format!("nats://{route}");
    let one = NatsServer::start(&["--cluster_name", "c", "--cluster", &route]);
    let mut two = NatsServer::start(&["--cluster_name", "c", "--cluster", "nats://127.0.0.1:-1", "--routes", &route]);
    two.kill();
    let runs = Runs::default();
    let both = format!("{},{}", one.url(), two.url());
    let start = async |mut maker: crate::support::Maker| {
        maker.config.cluster.rpc.client.nats.connect.clone_from(&both);
        maker.config.cluster.rpc.client.nats.reconnectwait = Duration::from_millis(5);
        maker.start().await
    };
    let running = runs.clone();
    let room = start(server("room", "r1", &one).on_message(move |message| {
        *running
            .lock()
            .expect("unpoisoned")
            .entry((message.letter.session, message.letter.body.to_vec()))
            .or_default() += 1;
        // Some take long enough to be in flight during the move.
        tokio::spawn(async move {
            if message.letter.id % 16 == 0 {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            message.from.back.answer(message.letter.ticket, Ok(&message.letter.body));
        });
    }))
    .await;
    let mut front = start(server("connector", "f1", &one)).await;
    front.transport.listen("zoe").await.expect("listening");
    two.restart();
    // The two brokers know each other.
    let far = async_nats::connect(two.url()).await.expect("a client");
    let reached = async || far.request("pitaya/servers/room/r1", "".into()).await.is_ok();
    while !reached().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut client, mut open, mut sent, mut tally) = (front.session(1), 0, 0u64, HashMap::<String, u64>::new());
    let began = Instant::now();
    let mut moved = None;
    loop {
        if began.elapsed() > Duration::from_millis(100) && sent > 100 && moved.is_none() {
            one.retire();
            moved = Some(sent);
        }
        let done = front.transport.counts().connections == 2 && room.transport.counts().connections == 2;
        if done && moved.is_some_and(|moved| sent > moved + 500) && open == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{:?} {:?}", front.transport, room.transport);
        while open < 32 && !(done && moved.is_some_and(|moved| sent > moved + 500)) {
            sent += 1;
            match client.send(&room.info, sent, &sent.to_be_bytes()) {
                Ok(()) => open += 1,
                Err(error) => panic!("there is always a connection: {error}"),
            }
        }
        let Event::Answer(id, outcome) = client.event().await else { panic!("nobody pushes") };
        open -= 1;
        let ran = runs.lock().expect("unpoisoned").get(&(1, id.to_be_bytes().to_vec())).copied().unwrap_or(0);
        let how = outcome.map_or_else(|error| error.code().to_owned(), |_| "answered".to_owned());
        assert!(
            ran <= 1 && (how != "PIT-503" || ran == 0) && (how != "answered" || ran == 1),
            "{how}, ran {ran} times"
        );
        *tally.entry(how).or_default() += 1;
    }
    assert_eq!(tally.values().sum::<u64>(), sent);
    assert!(tally["answered"] > sent / 2, "{tally:?}");
    assert_eq!(front.transport.counts().disconnects + room.transport.counts().disconnects, 0);
    // Users are reached by the other broker, once.
    for body in ["1", "2"] {
        room.transport.push("connector", "zoe", "onX", body.as_bytes()).expect("sent");
        let heard = loop {
            match front.hear().await {
                // In the moment in which neither connection took anything.
                Told::Unreachable(_) => {}
                heard => break heard,
            }
        };
        assert_eq!(heard, Told::Push("zoe".to_owned(), "onX".to_owned(), body.as_bytes().to_vec()));
    }
}

/// What the library had queued when the connection was lost dies with it.
#[tokio::test]
async fn what_was_queued_is_not_sent_later() {
    let mut broker = NatsServer::start(&[]);
    let arrived = Arc::new(AtomicU64::new(0));
    let counter = arrived.clone();
    let room = server("room", "r1", &broker).on_message(move |message| {
        counter.fetch_add(1, Relaxed);
        message.from.back.answer(message.letter.ticket, Ok(b""));
    });
    let mut maker = server("connector", "f1", &broker);
    maker.config.cluster.rpc.client.nats.pinginterval = Duration::from_millis(100);
    let (room, front) = (room.start().await, maker.start().await);
    let mut client = front.session(1);
    broker.stand_still();
    // More than the sockets take, less than the buffers.
    const SENT: u64 = 400;
    for id in 1..=SENT {
        client.send(&room.info, id, &[0; 50_000]).expect("sent");
        tokio::task::yield_now().await;
    }
    let mut unsent = 0;
    for _ in 0..SENT {
        let Event::Answer(_, outcome) = client.event().await else { panic!("nobody pushes") };
        unsent += u64::from(code(outcome) == "PIT-503");
    }
    assert!(unsent < SENT, "the library had some");
    broker.kill();
    broker.restart();
    until("it is back", || front.transport.is_connected() && room.transport.is_connected()).await;
    for id in 1..=20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.send(&room.info, id, b"").expect("sent");
        let _ = client.outcome(id).await;
    }
    assert!(arrived.load(Relaxed) <= 20, "{} messages of the past arrived", arrived.load(Relaxed) - 20);
}

#[tokio::test]
async fn an_outage_is_logged_once_and_not_as_the_end() {
    let log = ThreadLog::start(tracing::Level::INFO);
    let mut broker = NatsServer::start(&[]);
    let front = server("connector", "f1", &broker).start().await;
    for outage in 1..=2 {
        broker.kill();
        until("it is known", || !front.transport.is_connected()).await;
        broker.restart();
        until("it is back", || front.transport.is_connected()).await;
        let text = log.text();
        let count = |what: &str| text.matches(what).count();
        assert_eq!((count("ERROR"), count("WARN")), (0, outage), "{text}");
        assert_eq!(count("NATS connection lost"), outage, "{text}");
        assert_eq!(count("NATS connection restored"), outage, "{text}");
    }
    front.transport.stop().await;
}

#[tokio::test]
async fn whether_a_server_listens_is_asked_without_being_heard() {
    let mut broker = NatsServer::start(&[]);
    let mut room = server("room", "r1", &broker).start().await;
    let go = server("room", "go", &broker).plain().start().await;
    let front = server("connector", "f1", &broker).start().await;
    let mut gone = (*room.info).clone();
    gone.id = "r2".into();
    let gone = Arc::new(gone);
    assert_eq!(front.transport.reaches(&room.info).await, Some(true));
    assert_eq!(front.transport.reaches(&gone).await, Some(false));
    assert_eq!(front.transport.reaches(&go.info).await, None, "all that a Go server hears is a request");
    assert!(room.heard_all() && room.transport.counts().malformed == 0);
    // So it says that it is there with each answer, and the others need not.
    for to in [&room.info, &go.info] {
        let call = OutgoingCall::new("room.a.b", Duration::from_secs(9));
        front.transport.call(to, call).await.expect("an answer");
    }
    assert_eq!(*front.fake.reachable.lock().expect("unpoisoned"), ["go"]);
    broker.kill();
    until("it is known", || !front.transport.is_connected()).await;
    assert_eq!(front.transport.reaches(&room.info).await, None);
}
