//! Messages between two of our servers: order, answers, pushes.

use crate::long;
use crate::support::{Event, code, server, until};
use pitaya_core::cluster::lane::{self, LaneAnswer, Number, Part};
use pitaya_runtime::cluster::{Forward, IncomingMessage};
use pitaya_runtime::{Error, KickReason};
use pitaya_tests::PATIENCE;
use pitaya_tests::nats::NatsServer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const SESSIONS: i64 = 100;
const DEPTH: u64 = 16;
/// Of each session.
const MESSAGES: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };

/// Runs the messages of each session in a task of its own, as a backend runs turns, and checks that they rise.
fn turns(wrong: &Arc<AtomicU64>) -> impl Fn(IncomingMessage) + Send + Sync + 'static {
    let sessions: Mutex<HashMap<i64, UnboundedSender<IncomingMessage>>> = Mutex::default();
    let wrong = wrong.clone();
    move |message| {
        let mut sessions = sessions.lock().expect("unpoisoned");
        let turns = sessions.entry(message.letter.session).or_insert_with(|| {
            let (sender, mut messages) = unbounded_channel::<IncomingMessage>();
            let wrong = wrong.clone();
            tokio::spawn(async move {
                let mut last = 0;
                while let Some(message) = messages.recv().await {
                    let number = u64::from_be_bytes(message.letter.body[..].try_into().expect("eight bytes"));
                    if number != last + 1 {
                        wrong.fetch_add(1, Relaxed);
                    }
                    last = number;
                    for push in 0..3u8 {
                        message
                            .from
                            .back
                            .push(message.letter.ticket, None, "onX", &[&message.letter.body[..], &[push]].concat())
                            .expect("sent");
                        if number % 7 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    message.from.back.answer(message.letter.ticket, Ok(&message.letter.body));
                }
            });
            sender
        });
        let _ = turns.send(message);
    }
}

/// 100 sessions, 16 messages of each in flight: they are run in order, and the three pushes of each come before its
/// answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_both_ways() {
    let broker = NatsServer::start(&[]);
    let wrong = Arc::new(AtomicU64::new(0));
    let room = server("room", "r1", &broker).timeout(Duration::from_secs(20)).on_message(turns(&wrong)).start().await;
    let front = server("connector", "f1", &broker).timeout(Duration::from_secs(20)).start().await;
    let sessions: Vec<_> = (1..=SESSIONS)
        .map(|number| {
            let (mut client, to) = (front.session(number), room.info.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                for answered in 1..=MESSAGES {
                    while sent < MESSAGES && sent < answered + DEPTH - 1 {
                        sent += 1;
                        client.send(&to, sent, &sent.to_be_bytes()).expect("sent");
                    }
                    let body = answered.to_be_bytes();
                    for push in 0..3u8 {
                        assert_eq!(client.event().await, Event::Push("onX".to_owned(), [&body[..], &[push]].concat()));
                    }
                    assert_eq!(client.event().await, Event::Answer(answered, Ok(body.to_vec())));
                }
                assert!(client.is_quiet());
            })
        })
        .collect();
    for session in sessions {
        session.await.expect("a session without a mistake");
    }
    assert_eq!(wrong.load(Relaxed), 0);
    let counts = front.transport.counts();
    assert_eq!(counts.forwarded, SESSIONS as u64 * MESSAGES);
    assert_eq!((counts.stray, counts.timeouts, counts.lost, counts.malformed), (0, 0, 0, 0));
    assert!(counts.bundles * 2 < counts.forwarded, "{} messages in {} bundles", counts.forwarded, counts.bundles);
}

