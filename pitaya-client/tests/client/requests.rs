use std::time::Duration;

use futures_util::future::join_all;
use pitaya_client::{Client, CloseReason, Error, ProtocolError, RequestError};
use pitaya_core::codec::{Codec, Protobuf};
use pitaya_core::wire::{Dictionary, MessageKind, packet};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::peer::{compressed, pair, pair_with, response, terms};

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[tokio::test]
async fn a_hundred_answers_in_reverse_order_find_their_requests() {
    let (client, mut peer) = pair().await;
    let requests = join_all((0..100).map(|n| {
        let client = client.clone();
        async move { client.request_json::<i32>("math.double", &n).await.unwrap() }
    }));
    let server = async {
        let mut got = Vec::new();
        for n in 0..100 {
            let message = peer.message().await;
            assert_eq!((message.kind, message.id), (MessageKind::Request, n + 1), "sent in the order of the calls");
            assert_eq!((message.route.as_deref(), message.text()), (Ok("math.double"), n.to_string().as_str()));
            got.push(message);
        }
        for message in got.into_iter().rev() {
            let n: i32 = message.text().parse().unwrap();
            peer.respond(message.id, (2 * n).to_string()).await;
        }
    };
    let (answers, ()) = tokio::join!(requests, server);
    assert_eq!(answers, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_answer_may_come_byte_by_byte() {
    let (client, mut peer) = pair().await;
    let server = async {
        let id = peer.message().await.id;
        for byte in response(id, false, b"slowly") {
            peer.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
    assert_eq!(answer.unwrap(), "slowly");
}

#[tokio::test]
async fn notifies_have_no_id_and_keep_their_order() {
    let (client, mut peer) = pair().await;
    client.notify_raw("room.say", "one").await.unwrap();
    client.notify_json("room.say", &json!({"n": 2})).await.unwrap();
    client.notify_protobuf("room.say", &Number { value: 3 }).await.unwrap();
    for body in [&b"one"[..], br#"{"n":2}"#, &[8, 3]] {
        let message = peer.message().await;
        assert_eq!((message.kind, message.route.as_deref()), (MessageKind::Notify, Ok("room.say")));
        assert_eq!(message.body, body);
    }
}

#[tokio::test]
async fn protobuf_both_ways() {
    let (client, mut peer) = pair_with(&Client::options(), &terms("protobuf", &Dictionary::default())).await;
    let server = async {
        let message = peer.message().await;
        assert_eq!(message.body, [8, 20]);
        peer.respond(message.id, [8, 40]).await;
    };
    let (answer, ()) = tokio::join!(client.request_protobuf::<Number>("a.b", &Number { value: 20 }), server);
    assert_eq!(answer.unwrap(), Number { value: 40 });
}

#[tokio::test]
async fn errors_are_read_with_the_announced_serializer() {
    let wanted = Error::new("PIT-433", "test error").with("some", "meta");
    let mut protobuf = Vec::new();
    Protobuf::encode_error(&wanted, &mut protobuf);
    let json = br#"{"code":"PIT-433","msg":"test error","metadata":{"some":"meta"}}"#.to_vec();
    for (serializer, body) in [("json", json), ("protobuf", protobuf)] {
        let (client, mut peer) = pair_with(&Client::options(), &terms(serializer, &Dictionary::default())).await;
        let server = async {
            let id = peer.message().await.id;
            peer.fail(id, body).await;
        };
        let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
        let error = answer.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (Some("PIT-433"), "PIT-433: test error"));
        assert!(matches!(&error, RequestError::Server(error) if *error == wanted), "{error:?}");
    }
}

#[tokio::test]
async fn an_unexpected_answer_fails_its_request_only() {
    let (client, mut peer) = pair().await;
    let server = async {
        for body in ["[1]", "3"] {
            let id = peer.message().await.id;
            peer.respond(id, body).await;
        }
    };
    let requests = async {
        let error = client.request_json::<i32>("a.b", &()).await.unwrap_err();
        assert!(matches!(error, RequestError::Decode(_)), "{error:?}");
        client.request_json::<i32>("a.b", &()).await.unwrap()
    };
    assert_eq!(tokio::join!(requests, server).0, 3);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is() {
    let (client, mut peer) = pair().await;
    for (route, length) in [("r".repeat(256), 0), ("r".to_owned(), packet::MAX_BODY)] {
        let error = client.request_raw(&route, vec![0; length]).await.unwrap_err();
        assert!(matches!(error, RequestError::Encode(_)), "{error:?}");
        let error = client.notify_raw(&route, vec![0; length]).await.unwrap_err();
        assert!(matches!(error, RequestError::Encode(_)), "{error:?}");
    }
    client.notify_raw(&"r".repeat(255), "").await.unwrap();
    assert_eq!(peer.message().await.route.unwrap().len(), 255, "nothing was sent before");
}

#[tokio::test(start_paused = true)]
async fn a_request_times_out_and_its_late_answer_is_counted() {
    let (client, mut peer) = pair().await;
    let begun = tokio::time::Instant::now();
    let error = client.request_raw("slow.one", "").await.unwrap_err();
    assert!(matches!(error, RequestError::Timeout(limit) if limit == Duration::from_secs(10)), "{error:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));

    let hasty = client.with_timeout(Duration::from_secs(1));
    hasty.request_raw("slow.two", "").await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(11));

    let server = async {
        for _ in 0..2 {
            let id = peer.message().await.id;
            peer.respond(id, "late").await;
        }
        let id = peer.message().await.id;
        peer.respond(id, "in time").await;
    };
    let (answer, ()) = tokio::join!(client.request_raw("quick.one", ""), server);
    assert_eq!(answer.unwrap(), "in time");
    assert_eq!(client.counters().late_answers, 2);
}

#[tokio::test]
async fn a_dropped_request_is_forgotten() {
    let (client, mut peer) = pair().await;
    let request = tokio::spawn({
        let client = client.clone();
        async move { client.request_raw("a.b", "").await }
    });
    let forgotten = peer.message().await.id;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());

    let server = async {
        let id = peer.message().await.id;
        peer.respond(forgotten, "nobody listens").await;
        peer.respond(id, "mine").await;
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
    assert_eq!(answer.unwrap(), "mine");
    assert_eq!(client.counters().late_answers, 1);
}

#[tokio::test]
async fn announced_routes_go_as_codes() {
    let dictionary = Dictionary::new([("room.join".to_owned(), 258)]).unwrap();
    let (client, mut peer) = pair_with(&Client::options(), &terms("json", &dictionary)).await;
    for (route, wanted) in [("room.join", Err(258)), ("room.leave", Ok("room.leave".to_owned()))] {
        client.notify_raw(route, "").await.unwrap();
        assert_eq!(peer.message().await.route, wanted);
    }
}

#[tokio::test]
async fn compressed_answers_are_opened_and_requests_compressed_when_asked() {
    let text = "bla".repeat(100);
    for on in [false, true] {
        let options = Client::options().compress(on);
        let (client, mut peer) = pair_with(&options, &terms("json", &Dictionary::default())).await;
        let server = async {
            for asked in [text.as_str(), "short"] {
                let message = peer.message().await;
                assert_eq!((message.compressed, message.text()), (on && asked != "short", asked));
                let answer = json!({"got": text}).to_string();
                peer.send(&compressed(&response(message.id, false, answer.as_bytes()), answer.as_bytes())).await;
            }
            let id = peer.message().await.id;
            let error = json!({"code": "X", "msg": text}).to_string();
            peer.send(&compressed(&response(id, true, error.as_bytes()), error.as_bytes())).await;
        };
        let requests = async {
            for body in [text.clone(), "short".to_owned()] {
                let answer = client.request_raw("a.b", body).await.unwrap();
                assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["got"], text);
            }
            assert_eq!(client.request_raw("a.b", "").await.unwrap_err().code(), Some("X"));
        };
        tokio::join!(requests, server);
    }
}

#[tokio::test]
async fn a_megabyte_of_zeros_may_be_compressed() {
    let (client, mut peer) = pair().await;
    let body = vec![0; 1 << 20];
    let server = async {
        let id = peer.message().await.id;
        peer.send(&compressed(&response(id, false, &body), &body)).await;
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
    assert_eq!(answer.unwrap(), body);
}

#[tokio::test]
async fn an_answer_that_inflates_beyond_the_limit_ends_the_connection() {
    let options = Client::options().max_packet(1000);
    let (client, mut peer) = pair_with(&options, &terms("json", &Dictionary::default())).await;
    let server = async {
        let id = peer.message().await.id;
        let body = vec![b'a'; 1001];
        peer.send(&compressed(&response(id, false, &body), &body)).await;
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
    let error = answer.unwrap_err();
    assert!(matches!(error, RequestError::Closed(CloseReason::Protocol(ProtocolError::Inflate(_)))), "{error:?}");
}

/// More than the pipe, the write buffer and the queue hold together: senders wait, nothing is lost or reordered.
#[tokio::test]
async fn senders_wait_for_a_slow_server() {
    let (client, mut peer) = pair().await;
    let sending = tokio::spawn(async move {
        for n in 0..2000_u32 {
            client.notify_raw("a.b", [&n.to_be_bytes()[..], &[0; 1000]].concat()).await.unwrap();
        }
        client.close().await;
    });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished(), "two megabytes do not fit");
    for n in 0..2000_u32 {
        assert_eq!(peer.message().await.body[..4], n.to_be_bytes());
    }
    assert_eq!(peer.packet().await, None);
    peer.io.shutdown().await.unwrap();
    sending.await.unwrap();
}
