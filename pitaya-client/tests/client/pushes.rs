use futures_util::StreamExt;
use pitaya_client::{Client, CloseReason, ProtocolError, Push};
use pitaya_core::wire::{Dictionary, RouteRef};
use serde_json::{Value, json};

use crate::peer::{Peer, compressed, pair, pair_with, push, terms};

/// Comes back when the client has acted on everything sent before.
async fn settle<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(client: &Client, peer: &mut Peer<S>) {
    let server = async {
        let id = peer.message().await.id;
        peer.respond(id, "").await;
    };
    tokio::join!(client.request_raw("test.settle", ""), server).0.unwrap();
}

fn routes(pushes: &[Push]) -> Vec<&str> {
    pushes.iter().map(|push| &*push.route).collect()
}

#[tokio::test]
async fn streams_get_all_pushes_or_those_of_a_route() {
    let (client, mut peer) = pair().await;
    let (all, only_b, other_b) = (client.pushes(), client.on("b"), client.on("b"));
    for (route, body) in [("a", "1"), ("b", "2"), ("c", "3"), ("b", "4")] {
        peer.push(route, body).await;
    }
    drop(peer);
    let all: Vec<_> = all.collect().await;
    assert_eq!(routes(&all), ["a", "b", "c", "b"]);
    for stream in [only_b, other_b] {
        let bodies: Vec<i32> = stream.map(|push| push.json::<i32>().unwrap()).collect().await;
        assert_eq!(bodies, [2, 4]);
    }
    assert_eq!(client.pushes().recv().await, None, "a stream of an ended connection is at its end");
}

#[tokio::test]
async fn pushes_are_read_as_json_and_protobuf() {
    let (client, mut peer) = pair().await;
    let mut pushes = client.pushes();
    peer.push("a", r#"{"m":"hi"}"#).await;
    peer.push("b", [10, 2, b'h', b'i']).await;
    assert_eq!(pushes.recv().await.unwrap().json::<Value>().unwrap(), json!({"m": "hi"}));
    // A string as field 1: the well-known wrapper that prost has for it.
    let push = pushes.recv().await.unwrap();
    assert_eq!(push.protobuf::<String>().unwrap(), "hi");
    push.json::<Value>().expect_err("no JSON");
}

#[tokio::test]
async fn what_comes_before_the_first_stream_is_kept_for_it() {
    let (client, mut peer) = pair().await;
    for n in 0..70 {
        peer.push(if n % 2 == 0 { "even" } else { "odd" }, n.to_string()).await;
    }
    settle(&client, &mut peer).await;
    let (even, odd) = (client.on("even"), client.on("odd"));
    peer.push("even", "70").await;
    drop(peer);
    let even: Vec<i32> = even.map(|push| push.json::<i32>().unwrap()).collect().await;
    let odd: Vec<i32> = odd.map(|push| push.json::<i32>().unwrap()).collect().await;
    assert_eq!(even, (0..64).step_by(2).chain([70]).collect::<Vec<_>>());
    assert_eq!(odd, (1..64).step_by(2).collect::<Vec<_>>());
    assert_eq!(client.counters().dropped_pushes, 6);
}

#[tokio::test]
async fn a_full_stream_drops_the_newest_and_holds_nobody_up() {
    let options = Client::options().push_capacity(3);
    let (client, mut peer) = pair_with(&options, &terms("json", &Dictionary::default())).await;
    let (mut slow, mut quick) = (client.pushes(), client.pushes());
    for n in 0..5 {
        peer.push("a", n.to_string()).await;
        assert_eq!(quick.recv().await.unwrap().body, n.to_string());
    }
    settle(&client, &mut peer).await;
    assert_eq!(client.counters().dropped_pushes, 2);
    for n in 0..3 {
        assert_eq!(slow.recv().await.unwrap().body, n.to_string());
    }
    peer.push("a", "again").await;
    assert_eq!(slow.recv().await.unwrap().body, "again");
}

#[tokio::test]
async fn a_dropped_stream_is_not_counted() {
    let (client, mut peer) = pair().await;
    drop(client.pushes());
    peer.push("a", "").await;
    settle(&client, &mut peer).await;
    assert_eq!(client.counters().dropped_pushes, 0);
}

#[tokio::test]
async fn coded_and_compressed_pushes_are_read() {
    let dictionary = Dictionary::new([("onMessage".to_owned(), 258)]).unwrap();
    let (client, mut peer) = pair_with(&Client::options(), &terms("json", &dictionary)).await;
    let mut messages = client.on("onMessage");
    let body = vec![b'a'; 500];
    peer.send(&compressed(&push(RouteRef::Code(258), &body), &body)).await;
    peer.push("onMessage", "named").await;
    assert_eq!(messages.recv().await.unwrap().body, body);
    assert_eq!(messages.recv().await.unwrap().body, "named");
}

#[tokio::test]
async fn an_unknown_code_and_an_odd_route_break_the_protocol() {
    for (route, wanted) in
        [(RouteRef::Code(9), ProtocolError::UnknownCode(9)), (RouteRef::Name(&[0xff]), ProtocolError::RouteNotText)]
    {
        let (client, mut peer) = pair().await;
        peer.send(&push(route, b"")).await;
        let reason = client.closed().await;
        assert!(matches!(&reason, CloseReason::Protocol(error) if *error == wanted), "{reason:?}");
    }
}
