//! What is sent to users, whatever frontend they are on.

use crate::support::{Told, code, server, until};
use pitaya_core::cluster::envelope::{BindMsg, KickAnswer, KickMsg, Push, Response, Stamp};
use pitaya_runtime::KickReason;
use pitaya_runtime::cluster::{Login, Transport};
use pitaya_tests::nats::NatsServer;
use prost::Message;

fn push(uid: &str, body: &str) -> Told {
    Told::Push(uid.to_owned(), "onX".to_owned(), body.as_bytes().to_vec())
}

#[tokio::test]
async fn a_user_is_reached_as_soon_as_it_listens() {
    let broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).start().await;
    let room = server("room", "r1", &broker).start().await;
    for user in ["zoe", "john.doe@x.com", "Zoë"] {
        front.transport.listen(user).await.expect("listening");
        room.transport.push("connector", user, "onX", b"1").expect("sent");
        assert_eq!(front.hear().await, push(user, "1"));
        let reason = Some(KickReason::new("X-1", "out"));
        room.transport.kick("connector", user, reason.as_ref()).expect("sent");
        assert_eq!(front.hear().await, Told::Kick(user.to_owned(), reason));
    }
    // Another type of frontend is another user.
    room.transport.push("other", "zoe", "onX", b"2").expect("sent");
    for uid in ["", "a b", "foo.*.bar", "a\r\nb"] {
        assert_eq!(code(front.transport.listen(uid).await), "PIT-400", "{uid:?}");
        assert_eq!(code(room.transport.push("connector", uid, "onX", b"")), "PIT-400");
        assert_eq!(code(room.transport.kick("connector", uid, None)), "PIT-400");
    }
    // Bound twice and ended once, it is still here.
    front.transport.listen("zoe").await.expect("listening");
    front.transport.ignore("zoe");
    room.transport.push("connector", "zoe", "onX", b"3").expect("sent");
    assert_eq!(front.hear().await, push("zoe", "3"));
    front.transport.ignore("zoe");
    front.transport.ignore("never");
    // What comes by one connection comes in order: when the next is here, this is not.
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let gone = async || {
        let push = Push { route: "onX".to_owned(), uid: "zoe".to_owned(), data: "4".into() };
        let answer = client.request("pitaya/connector/user/zoe/push", push.encode_to_vec().into()).await;
        answer.is_err_and(|e| e.kind() == async_nats::RequestErrorKind::NoResponders)
    };
    for _ in 0..200 {
        if gone().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the subscription of an ended session stays");
}

#[tokio::test]
async fn who_waits_for_an_answer_gets_one() {
    let broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).start().await;
    front.transport.listen("zoe").await.expect("listening");
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let ask = async |what: &str, payload: Vec<u8>| {
        let subject = format!("pitaya/connector/user/zoe/{what}");
        client.request(subject, payload.into()).await.expect("an answer").payload
    };
    let message = Push { route: "onX".to_owned(), uid: "zoe".to_owned(), data: "1".into() }.encode_to_vec();
    let kick = KickMsg { user_id: "zoe".to_owned(), ..KickMsg::default() }.encode_to_vec();
    for here in [false, true] {
        if here {
            front.fake.users.lock().expect("unpoisoned").push("zoe".to_owned());
        }
        let answer = Response::decode(ask("push", message.clone()).await).expect("a response");
        let wanted = if here { None } else { Some("session not found".to_owned()) };
        assert_eq!(answer.error.map(|error| error.msg), wanted);
        assert_eq!(answer.data, if here { &b"ack"[..] } else { b"" });
        let answer = KickAnswer::decode(ask("kick", kick.clone()).await).expect("an answer");
        assert_eq!(answer.kicked, here);
        assert_eq!(front.hear().await, push("zoe", "1"));
        assert_eq!(front.hear().await, Told::Kick("zoe".to_owned(), None));
    }
    let answer = Response::decode(ask("push", vec![0xff; 9]).await).expect("a response");
    assert_eq!(answer.error.expect("an error").code, "PIT-400");
    assert!(front.heard_all() && front.transport.counts().malformed == 1);
}

/// Permissions of a broker are given by subject: whoever may publish to one user must not reach another one.
#[tokio::test]
async fn the_subject_says_who_is_meant_and_not_the_payload() {
    let broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).start().await;
    for user in ["zoe", "max"] {
        front.transport.listen(user).await.expect("listening");
        front.fake.users.lock().expect("unpoisoned").push(user.to_owned());
    }
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let message = Push { route: "onX".to_owned(), uid: "max".to_owned(), data: "1".into() }.encode_to_vec();
    client.request("pitaya/connector/user/zoe/push", message.into()).await.expect("an answer");
    assert_eq!(front.hear().await, push("zoe", "1"));
    let kick = KickMsg { user_id: "max".to_owned(), ..KickMsg::default() }.encode_to_vec();
    client.request("pitaya/connector/user/zoe/kick", kick.into()).await.expect("an answer");
    assert_eq!(front.hear().await, Told::Kick("zoe".to_owned(), None));
    assert!(front.heard_all());
}

