//! Calls and messages one by one, as callers and Go servers know them.

use crate::support::{Event, Told, code, server, until};
use bytes::Bytes;
use futures_util::StreamExt;
use pitaya_core::cluster::envelope::{Request, Response};
use pitaya_core::cluster::server::{LANE, LANE_VERSION};
use pitaya_runtime::cluster::{Forward, Login, OutgoingCall, ServerInfo, Transport};
use pitaya_runtime::{Error, Result};
use pitaya_tests::nats::NatsServer;
use prost::Message;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn call(route: &'static str, body: &'static [u8]) -> OutgoingCall {
    let mut call = OutgoingCall::new(route, Duration::from_secs(3));
    call.body = Bytes::from_static(body);
    call
}

#[tokio::test]
async fn a_call_is_answered() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).on_call(|call, reply| {
        let caller = call.caller.expect("a caller");
        reply(match &*call.route {
            "room.sums.who" => Ok(Bytes::from(format!("{} {}", caller.kind, caller.id))),
            "room.sums.echo" => Ok(call.body),
            "room.sums.fail" => Err(Error::new("X-1", "no").with("why", "because")),
            route => Err(Error::remote_not_found(route)),
        });
    });
    let room = room.start().await;
    let front = server("connector", "f1", &broker).start().await;
    let answer = front.transport.call(&room.info, call("room.sums.who", b"")).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"connector f1")));
    let answer = front.transport.call(&room.info, call("room.sums.echo", b"hi")).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"hi")));
    let answer = front.transport.call(&room.info, call("room.sums.fail", b"")).await;
    assert_eq!(answer, Err(Error::new("X-1", "no").with("why", "because")));
    // The other way round.
    let answer = room.transport.call(&front.info, call("connector.any.thing", b"back")).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"back")));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_time_out() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).on_call(|_, _| {}).start().await;
    let front = server("connector", "f1", &broker).start().await;
    let began = Instant::now();
    let slow = OutgoingCall::new("room.a.b", Duration::from_millis(200));
    let error = front.transport.call(&room.info, slow).await.expect_err("nobody answers");
    assert!((200..2_500).contains(&began.elapsed().as_millis()), "not the usual 3 s: {:?}", began.elapsed());
    assert_eq!((error.code(), error.message()), ("PIT-408", "rpc client: request timeout"));
    let metadata = error.metadata().expect("metadata");
    let wanted = [("peer.id", "r1"), ("route", "room.a.b"), ("server", "f1"), ("timeout", "200ms")];
    assert!(metadata.iter().map(|(k, v)| (&**k, &**v)).eq(wanted), "{metadata:?}");
    // Without time left it is not sent.
    let error = front.transport.call(&room.info, OutgoingCall::new("room.a.b", Duration::ZERO)).await;
    assert_eq!(code(error), "PIT-408");
    assert_eq!(front.transport.counts().calls, 1);
}

