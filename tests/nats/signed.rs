//! Messages that are signed, and what is sent by those who do not sign.

use crate::support::{Event, Told, code, server, until};
use futures_util::StreamExt;
use pitaya_core::cluster::envelope::{KickMsg, Push, Response};
use pitaya_core::cluster::lane::{self, Forwarded, Number, Part};
use pitaya_runtime::Error;
use pitaya_runtime::cluster::{Forward, OutgoingCall, Transport};
use pitaya_tests::PATIENCE;
use pitaya_tests::nats::NatsServer;
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

const KEY: &str = "a key that every server of the cluster knows";

fn call(body: &'static str) -> OutgoingCall {
    let mut call = OutgoingCall::new("room.room.look", Duration::from_secs(3));
    call.body = body.into();
    call
}

/// Waits until the broker has done what this client asked for before.
async fn settled(bus: &async_nats::Client) {
    let _ = bus.request("nobody", "".into()).await;
}

/// Whoever hears a request could answer it first, and push and kick besides.
#[tokio::test]
async fn answers_of_strangers_are_not_heard() {
    for (signed, lane) in [(false, true), (false, false), (true, true), (true, false)] {
        let broker = NatsServer::start(&[]);
        let with = |maker: crate::support::Maker| if signed { maker.keys(KEY) } else { maker };
        let (arrived, mut arrivals) = unbounded_channel();
        let room = with(server("room", "r1", &broker)).on_message(move |message| {
            arrived.send(message).expect("the test runs");
        });
        let room = if lane { room } else { room.plain() }.start().await;
        let front = with(server("connector", "f1", &broker)).start().await;
        let bus = async_nats::connect(broker.url()).await.expect("a client");
        let subject = if lane { "pitaya/servers/room/r1.lane" } else { "pitaya/servers/room/r1" };
        let mut tap = bus.subscribe(subject).await.expect("subscribed");
        settled(&bus).await;
        let mut client = front.session(1);
        client.send(&room.info, 1, b"x").expect("sent");
        let message = arrivals.recv().await.expect("it arrives");
        let heard = timeout(PATIENCE, tap.next()).await.expect("it is heard").expect("open");
        let reply = heard.reply.expect("a reply subject");
        let (subject, forged) = if lane {
            let number = lane::parts(&heard.payload).find_map(|part| match part {
                Ok(Part::Envelope(envelope)) => Some(Forwarded::read(envelope).expect("a request").number),
                _ => None,
            });
            let number: Number = number.expect("a message");
            let mut bundle = Vec::new();
            lane::push(number.session(), "onX", b"forged", &mut bundle);
            lane::answer(number, Ok(b"forged"), &mut bundle);
            lane::kick(number.session(), b"", &mut bundle);
            (reply.rsplit_once('.').expect("a way").0.to_owned(), bundle)
        } else {
            (reply.to_string(), Response { data: "forged".into(), error: None }.encode_to_vec())
        };
        bus.publish(subject, forged.into()).await.expect("sent");
        bus.flush().await.expect("sent");
        if !signed {
            if lane {
                assert_eq!(client.event().await, Event::Push("onX".to_owned(), b"forged".to_vec()));
            }
            assert_eq!(client.outcome(1).await, Ok(b"forged".to_vec()));
            continue;
        }
        until("it is refused", || front.transport.counts().unsigned == 1).await;
        assert!(client.is_quiet());
        message.from.back.answer(message.letter.ticket, Ok(b"right"));
        assert_eq!(client.outcome(1).await, Ok(b"right".to_vec()));
    }
}

/// Without a record of the lane, and without signatures: what a Go server is to ours.
#[tokio::test]
async fn a_listed_type_works_both_ways_message_by_message() {
    let broker = NatsServer::start(&[]);
    // To ours it is Go's; its own transport knows of no keys.
    let go = server("go", "g1", &broker).plain().start().await;
    let mut front = server("connector", "f1", &broker).keys(KEY).unsigned("go").start().await;
    front.knows(&go.info);
    front.transport.listen("zoe").await.expect("listening");
    let mut client = front.session(1);
    client.send(&go.info, 1, b"x").expect("sent");
    assert_eq!(client.outcome(1).await, Ok(b"x".to_vec()), "an answer that is not signed");
    assert_eq!(front.transport.call(&go.info, call("c")).await, Ok("c".into()));
    assert_eq!(go.transport.call(&front.info, call("d")).await, Ok("d".into()), "a bundle");
    let mut plain = (*front.info).clone();
    plain.metadata.clear();
    assert_eq!(go.transport.call(&plain.into(), call("e")).await, Ok("e".into()), "a call that travels alone");
    go.transport.push("connector", "zoe", "onX", b"1").expect("sent");
    assert_eq!(front.hear().await, Told::Push("zoe".to_owned(), "onX".to_owned(), b"1".to_vec()));
    go.transport.kick("connector", "zoe", None).expect("sent");
    assert_eq!(front.hear().await, Told::Kick("zoe".to_owned(), None));
    assert_eq!(front.transport.counts().unsigned, 0);
    // It is no frontend, so it has no clients whose messages it could forward.
    let mut forwarded = go.session(2);
    forwarded.send(&front.info, 1, b"x").expect("sent");
    assert_eq!(code(forwarded.outcome(1).await), "PIT-401");
    // Another one of its type, which discovery does not know.
    let ghost = server("go", "g2", &broker).plain().start().await;
    assert_eq!(code(ghost.transport.call(&front.info, call("f")).await), "PIT-401");
}