#[tokio::test]
async fn other_frontends_hear_of_a_binding() {
    let broker = NatsServer::start(&[]);
    let mut one = server("connector", "f1", &broker).start().await;
    let mut two = server("connector", "f2", &broker).start().await;
    let room = server("room", "r1", &broker).start().await;
    let login = Login::new("zoe", "f1").ordered(Stamp { time: 7, session: 3 }, true);
    one.transport.tell_bound(&login).expect("sent");
    assert_eq!(two.hear().await, Told::Bound("zoe".to_owned(), "f1".to_owned()));
    assert_eq!(one.hear().await, Told::Own(login), "it was not lost on its way");
    two.transport.tell_bound(&Login::new("max", "f2")).expect("sent");
    assert_eq!(one.hear().await, Told::Bound("max".to_owned(), "f2".to_owned()));
    assert_eq!(two.hear().await, Told::Own(Login::new("max", "f2")));
    let client = async_nats::connect(broker.url()).await.expect("a client");
    let bound = BindMsg { uid: "go".to_owned(), fid: "go-1".to_owned(), ..BindMsg::default() };
    client.publish("pitaya/connector/bindings", bound.encode_to_vec().into()).await.expect("sent");
    client.publish("pitaya/connector/bindings", vec![0xff; 3].into()).await.expect("sent");
    for node in [&mut one, &mut two] {
        assert_eq!(node.hear().await, Told::Bound("go".to_owned(), "go-1".to_owned()));
    }
    until("it is counted", || one.transport.counts().malformed == 1).await;
    drop(room);
}

#[tokio::test]
async fn who_comes_while_the_broker_is_away_is_heard_when_it_is_back() {
    let mut broker = NatsServer::start(&[]);
    let mut front = server("connector", "f1", &broker).start().await;
    let room = server("room", "r1", &broker).start().await;
    broker.kill();
    until("the loss is noticed", || !front.transport.is_connected()).await;
    front.transport.listen("ann").await.expect("with the next connection");
    front.transport.listen("bob").await.expect("with the next connection");
    front.transport.ignore("bob");
    broker.restart();
    until("both are back", || front.transport.is_connected() && room.transport.is_connected()).await;
    room.transport.push("connector", "bob", "onX", b"1").expect("sent");
    room.transport.push("connector", "ann", "onX", b"2").expect("sent");
    assert_eq!(front.hear().await, push("ann", "2"));
}

/// Publishes to a user as a Go server does; true when a frontend has subscribed.
async fn published(client: &async_nats::Client, uid: &str) -> bool {
    let push = Push { route: "onX".to_owned(), uid: uid.to_owned(), data: "1".into() };
    let answer = client.request(format!("pitaya/connector/user/{uid}/push"), push.encode_to_vec().into()).await;
    !answer.is_err_and(|e| e.kind() == async_nats::RequestErrorKind::NoResponders)
}

#[tokio::test]
async fn users_are_subscribed_only_while_a_server_publishes_to_them() {
    let mut broker = NatsServer::monitored();
    let mut front = server("connector", "f1", &broker).start().await;
    let client = async_nats::connect(broker.url()).await.expect("a client");
    front.transport.user_publishers(false).await;
    let before = broker.subscriptions();
    let users: Vec<_> = (0..1000).map(|n| format!("user{n}")).collect();
    for user in &users {
        front.transport.listen(user).await.expect("nothing to wait for");
    }
    assert!(!published(&client, "user1").await);
    assert!(broker.subscriptions() <= before + 1, "the inbox of the client, and nothing for 1,000 users");
    // A Go server comes.
    front.transport.user_publishers(true).await;
    front.transport.listen("late").await.expect("listening");
    for user in ["user0", "user999", "late"] {
        assert!(published(&client, user).await, "{user}");
        assert_eq!(front.hear().await, push(user, "1"));
    }
    assert!(broker.subscriptions() >= before + 2002);
    // It goes, for ever or for a moment: those who were subscribed stay so, and the next connection starts without.
    front.transport.user_publishers(false).await;
    assert!(published(&client, "user5").await);
    front.hear().await;
    broker.kill();
    until("the loss is noticed", || !front.transport.is_connected()).await;
    broker.restart();
    until("it is back", || front.transport.is_connected()).await;
    let client = async_nats::connect(broker.url()).await.expect("a client");
    assert!(!published(&client, "user5").await);
    users.iter().map(String::as_str).chain(["late"]).for_each(|user| front.transport.ignore(user));
    front.transport.user_publishers(true).await;
    assert!(!published(&client, "user5").await, "nobody is here any more");
}

#[tokio::test]
async fn a_user_who_leaves_while_all_are_subscribed_is_not_subscribed_afterwards() {
    let broker = NatsServer::monitored();
    let front = server("connector", "f1", &broker).start().await;
    front.transport.user_publishers(false).await;
    let before = broker.subscriptions();
    let users: Vec<_> = (0..2000).map(|n| format!("user{n}")).collect();
    for user in &users {
        front.transport.listen(user).await.expect("nothing to wait for");
    }
    let leave = async {
        for user in &users {
            front.transport.ignore(user);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(front.transport.user_publishers(true), leave);
    for _ in 0..500 {
        if broker.subscriptions() <= before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} subscriptions stay", broker.subscriptions() - before);
}