#[tokio::test]
async fn all_of_a_message_arrives_and_all_of_its_outcome() {
    let broker = NatsServer::start(&[]);
    let (sender, mut arrived) = unbounded_channel();
    let room = server("room", "r1", &broker).on_message(move |message| drop(sender.send(message))).start().await;
    let front = server("connector", "f1", &broker).timeout(Duration::from_secs(3)).start().await;
    let mut client = front.session(-7);
    let mut forward = Forward::new(-7, 0, true, "room.room.told", b"");
    (forward.uid, forward.data) = ("zoe", b"{\"big\":9007199254740993}");
    client.forward(&room.info, forward).expect("sent");
    let message = arrived.recv().await.expect("it arrives");
    assert_eq!((message.letter.session, &*message.letter.uid, &*message.letter.data), (-7, &b"zoe"[..], forward.data));
    assert_eq!(
        (message.letter.id, message.letter.notify, &*message.letter.route, &*message.letter.body),
        (0, true, &b"room.room.told"[..], &b""[..])
    );
    assert_eq!((&*message.from.frontend.id, &*message.from.frontend.kind), ("f1", "connector"));
    assert_eq!(message.from.metadata["reqTimeout"], "3s");
    let left = message.letter.deadline - Instant::now();
    assert!(left <= Duration::from_secs(3) && left > Duration::from_secs(2), "{left:?}");
    message.from.back.kick(message.letter.ticket, None, Some(&KickReason::new("X-1", "out"))).expect("sent");
    message.from.back.answer(message.letter.ticket, Ok(b""));
    assert_eq!(client.event().await, Event::Kick(Some(KickReason::new("X-1", "out"))));
    assert_eq!(client.event().await, Event::Answer(0, Ok(Vec::new())));

    // The data of the session are another's now; and two in flight are answered the other way round.
    (forward.uid, forward.data, forward.notify, forward.route) = ("", b"{}", false, "room.room.ask");
    for id in [300, 301] {
        forward.id = id;
        client.forward(&room.info, forward).expect("sent");
    }
    let first = arrived.recv().await.expect("it arrives");
    let second = arrived.recv().await.expect("it arrives");
    assert_eq!(
        (&*first.letter.uid, &*first.letter.data, first.letter.id, second.letter.id),
        (&b""[..], &b"{}"[..], 300, 301)
    );
    assert!(Arc::ptr_eq(&first.from.metadata, &second.from.metadata), "metadata are read once");
    let error = Error::new("X-9", "no").with("k", "v");
    second.from.back.answer(second.letter.ticket, Err(&error));
    // An answer twice, and one to nothing, are thrown away.
    second.from.back.answer(second.letter.ticket, Ok(b"again"));
    first.from.back.answer(u64::MAX, Ok(b"whom?"));
    first.from.back.answer(first.letter.ticket, Ok(b"one"));
    assert_eq!(client.event().await, Event::Answer(301, Err(error)));
    assert_eq!(client.event().await, Event::Answer(300, Ok(b"one".to_vec())));
    assert_eq!(front.transport.counts().stray, 2);

    // A session that has ended hears nothing, nor does the one that comes after it.
    client.forward(&room.info, forward).expect("sent");
    let late = arrived.recv().await.expect("it arrives");
    drop(client);
    let mut next = front.session(8);
    late.from.back.push(late.letter.ticket, None, "onX", b"").expect("sent");
    late.from.back.answer(late.letter.ticket, Ok(b""));
    next.send(&room.info, 1, b"x").expect("sent");
    let message = arrived.recv().await.expect("it arrives");
    message.from.back.answer(message.letter.ticket, Ok(b"y"));
    assert_eq!(next.outcome(1).await, Ok(b"y".to_vec()));
    assert_eq!(front.transport.counts().stray, 4);
}

#[tokio::test]
async fn a_message_without_an_answer_is_a_time_out() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).on_message(|_| {}).start().await;
    let front = server("connector", "f1", &broker).timeout(Duration::from_millis(600)).start().await;
    let mut client = front.session(1);
    let began = Instant::now();
    for id in 1..=3 {
        client.send(&room.info, id, b"").expect("sent");
    }
    for id in 1..=3 {
        assert_eq!(code(client.outcome(id).await), "PIT-408");
    }
    assert!((600..2_500).contains(&began.elapsed().as_millis()), "not the usual 3 s: {:?}", began.elapsed());
    let counts = front.transport.counts();
    assert_eq!((counts.timeouts, counts.lost), (3, 0));
    assert!(counts.probes >= 1, "who is silent is asked whether it is there");
    assert_eq!(room.transport.counts().malformed, 0, "a probe is no mistake");
}

/// The metadata of a frontend.
const CONNECTOR: &str = r#"{"peer.service":"connector"}"#;

/// A bundle of one message with this number, stamped with this time, from a frontend with this id and these metadata.
fn bundle(stamp: u64, frontend: &str, metadata: &str, number: u32) -> Vec<u8> {
    let (session, sender) = (lane::session_part(1, "", b"{}"), lane::sender_part(frontend, metadata.as_bytes()));
    let mut bundle = Vec::new();
    lane::open(stamp, &mut bundle);
    let message = lane::Outgoing {
        session: &session,
        sender: &sender,
        id: number.into(),
        notify: false,
        route: "room.room.x",
        body: b"",
        deflated: false,
        micros: 0,
        own: b"",
    };
    message.carry(Number::new(0, 0, number), &mut bundle);
    bundle
}

