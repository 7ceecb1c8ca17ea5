//! Calls between servers of ours: many as one message of the broker, each with an outcome of its own.

use crate::support::{code, server, until};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use pitaya_core::cluster::lane::{self, LaneCall, Number};
use pitaya_runtime::cluster::{OutgoingCall, Reply, ServerInfo, Transport};
use pitaya_runtime::{Error, Result};
use pitaya_tests::nats::NatsServer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

fn call(body: impl Into<Bytes>) -> OutgoingCall {
    let mut call = OutgoingCall::new("room.sums.echo", Duration::from_secs(3));
    call.body = body.into();
    call
}

#[tokio::test]
async fn many_go_as_one_and_none_waits_for_another() {
    let broker = NatsServer::start(&[]);
    let slow: Arc<Mutex<Option<Reply>>> = Arc::default();
    let kept = slow.clone();
    let room = server("room", "r1", &broker).on_call(move |call, reply| match &*call.body {
        b"slow" => *kept.lock().expect("unpoisoned") = Some(reply),
        b"fail" => reply(Err(Error::new("X-1", "no").with("why", "because"))),
        _ => reply(Ok(call.body)),
    });
    let (room, front) = (room.start().await, server("connector", "f1", &broker).start().await);
    let first = front.transport.call(&room.info, call("slow"));
    let failing = front.transport.call(&room.info, call("fail"));
    let others = join_all((0..500).map(|n: u32| front.transport.call(&room.info, call(n.to_string()))));
    let others = async {
        let (failed, others) = tokio::join!(failing, others);
        assert_eq!(failed, Err(Error::new("X-1", "no").with("why", "because")));
        for (n, answer) in others.into_iter().enumerate() {
            assert_eq!(answer, Ok(Bytes::from(n.to_string())));
        }
        let reply = slow.lock().expect("unpoisoned").take().expect("it has come");
        reply(Ok(Bytes::from_static(b"at last")));
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first, Ok(Bytes::from_static(b"at last")));
    let counts = front.transport.counts();
    assert_eq!((counts.calls, counts.stray), (502, 0));
    assert!(counts.bundles <= 8, "{} messages of the broker", counts.bundles);
}

#[tokio::test]
async fn what_a_call_brings_arrives() {
    let broker = NatsServer::start(&[]);
    let (sender, mut arrived) = unbounded_channel();
    let room = server("room", "r1", &broker).on_call(move |call, reply| {
        let _ = sender.send(call);
        reply(Ok(Bytes::new()));
    });
    let (room, other) = (room.start().await, server("shop", "s1", &broker).start().await);
    let mut own = call("x");
    own.metadata =
        Arc::new([("k".to_owned(), "v".into()), ("peer.id".to_owned(), "another".into())].into_iter().collect());
    let before = Instant::now();
    let (first, second) =
        tokio::join!(other.transport.call(&room.info, own), other.transport.call(&room.info, call("y")));
    assert_eq!((first, second), (Ok(Bytes::new()), Ok(Bytes::new())));
    for (body, brought) in [("x", Some("v")), ("y", None)] {
        let call = arrived.recv().await.expect("a call");
        assert_eq!((&*call.route, &*call.body), ("room.sums.echo", body.as_bytes()));
        assert_eq!(call.metadata.get("k").and_then(|value| value.as_str()), brought);
        assert_eq!((&call.metadata["peer.id"], &call.metadata["peer.service"]), (&"s1".into(), &"shop".into()));
        let left = call.deadline.duration_since(before);
        assert!((2900..3200).contains(&left.as_millis()), "{left:?}");
    }
}

