//! What lies on the bus: compared with what Go servers were recorded to send, and what becomes of what is malformed.

use crate::support::{Told, server, until};
use futures_util::StreamExt;
use pitaya_core::cluster::envelope::{BindMsg, KickMsg, MsgType, Push, Request, Response, RpcType};
use pitaya_runtime::Error;
use pitaya_runtime::cluster::{Forward, Login, OutgoingCall, ServerInfo, Transport};
use pitaya_tests::nats::NatsServer;
use prost::Message;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

struct Recorded {
    case: String,
    subject: String,
    reply: String,
    payload: Vec<u8>,
}

fn recorded() -> Vec<Recorded> {
    let line = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let hex = text("hex");
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let payload = (0..hex.len()).step_by(2).map(digit).collect();
        Recorded { case: text("case"), subject: text("subject"), reply: text("reply"), payload }
    };
    include_str!("../vectors/nats.jsonl").lines().map(line).collect()
}

/// The server that a subject names.
fn named(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("pitaya/servers/")?.split_once('/')
}

/// Every request that Go was recorded to send is sent again by ours: the same subject, and but for the metadata the same
/// bytes. The answers are what Go's were.
#[tokio::test]
async fn requests_are_what_go_sends() {
    let broker = NatsServer::start(&[]);
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let mut front = Vec::new();
    let mut compared = 0;
    for record in recorded() {
        let Some((kind, id)) = named(&record.subject) else { continue };
        let wanted = Request::decode(&record.payload[..]).expect("a request");
        assert!(record.reply.starts_with("_INBOX."), "{}", record.case);
        // One sender for each that was recorded: its id is in the bytes.
        let sender = if wanted.frontend_id.is_empty() { "b1".to_owned() } else { wanted.frontend_id.clone() };
        if !front.iter().any(|(known, _)| *known == sender) {
            let name: &'static str = sender.clone().leak();
            let kind = if wanted.frontend_id.is_empty() { "room" } else { "connector" };
            front.push((sender.clone(), server(kind, name, &broker).timeout(Duration::from_secs(5)).start().await));
        }
        let node = &front.iter().find(|(known, _)| *known == sender).expect("just made").1;
        let target = Arc::new(ServerInfo::new(kind, id, false));
        let mut target_hears = client.subscribe(record.subject.clone()).await.expect("a subscription");
        // A ping and its pong: the subscription is made.
        pitaya_tests::bus::settled(&client).await;
        let _ = client.request("nobody", "".into()).await;
        let msg = wanted.msg.clone().expect("a message");
        if wanted.r#type == i32::from(RpcType::User) {
            let mut call = OutgoingCall::new(msg.route.clone(), Duration::from_secs(5));
            call.body = msg.data.clone();
            call.answer = true;
            let transport = node.transport.clone();
            tokio::spawn(async move { transport.call(&target, call).await });
        } else {
            let session = wanted.session.clone().expect("a session");
            let notify = msg.r#type == i32::from(MsgType::Notify);
            let mut forward = Forward::new(session.id, msg.id, notify, &msg.route, &msg.data);
            (forward.uid, forward.data) = (&session.uid, &session.data);
            node.session(session.id).forward(&target, forward).expect("sent");
        }
        let sent = target_hears.next().await.expect("it is sent");
        assert!(sent.reply.is_some_and(|reply| reply.starts_with("_INBOX.")));
        let mut got = Request::decode(sent.payload.clone()).expect("a request");
        let metadata: Value = serde_json::from_slice(&got.metadata).expect("JSON");
        let known: Value = serde_json::from_slice(&wanted.metadata).expect("JSON");
        assert_eq!(metadata["reqTimeout"], known["reqTimeout"], "{}", record.case);
        assert_eq!(metadata["peer.id"], *sender);
        assert!(metadata["peer.service"].is_string());
        // Metadata stands last: what is before it must be the same bytes.
        got.metadata.clone_from(&wanted.metadata);
        assert_eq!(got.encode_to_vec(), record.payload, "{}", record.case);
        let head = sent.payload.len().min(record.payload.len() - wanted.metadata.len() - 4);
        assert_eq!(sent.payload[..head], record.payload[..head], "{}", record.case);
        compared += 1;
    }
    assert!(compared > 40, "only {compared} requests were recorded");
}