/// Whoever is on the bus can write to the lane; only its owner is believed.
#[tokio::test]
async fn a_lane_of_another_is_not_honoured() {
    let broker = NatsServer::start(&[]);
    let (sender, mut arrived) = unbounded_channel();
    let room = server("room", "r1", &broker).on_message(move |message| drop(sender.send(message))).start().await;
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let bundle = |frontend: &str, metadata: &str| bundle(1, frontend, metadata, 1);
    let own = CONNECTOR;
    let publish = async |reply: &'static str, bundle: Vec<u8>| {
        client.publish_with_reply("pitaya/servers/room/r1.lane", reply, bundle.into()).await.expect("sent");
    };
    publish("pitaya/servers/connector/f1.t.0.1", bundle("f2", own)).await;
    publish("pitaya/servers/connector/f1.t.0.1", bundle("f1", r#"{"peer.service":"other"}"#)).await;
    publish("pitaya/servers/connector/f10.t.0.1", bundle("f1", own)).await;
    publish("_INBOX.x.0.1", bundle("f1", own)).await;
    publish("x", bundle("f1", own)).await;
    publish("pitaya/servers/connector/f1.t.0.1", bundle("f1", "null")).await;
    until("they are counted", || room.transport.counts().malformed == 6).await;
    assert!(arrived.is_empty());
    publish("pitaya/servers/connector/f1.t.0.1", bundle("f1", own)).await;
    assert_eq!(&*arrived.recv().await.expect("it arrives").from.frontend.id, "f1");
    // Who was believed once is not believed under another name.
    publish("pitaya/servers/connector/f1.t.0.2", bundle("f2", own)).await;
    until("it is counted", || room.transport.counts().malformed == 7).await;
    assert!(arrived.is_empty());
}

/// What arrives when its sender has stopped waiting is not run.
#[tokio::test]
async fn what_is_too_late_is_not_run() {
    let broker = NatsServer::start(&[]);
    let (sender, mut arrived) = unbounded_channel();
    let room = server("room", "r1", &broker).on_message(move |message| drop(sender.send(message))).start().await;
    let front = server("connector", "f1", &broker).timeout(Duration::from_millis(500)).start().await;
    let mut client = front.session(1);
    client.send(&room.info, 1, b"1").expect("sent");
    assert_eq!(&*arrived.recv().await.expect("it arrives").letter.body, b"1");
    assert_eq!(code(client.outcome(1).await), "PIT-408");
    // The broker stands still for longer than anybody waits, but not for so long that it counts as lost.
    broker.stand_still();
    client.send(&room.info, 2, b"2").expect("sent");
    assert_eq!(code(client.outcome(2).await), "PIT-408");
    tokio::time::sleep(Duration::from_millis(600)).await;
    broker.go_on();
    until("it is late", || room.transport.counts().late == 1).await;
    client.send(&room.info, 3, b"3").expect("sent");
    assert_eq!(&*arrived.recv().await.expect("it arrives").letter.body, b"3");
    assert_eq!(room.transport.counts().late, 1);
}

/// A frontend that writes to the lane with a clock of the test's.
struct Frontend {
    client: async_nats::Client,
    sent: u32,
}

impl Frontend {
    const WAY: &'static str = "pitaya/servers/connector/f1.t.0";

    /// Sends one message, stamped with this time, and gives its number.
    async fn send(&mut self, stamp: u64) -> u32 {
        self.sent += 1;
        self.publish(bundle(stamp, "f1", CONNECTOR, self.sent)).await;
        self.sent
    }

    async fn publish(&self, bundle: Vec<u8>) {
        let reply = format!("{}.{}", Self::WAY, self.sent);
        self.client.publish_with_reply("pitaya/servers/room/r1.lane", reply, bundle.into()).await.expect("sent");
    }
}

/// The clock of a virtual machine stands still while it is saved. Here and now its messages run again, and those that do
/// not have an answer.
#[tokio::test]
async fn a_clock_that_stood_still_loses_nothing_for_longer_than_a_second() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).start().await;
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let mut answers = client.subscribe(Frontend::WAY).await.expect("subscribed");
    pitaya_tests::bus::settled(&client).await;
    let start = Instant::now();
    // Ahead of the room's clock by some hours.
    let now = |stood: u64| 10_000_000 + start.elapsed().as_millis() as u64 - stood;
    let mut front = Frontend { client, sent: 0 };
    // The outcome of a message: its code, if it is an error.
    let mut outcome = async |number: u32| {
        let message = tokio::time::timeout(PATIENCE, futures_util::StreamExt::next(&mut answers));
        let message = message.await.expect("it is answered at once").expect("subscribed");
        let Some(Ok(Part::Envelope(envelope))) = lane::parts(&message.payload).next() else { panic!("no answer") };
        let answer = LaneAnswer::read(envelope).expect("an answer");
        assert_eq!(answer.number.sequence(), number);
        answer.outcome().err().map(|error| error.code().to_owned())
    };
    let first = front.send(now(0)).await;
    assert_eq!(outcome(first).await, None);
    // What a stranger or a probe says of the time is not believed.
    let mut probe = Vec::new();
    lane::open(1, &mut probe);
    front.publish(probe).await;
    front.publish(bundle(90_000_000, "f2", CONNECTOR, 1)).await;
    let next = front.send(now(0)).await;
    assert_eq!(outcome(next).await, None, "no stranger makes the owner's messages late");
    let stepped = Instant::now();
    let mut late = 0;
    loop {
        let number = front.send(now(8_000)).await;
        match outcome(number).await {
            Some(code) => assert_eq!(code, "PIT-408"),
            None => break,
        }
        late += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{late} messages were refused for {:?}", stepped.elapsed());
    assert!(stepped.elapsed() < Duration::from_secs(if long() { 2 } else { 5 }), "{:?}", stepped.elapsed());
    for _ in 0..100 {
        let number = front.send(now(8_000)).await;
        assert_eq!(outcome(number).await, None, "whole again");
    }
    assert_eq!(room.transport.counts().late, late);
}