/// Who stops waiting before a call is sent has not called, whatever goes with it.
#[tokio::test]
async fn what_is_given_up_before_it_is_sent_does_not_run() {
    let broker = NatsServer::start(&[]);
    let (sender, mut arrived) = unbounded_channel();
    let room = server("room", "r1", &broker).on_call(move |call, reply| {
        let _ = sender.send(call.body.clone());
        reply(Ok(call.body));
    });
    let (room, front) = (room.start().await, server("connector", "f1", &broker).start().await);
    let mut given_up = front.transport.call(&room.info, call("never"));
    assert!((&mut given_up).now_or_never().is_none());
    let kept = front.transport.call(&room.info, call("kept"));
    drop(given_up);
    assert_eq!(kept.await, Ok(Bytes::from_static(b"kept")));
    let mut given_up = front.transport.call(&room.info, call("never"));
    assert!((&mut given_up).now_or_never().is_none());
    let mut kept = front.transport.call(&room.info, call("behind"));
    assert!((&mut kept).now_or_never().is_none());
    drop(given_up);
    assert_eq!(kept.await, Ok(Bytes::from_static(b"behind")));
    let ran: Vec<_> = std::iter::from_fn(|| arrived.try_recv().ok()).collect();
    assert_eq!(ran, [Bytes::from_static(b"kept"), Bytes::from_static(b"behind")]);
}

#[tokio::test]
async fn what_is_large_goes_in_several_and_what_is_too_large_is_an_error() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).on_call(|call, reply| match &*call.body {
        b"much" => reply(Ok(vec![0; 2 << 20].into())),
        _ => reply(Ok(call.body)),
    });
    let (room, front) = (room.start().await, server("connector", "f1", &broker).start().await);
    let sizes = [300_000, 50_000, 2 << 20, 700_000, 10, 900_000];
    let bodies = sizes.map(|size| call(vec![size as u8; size])).into_iter().chain([call("much")]);
    let answers = join_all(bodies.map(|call| front.transport.call(&room.info, call))).await;
    let codes = answers.into_iter().map(|answer| answer.map(|body| body.len()).map_err(|e| e.code().to_owned()));
    let wanted: Vec<Result<usize, String>> = vec![
        Ok(300_000),
        Ok(50_000),
        Err("PIT-400".to_owned()),
        Ok(700_000),
        Ok(10),
        Ok(900_000),
        Err("PIT-500".to_owned()),
    ];
    assert_eq!(codes.collect::<Vec<_>>(), wanted);
    assert_eq!((front.transport.counts().oversize, room.transport.counts().oversize), (1, 1));
}

/// All calls of a bundle that nobody took hear it at once, and no other does.
#[tokio::test]
async fn nobody_there_is_told_to_each() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).start().await;
    let front = server("connector", "f1", &broker).start().await;
    let mut gone = ServerInfo::clone(&room.info);
    gone.id = "gone".into();
    let gone = Arc::new(gone);
    let began = Instant::now();
    let lost = join_all((0..20).map(|_| front.transport.call(&gone, call("x"))));
    let (lost, answered) = tokio::join!(lost, front.transport.call(&room.info, call("x")));
    assert!(lost.into_iter().all(|outcome| code(outcome) == "PIT-503"));
    assert_eq!(answered, Ok(Bytes::from_static(b"x")));
    assert!(began.elapsed() < Duration::from_secs(2), "long before the time-out: {:?}", began.elapsed());
    assert_eq!((front.transport.counts().unreachable, front.transport.counts().bundles), (20, 2));
}