/// Every answer, push, kick and binding that Go was recorded to send is sent by ours with the same bytes.
#[tokio::test]
async fn answers_and_what_is_published_are_what_go_sends() {
    let broker = NatsServer::start(&[]);
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let room = server("room", "r1", &broker).on_call(|call, reply| {
        let response = Response::decode(call.body).expect("a response");
        reply(response.into());
    });
    let room = room.start().await;
    let mut compared = [0; 3];
    for record in recorded() {
        let case = &record.case;
        if record.subject.starts_with("_INBOX.") {
            let wanted = Response::decode(&record.payload[..]).expect("a response");
            let ask = Request {
                r#type: RpcType::User.into(),
                msg: Some(pitaya_core::cluster::envelope::Msg {
                    data: record.payload.clone().into(),
                    ..Default::default()
                }),
                metadata: "{}".into(),
                ..Request::default()
            };
            let answer = client.request("pitaya/servers/room/r1", ask.encode_to_vec().into()).await.expect("an answer");
            assert_eq!(Response::decode(answer.payload.clone()).expect("a response"), wanted, "{case}");
            assert_eq!(answer.payload, record.payload, "{case}");
            compared[0] += 1;
        } else if record.subject.contains("/user/") {
            let mut hears = client.subscribe(record.subject.clone()).await.expect("a subscription");
            let _ = client.request("nobody", "".into()).await;
            if record.subject.ends_with("/push") {
                let push = Push::decode(&record.payload[..]).expect("a push");
                room.transport.push("connector", &push.uid, &push.route, &push.data).expect("sent");
            } else {
                let kick = KickMsg::decode(&record.payload[..]).expect("a kick");
                room.transport.kick("connector", &kick.user_id, None).expect("sent");
            }
            let message = hears.next().await.expect("it is published");
            assert_eq!((&*message.payload, message.reply), (&*record.payload, None), "{case}");
            compared[1] += 1;
        } else if record.subject.ends_with("/bindings") {
            let bound = BindMsg::decode(&record.payload[..]).expect("a binding");
            let front = server("connector", bound.fid.clone().leak(), &broker).start().await;
            let mut hears = client.subscribe(record.subject.clone()).await.expect("a subscription");
            let _ = client.request("nobody", "".into()).await;
            front.transport.tell_bound(&Login::new(&*bound.uid, &*bound.fid)).expect("sent");
            assert_eq!(hears.next().await.expect("it is published").payload, record.payload, "{case}");
            compared[2] += 1;
        }
    }
    assert!(compared.iter().all(|n| *n > 0), "{compared:?}");
}