/// Whatever their order, each answer finds its call, and one that comes late nobody.
#[tokio::test]
async fn answers_find_their_calls_and_late_ones_nobody() {
    const CALLS: usize = 100;
    const ROUNDS: usize = 5;
    let broker = NatsServer::start(&[]);
    let bus = async_nats::connect(broker.url()).await.expect("a client");
    let mut requests = bus.subscribe("pitaya/servers/room/go").await.expect("a subscription");
    pitaya_tests::bus::settled(&bus).await;
    // Answers each round from its end; what is late it answers with the next round.
    tokio::spawn(async move {
        let mut late = Vec::new();
        for _ in 0..=ROUNDS {
            let mut round = std::mem::take(&mut late);
            for _ in 0..CALLS {
                let request = requests.next().await.expect("a request");
                let data = Request::decode(&request.payload[..]).expect("a request").msg.expect("a message").data;
                let answer = (request.reply.expect("a reply subject"), data);
                if answer.1.starts_with(b"late") { late.push(answer) } else { round.push(answer) }
            }
            for (reply, data) in round.into_iter().rev() {
                let payload = Response { data, error: None }.encode_to_vec();
                bus.publish(reply, payload.into()).await.expect("published");
            }
        }
        bus.flush().await.expect("flushed");
    });
    let front = server("connector", "f1", &broker).start().await;
    let go = Arc::new(ServerInfo::new("room", "go", false));
    for round in 0..=ROUNDS {
        let calls = (0..CALLS).map(|n| {
            let late = n % 10 == 0 && round < ROUNDS;
            let time = Duration::from_millis(if late { 100 } else { 5_000 });
            let mut call = OutgoingCall::new("room.sums.echo", time);
            call.body = Bytes::from(format!("{} {round} {n}", if late { "late" } else { "soon" }));
            let (front, go) = (&front, &go);
            async move { (late, call.body.clone(), front.transport.call(go, call).await) }
        });
        for (late, body, outcome) in futures_util::future::join_all(calls).await {
            match late {
                true => assert_eq!(code(outcome), "PIT-408"),
                false => assert_eq!(outcome, Ok(body)),
            }
        }
    }
    let stray = (ROUNDS * CALLS / 10) as u64;
    until("late answers are counted", || front.transport.counts().stray == stray).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).start().await;
    let nobody = Arc::new(ServerInfo::new("room", "gone", false));
    let began = Instant::now();
    assert_eq!(code(front.transport.call(&nobody, call("room.a.b", b"")).await), "PIT-503");
    let mut client = front.session(1);
    client.send(&nobody, 1, b"x").expect("there is a connection");
    assert_eq!(code(client.outcome(1).await), "PIT-503");
    assert!(began.elapsed() < Duration::from_secs(2), "long before the time-out: {:?}", began.elapsed());
    // By the lane too; and whoever keeps the list of servers is told of each.
    let mut ours = ServerInfo::new("room", "gone", false);
    ours.metadata.insert(LANE.to_owned(), LANE_VERSION.to_owned());
    client.send(&Arc::new(ours), 2, b"x").expect("there is a connection");
    assert_eq!(code(client.outcome(2).await), "PIT-503");
    for _ in 0..3 {
        assert_eq!(front.hear().await, Told::Unreachable("gone".to_owned()));
    }
    // A name from discovery that would break a line of the protocol is not sent.
    let evil = Arc::new(ServerInfo::new("room", "x 1\r\nPUB y", false));
    assert_eq!(code(front.transport.call(&evil, call("room.a.b", b"")).await), "PIT-500");
    assert_eq!(code(client.send(&evil, 2, b"")), "PIT-500");
}

#[tokio::test]
async fn a_call_without_an_answer_arrives() {
    let broker = NatsServer::start(&[]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_there = seen.clone();
    let room = server("room", "r1", &broker).on_call(move |call, reply| {
        seen_there.lock().expect("unpoisoned").push(call.body);
        reply(Ok(Bytes::new()));
    });
    let room = room.start().await;
    let front = server("connector", "f1", &broker).start().await;
    let mut told = call("room.a.b", b"x");
    told.answer = false;
    assert_eq!(front.transport.call(&room.info, told).await, Ok(Bytes::new()));
    until("it arrives", || *seen.lock().expect("unpoisoned") == [Bytes::from_static(b"x")]).await;
}

/// To a server without the lane.
#[tokio::test]
async fn a_message_is_forwarded_and_answered() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).plain().on_message(|message| {
        assert_eq!((&*message.from.frontend.id, &*message.from.frontend.kind), ("f1", "connector"));
        assert_eq!(
            (message.letter.session, &*message.letter.uid, &*message.letter.data),
            (7, &b"u1"[..], &b"{\"a\":1}"[..])
        );
        let outcome: Result<&[u8], Error> = match &*message.letter.route {
            b"room.room.fail" => Err(Error::new("X-2", "no")),
            b"room.room.left" => {
                let left = message.letter.deadline - std::time::Instant::now();
                Err(Error::new("LEFT", left.as_secs().div_ceil(10).to_string()))
            }
            _ => Ok(&message.letter.body),
        };
        message.from.back.answer(message.letter.ticket, outcome.as_ref().map(|b| &**b));
    });
    let room = room.start().await;
    let front = server("connector", "f1", &broker).start().await;
    let mut client = front.session(7);
    let mut forward = Forward::new(7, 5, false, "room.room.echo", b"hi");
    (forward.uid, forward.data) = ("u1", b"{\"a\":1}");
    client.forward(&room.info, forward).expect("sent");
    assert_eq!(client.outcome(5).await, Ok(b"hi".to_vec()));
    forward.route = "room.room.fail";
    client.forward(&room.info, forward).expect("sent");
    assert_eq!(client.outcome(5).await, Err(Error::new("X-2", "no")));
    // A route with a time of its own: its metadata say so.
    (forward.route, forward.timeout) = ("room.room.left", Some(std::time::Duration::from_secs(60)));
    client.forward(&room.info, forward).expect("sent");
    assert_eq!(client.outcome(5).await, Err(Error::new("LEFT", "6")));
    (forward.route, forward.notify, forward.id) = ("room.room.told", true, 0);
    client.forward(&room.info, forward).expect("sent");
    assert_eq!(client.event().await, Event::Answer(0, Ok(b"ack".to_vec())));
}