/// An unsigned message is never answered with a signature: whoever chooses words and address would have it for both.
#[tokio::test]
async fn what_is_not_signed_is_answered_unsigned() {
    let broker = NatsServer::start(&[]);
    let go = server("go", "g1", &broker).plain().start().await;
    let room = server("room", "r1", &broker).keys(KEY).unsigned("go").start().await;
    room.knows(&go.info);
    let bus = async_nats::connect(broker.url()).await.expect("a client");
    let mut inboxes = bus.subscribe("_INBOX.>").await.expect("subscribed");
    settled(&bus).await;
    let mut plain = (*room.info).clone();
    plain.metadata.clear();
    assert_eq!(go.transport.call(&plain.into(), call("e")).await, Ok("e".into()));
    let answer = timeout(PATIENCE, async {
        loop {
            let message = inboxes.next().await.expect("open");
            if message.payload.starts_with(&[0x0a, 1, b'e']) {
                return message;
            }
        }
    });
    assert_eq!(&answer.await.expect("an answer").payload[..], [0x0a, 1, b'e']);
}

#[tokio::test]
async fn what_was_published_to_a_user_is_not_taken_again() {
    let broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).keys(KEY).start().await;
    let room = server("room", "r1", &broker).keys(KEY).start().await;
    let bus = async_nats::connect(broker.url()).await.expect("a client");
    let mut tap = bus.subscribe("pitaya/connector/user/zoe/push").await.expect("subscribed");
    settled(&bus).await;
    for user in ["zoe", "max"] {
        front.transport.listen(user).await.expect("listening");
    }
    room.transport.push("connector", "zoe", "onX", b"1").expect("sent");
    assert_eq!(front.hear().await, Told::Push("zoe".to_owned(), "onX".to_owned(), b"1".to_vec()));
    let message = tap.next().await.expect("open");
    for subject in
        ["pitaya/connector/user/zoe/push", "pitaya/connector/user/max/push", "pitaya/connector/user/zoe/kick"]
    {
        bus.publish(subject, message.payload.clone()).await.expect("sent");
    }
    let kick = KickMsg { user_id: "zoe".to_owned(), ..KickMsg::default() }.encode_to_vec();
    let push = Push { route: "onX".to_owned(), uid: "zoe".to_owned(), data: "x".into() }.encode_to_vec();
    for (subject, payload) in [("pitaya/connector/user/zoe/kick", kick), ("pitaya/connector/user/zoe/push", push)] {
        let answer = bus.request(subject, payload.into()).await.expect("an answer");
        let error = Response::decode(answer.payload).expect("a response").error.expect("an error");
        assert_eq!(error.code, "PIT-401");
    }
    until("all are counted", || {
        let counts = front.transport.counts();
        (counts.replayed, counts.forged, counts.unsigned) == (1, 2, 2)
    })
    .await;
    assert!(front.heard_all());
}

/// A key that the other does not know is told to whoever calls, alone and in a bundle.
#[tokio::test]
async fn a_wrong_key_is_told_to_each_caller() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).keys(KEY).start().await;
    let front = server("connector", "f1", &broker).keys("another key that nobody else in it knows").start().await;
    let mut plain = (*room.info).clone();
    plain.metadata.remove("pitaya.lane");
    let plain = std::sync::Arc::new(plain);
    let is_told = |error: Error| {
        assert_eq!(error.code(), "PIT-401");
        assert!(error.message().contains("a key that is not known to the receiver"), "{error}");
    };
    is_told(front.transport.call(&room.info, call("a")).await.expect_err("refused"));
    is_told(front.transport.call(&plain, call("b")).await.expect_err("refused"));
    let mut client = front.session(1);
    for (id, to) in [(1, &room.info), (2, &plain)] {
        client.forward(to, Forward::new(1, id, false, "room.room.x", b"")).expect("sent");
        is_told(client.outcome(id).await.expect_err("refused"));
    }
    // The refusals are not signed either, and are counted where they are heard: a stranger can send them.
    assert_eq!((room.transport.counts().unknown_key, front.transport.counts().unsigned), (4, 4));
}