/// What a Go server sends is understood, and answered as Go answers.
#[tokio::test]
async fn what_is_malformed_is_answered() {
    let broker = NatsServer::start(&[]);
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let room = server("room", "r1", &broker).start().await;
    let msg = |route: &str| {
        Some(pitaya_core::cluster::envelope::Msg { route: route.to_owned(), data: "x".into(), ..Default::default() })
    };
    let with = |kind: i32, metadata: &'static [u8]| {
        let request = Request { r#type: kind, msg: msg("a.b"), metadata: metadata.into(), ..Request::default() };
        request.encode_to_vec()
    };
    let no_msg = Request { metadata: "{}".into(), ..Request::default() }.encode_to_vec();
    let wrong: [(&str, Vec<u8>, &str); 9] = [
        ("empty", Vec::new(), "PIT-400"),
        ("garbage", vec![0xff; 40], "PIT-400"),
        ("cut off", with(1, b"{}")[..5].to_vec(), "PIT-400"),
        ("no msg", no_msg, "PIT-400"),
        ("invalid UTF-8 in the route", vec![0x1a, 0x03, 0x12, 0x01, 0xff, 0x2a, 0x02, b'{', b'}'], "PIT-400"),
        ("unknown type", with(9, b"{}"), "PIT-400"),
        ("metadata empty", with(1, b""), "PIT-500"),
        ("metadata null", with(1, b"null"), "PIT-500"),
        ("metadata an array", with(0, b"[1]"), "PIT-500"),
    ];
    for (what, payload, code) in &wrong {
        let answer = client.request("pitaya/servers/room/r1", payload.clone().into()).await.expect(what);
        let error = Response::decode(answer.payload).expect(what).error.expect(what);
        assert_eq!(error.code, *code, "{what}: {}", error.msg);
    }
    let text = client.request("pitaya/servers/room/r1", with(1, b"").into()).await.expect("an answer");
    assert_eq!(Response::decode(text.payload).expect("a response").error.expect("an error").msg, "no context found");
    // A time-out that is no text, or no duration, does not matter.
    for metadata in [&b"{\"reqTimeout\":5}"[..], b"{\"reqTimeout\":\"5\"}", b"{\"reqTimeout\":\"9999999h\"}"] {
        for kind in [0, 1] {
            let payload =
                Request { r#type: kind, msg: msg("a.b"), metadata: metadata.to_vec().into(), ..Request::default() };
            let answer =
                client.request("pitaya/servers/room/r1", payload.encode_to_vec().into()).await.expect("an answer");
            assert_eq!(Response::decode(answer.payload).expect("a response").data, "x");
        }
    }
    // Without a reply subject it is counted.
    let counted = room.transport.counts().malformed;
    assert_eq!(counted, wrong.len() as u64 + 1);
    client.publish("pitaya/servers/room/r1", vec![0xff; 3].into()).await.expect("sent");
    for payload in [&b""[..], b"\xff\xff\xff", b"\x0a\x02\xff\xff", b"\x0a\x00"] {
        client.publish("pitaya/servers/room/r1.lane", payload.to_vec().into()).await.expect("sent");
    }
    until("they are counted", || room.transport.counts().malformed >= counted + 5).await;
}

/// Go's way of a push from a handler: by the user's subject, which needs a uid.
#[tokio::test]
async fn a_push_to_a_client_of_a_go_frontend_needs_a_uid() {
    let broker = NatsServer::start(&[]);
    let room = server("room", "r1", &broker).plain().on_message(|message| {
        let uid = std::str::from_utf8(&message.letter.uid).expect("UTF-8").to_owned();
        let uid = Some(&*uid).filter(|uid| !uid.is_empty());
        let outcome = message.from.back.push(message.letter.ticket, uid, "onX", b"p");
        let outcome = outcome.and_then(|()| message.from.back.kick(message.letter.ticket, uid, None));
        message.from.back.answer(message.letter.ticket, outcome.as_ref().map(|()| &b"done"[..]));
    });
    let room = room.start().await;
    let mut front = server("connector", "f1", &broker).start().await;
    front.transport.listen("zoe").await.expect("listening");
    let mut client = front.session(1);
    client.send(&room.info, 1, b"").expect("sent");
    let error = client.outcome(1).await.expect_err("no uid");
    assert_eq!(error, Error::new("PIT-000", "you have to bind an UID to the session to do that"));
    let mut forward = Forward::new(1, 2, false, "room.room.x", b"");
    forward.uid = "zoe";
    client.forward(&room.info, forward).expect("sent");
    assert_eq!(client.outcome(2).await, Ok(b"done".to_vec()));
    assert_eq!(front.hear().await, Told::Push("zoe".to_owned(), "onX".to_owned(), b"p".to_vec()));
    assert_eq!(front.hear().await, Told::Kick("zoe".to_owned(), None));
}