#[tokio::test]
async fn what_is_too_large_is_an_error_and_not_silence() {
    let broker = NatsServer::start(&[]);
    let large = || vec![0; 2 << 20];
    let room =
        server("room", "r1", &broker).on_call(move |_, reply| reply(Ok(large().into()))).on_message(move |message| {
            let _ = message.from.back.push(message.letter.ticket, None, "onX", &large());
            message.from.back.answer(message.letter.ticket, Ok(&large()));
        });
    let room = room.start().await;
    let plain =
        server("room", "r2", &broker).plain().on_message(move |m| m.from.back.answer(m.letter.ticket, Ok(&large())));
    let plain = plain.start().await;
    let front = server("connector", "f1", &broker).start().await;
    let error = front.transport.call(&room.info, call("room.a.b", b"")).await.expect_err("too large");
    assert_eq!(error.code(), "PIT-500");
    assert!(error.message().contains("20971") && error.message().contains("1048576"), "{error}");
    let mut much = call("room.a.b", b"");
    much.body = large().into();
    let error = front.transport.call(&room.info, much).await.expect_err("too large");
    assert_eq!(error.code(), "PIT-400");
    assert!(error.message().contains("2097") && error.message().contains("1048576"), "{error}");
    for to in [&room.info, &plain.info] {
        let mut client = front.session(1);
        assert_eq!(code(client.send(to, 1, &large())), "PIT-400");
        client.send(to, 2, b"").expect("sent");
        assert_eq!(code(client.outcome(2).await), "PIT-500");
        // Nearly as large as can be.
        client.send(to, 3, &large()[..(1 << 20) - 400]).expect("sent");
        assert_eq!(code(client.outcome(3).await), "PIT-500");
    }
    assert_eq!(front.transport.counts().disconnects + room.transport.counts().disconnects, 0);
}

#[tokio::test]
async fn a_start_without_a_broker_says_where_and_why() {
    let mut broker = NatsServer::start(&[]);
    broker.kill();
    let mut config = pitaya_runtime::config::Config::default();
    config.cluster.rpc.client.nats.connect = format!("nats://user:secret@127.0.0.1:{}", broker.port());
    config.cluster.rpc.client.nats.maxreconnectionretries = 1;
    config.cluster.rpc.client.nats.reconnectwait = Duration::from_millis(1);
    let start = |config: &pitaya_runtime::config::Config| {
        let transport = pitaya_runtime::cluster::nats::NatsTransport::new(&config.cluster.rpc);
        async move {
            struct Nobody;
            impl pitaya_runtime::cluster::Callee for Nobody {
                fn call(&self, _: pitaya_runtime::cluster::IncomingCall, _: pitaya_runtime::cluster::Reply) {}
                fn messages(&self, _: pitaya_runtime::cluster::Delivery) {}
                fn push(&self, _: &str, _: &str, _: &[u8]) -> bool {
                    false
                }
                fn kick(&self, _: &str, _: Option<&pitaya_core::KickReason>) -> bool {
                    false
                }
                fn bound_elsewhere(&self, _: &Login) {}
            }
            let info = Arc::new(ServerInfo::new("room", "r", false));
            transport.start(info, Arc::new(Nobody)).await.expect_err("no broker")
        }
    };
    let error = start(&config).await;
    assert_eq!(error.code(), "PIT-503");
    assert!(error.message().contains(&broker.port().to_string()), "{error}");
    assert!(error.message().contains("refused") && !error.message().contains("secret"), "{error}");

    let broker = NatsServer::start(&["--user", "u", "--pass", "p"]);
    config.cluster.rpc.client.nats.connect = format!("nats://u:wrong@127.0.0.1:{}", broker.port());
    config.cluster.rpc.client.nats.maxreconnectionretries = -1;
    let error = start(&config).await;
    assert!(error.message().contains("authorization violation"), "{error}");
    // Several addresses: the first that works.
    let mut gone = NatsServer::start(&[]);
    gone.kill();
    let mut maker = server("room", "r1", &broker);
    let good = format!("nats://u:p@127.0.0.1:{}", broker.port());
    maker.config.cluster.rpc.client.nats.connect = format!("nats://127.0.0.1:{}, {good}", gone.port());
    maker.config.cluster.rpc.client.nats.reconnectwait = Duration::from_millis(1);
    assert!(maker.start().await.transport.is_connected());
}