/// Whoever is on the bus can write to a server: only calls in the name of the one who is answered run.
#[tokio::test]
async fn what_is_malformed_or_of_another_is_counted() {
    let broker = NatsServer::start(&[]);
    let (sender, mut ran) = unbounded_channel();
    let room = server("room", "r1", &broker).on_message(|_| panic!("nothing is forwarded by it")).on_call(
        move |call, reply| {
            let _ = sender.send(call.body);
            reply(Ok(Bytes::from_static(b"done")));
        },
    );
    let room = room.start().await;
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let mut answers = client.subscribe("pitaya/servers/shop/s1.t.c0").await.expect("a subscription");
    pitaya_tests::bus::settled(&client).await;
    let own = r#"{"peer.id":"s1","peer.service":"shop"}"#;
    let bundle = |metadata: &str, body: &'static [u8]| {
        let mut bundle = Vec::new();
        lane::open_calls(&lane::sender_part("", metadata.as_bytes()), &mut bundle);
        LaneCall { route: "room.a.b", body, own: b"", number: Number(7), micros: 1_000_000 }.carry(&mut bundle);
        bundle
    };
    let mut half = bundle(own, b"half");
    half.extend_from_slice(b"\x0a\x7f");
    let mut forwarded = bundle(own, b"forwarded");
    let session = lane::session_part(1, "u", b"{}");
    lane::Outgoing {
        session: &session,
        sender: b"",
        id: 1,
        notify: false,
        route: "room.a.b",
        body: b"",
        deflated: false,
        micros: 0,
        own: b"",
    }
    .carry(Number(8), &mut forwarded);
    let way = "pitaya/servers/shop/s1.t.c0.1";
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        (way, vec![0x0a]),
        (way, vec![0xff; 9]),
        (way, bundle("null", b"")),
        (way, bundle("{}", b"")),
        (way, bundle(r#"{"peer.id":"s2","peer.service":"shop"}"#, b"")),
        ("pitaya/servers/shop/s10.t.c0.1", bundle(own, b"")),
        ("_INBOX.x.1", bundle(own, b"")),
        ("x", bundle(own, b"")),
        (way, half),
        (way, forwarded),
    ];
    let count = wrong.len() as u64;
    for (reply, payload) in wrong {
        client.publish_with_reply("pitaya/servers/room/r1.calls", reply, payload.into()).await.expect("sent");
    }
    client.publish("pitaya/servers/room/r1.calls", bundle(own, b"").into()).await.expect("sent");
    until("they are counted", || room.transport.counts().malformed == count + 1).await;
    client.publish_with_reply("pitaya/servers/room/r1.calls", way, bundle(own, b"good").into()).await.expect("sent");
    // What could be read of them ran all the same.
    for body in ["half", "forwarded", "good"] {
        assert_eq!(ran.recv().await.expect("it runs"), body);
    }
    let answer = answers.next().await.expect("an answer");
    let Some(Ok(lane::Part::Envelope(envelope))) = lane::parts(&answer.payload).next() else { panic!("an envelope") };
    let answer = lane::LaneAnswer::read(envelope).expect("an answer");
    assert_eq!((answer.number, answer.outcome()), (Number(7), Ok(&b"done"[..])));
    assert!(ran.is_empty());
}

/// Answers that nobody can read, and words of the broker about nothing.
#[tokio::test]
async fn answers_that_are_none_are_counted() {
    let broker = NatsServer::start(&[]);
    let (sender, mut ways) = unbounded_channel();
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let mut bundles = client.subscribe("pitaya/servers/room/r1.calls").await.expect("a subscription");
    pitaya_tests::bus::settled(&client).await;
    tokio::spawn(async move {
        while let Some(message) = bundles.next().await {
            let number = lane::call_parts(&message.payload).find_map(|part| match part {
                Ok(lane::CallPart::Envelope(envelope)) => LaneCall::read(envelope).ok().map(|call| call.number),
                _ => None,
            });
            let _ = sender.send((message.reply.expect("a way back").to_string(), number.expect("a call")));
        }
    });
    let front = server("connector", "f1", &broker).start().await;
    let room = server("room", "r1", &broker);
    let mut info = ServerInfo::new(room.kind, room.id, false);
    info.metadata.insert("pitaya.lane".to_owned(), "1".to_owned());
    let (transport, info) = (front.transport.clone(), Arc::new(info));
    let called = tokio::spawn(async move { transport.call(&info, call("x")).await });
    let (reply, number) = ways.recv().await.expect("a bundle");
    let (way, _) = reply.rsplit_once('.').expect("the bundle stands last");
    let mut stray = Vec::new();
    lane::answer(Number(u64::MAX), Ok(b"?"), &mut stray);
    for (to, payload) in [(way, &b"\x0a\x02\xff\xff"[..]), (way, &stray), (&*reply, b""), (&format!("{way}.zz"), b"")] {
        client.publish(to.to_owned(), payload.to_vec().into()).await.expect("sent");
    }
    until("they are counted", || {
        let counts = front.transport.counts();
        (counts.malformed, counts.stray) == (3, 1)
    })
    .await;
    // It is waited for all the same, once.
    let mut answer = Vec::new();
    (0..2).for_each(|_| lane::answer(number, Ok(b"yes"), &mut answer));
    client.publish(way.to_owned(), answer.into()).await.expect("sent");
    assert_eq!(called.await.expect("no panic"), Ok(Bytes::from_static(b"yes")));
    assert_eq!(front.transport.counts().stray, 2);
}