/// Nothing grows without a bound while the broker stands still.
#[tokio::test]
async fn a_full_buffer_refuses() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).start().await;
    let mut maker = server("connector", "f1", &broker).timeout(Duration::from_secs(1));
    maker.config.cluster.rpc.client.nats.buffer = pitaya_runtime::config::ByteSize::new(1 << 20);
    let front = maker.start().await;
    broker.stand_still();
    let mut client = front.session(1);
    let body = vec![0; 50_000];
    let (mut sent, mut refused) = (0, 0);
    // The socket and the library take a part of it, the buffer takes its own, and no more.
    for round in 0..2000u64 {
        match client.send(&room.info, round, &body) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error.code(), "PIT-503");
                refused += 1;
            }
        }
        tokio::task::yield_now().await;
    }
    assert!(sent > 20 && refused > 500, "{sent} sent, {refused} refused");
    assert_eq!(front.transport.counts().refused, refused);
    for _ in 0..sent {
        let Event::Answer(_, outcome) = client.event().await else { panic!("an answer") };
        assert!(matches!(&*code(outcome), "PIT-408" | "PIT-503"));
    }
    broker.go_on();
}

/// What a worker queues goes out together and in its order, in as many messages as the broker takes; what is too large even
/// alone becomes an error, and a push goes behind what was queued before it.
#[tokio::test]
async fn queued_answers_go_out_in_order_within_what_the_broker_takes() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = folder.path().join("nats.conf");
    std::fs::write(&config, "max_payload: 4096\n").expect("written");
    let broker = NatsServer::start(&["-c", config.to_str().expect("a path")]);
    let (sender, mut arrived) = unbounded_channel();
    let room = server("room", "r1", &broker).on_message(move |message| drop(sender.send(message))).start().await;
    let front = server("connector", "f1", &broker).start().await;
    let mut client = front.session(1);
    let mut way = None;
    for id in 1..=8 {
        client.send(&room.info, id, b"x").expect("sent");
        let IncomingMessage { from, letter, .. } = arrived.recv().await.expect("it arrives");
        let way = way.get_or_insert_with(|| from.back.branch().expect("a way of its own"));
        way.queue(letter.ticket, Ok(&vec![b'x'; if id == 5 { 5_000 } else { 1_500 }]));
        if id == 7 {
            way.push(letter.ticket, None, "onX", b"p").expect("sent");
        }
    }
    for id in 1..=7 {
        let outcome = client.outcome(id).await;
        assert_eq!(outcome.is_ok(), id != 5, "{outcome:?}");
    }
    assert_eq!(client.event().await, Event::Push("onX".to_owned(), b"p".to_vec()));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(client.is_quiet(), "nothing sends the last one");
    way.expect("the same for all").flush();
    assert_eq!(client.outcome(8).await.expect("an answer").len(), 1_500);
    assert_eq!(room.transport.counts().oversize, 1);
}