/// The broker is killed and started again and again while calls fly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_has_one_outcome_through_twenty_restarts() {
    const ROUNDS: u32 = 20;
    let mut broker = NatsServer::start(&[]);
    let runs: Arc<Mutex<HashMap<Bytes, u32>>> = Arc::default();
    let counted = runs.clone();
    let room = server("room", "r1", &broker).on_call(move |call, reply| {
        *counted.lock().expect("unpoisoned").entry(call.body.clone()).or_default() += 1;
        reply(Ok(call.body));
    });
    let (room, front) = (room.start().await, server("connector", "f1", &broker).start().await);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Instant::now())));
    let callers: Vec<_> = (0..64)
        .map(|caller: u32| {
            let (transport, to, stop) = (front.transport.clone(), room.info.clone(), stop.clone());
            let (runs, answered) = (runs.clone(), answered.clone());
            tokio::spawn(async move {
                let mut outcomes = HashMap::<String, u64>::new();
                for number in 0_u64.. {
                    if stop.load(Relaxed) {
                        break;
                    }
                    let body = Bytes::from(format!("{caller} {number}"));
                    let outcome = transport.call(&to, call(body.clone())).await;
                    let ran = runs.lock().expect("unpoisoned").remove(&body).unwrap_or_default();
                    let how = match outcome {
                        Ok(echo) => {
                            assert_eq!((echo, ran), (body, 1));
                            *answered.lock().expect("unpoisoned") = Instant::now();
                            "answered".to_owned()
                        }
                        Err(error) => {
                            assert!(ran <= 1, "it ran {ran} times");
                            assert!(matches!(error.code(), "PIT-408" | "PIT-503"), "{error}");
                            assert!(error.code() != "PIT-503" || ran == 0, "it has not run, and ran");
                            tokio::time::sleep(Duration::from_millis(2)).await;
                            error.code().to_owned()
                        }
                    };
                    *outcomes.entry(how).or_default() += 1;
                }
                outcomes
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let before = Instant::now();
        until("calls are answered", || *answered.lock().expect("unpoisoned") > before).await;
        broker.kill();
        tokio::time::sleep(Duration::from_millis(10 * u64::from(round))).await;
        let opened = broker.restart();
        until("calls are answered again", || *answered.lock().expect("unpoisoned") > opened).await;
    }
    stop.store(true, Relaxed);
    let mut all = HashMap::<String, u64>::new();
    for caller in callers {
        for (how, times) in caller.await.expect("a caller without a mistake") {
            *all.entry(how).or_default() += times;
        }
    }
    assert!(all["answered"] > 1000, "{all:?}");
    let counts = front.transport.counts();
    assert_eq!((counts.timeouts, counts.malformed), (0, 0), "a loss is told at once: {all:?}");
    assert!(counts.disconnects >= u64::from(ROUNDS));
    // Nothing is left that runs later.
    assert!(runs.lock().expect("unpoisoned").values().all(|times| *times == 1));
}
