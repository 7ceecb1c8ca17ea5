use std::time::Duration;

use pitaya_client::{Client, CloseReason, ConnectError, ProtocolError};
use pitaya_core::wire::{Dictionary, HandshakeReply, PacketKind, compress_tail, packet};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, duplex};

use crate::peer::{self, Peer, answered_with, pair_with, terms};

#[tokio::test(start_paused = true)]
async fn the_client_says_who_it_is_and_nothing_more_before_the_answer() {
    let options = Client::options().user("age", 30).user("name", "ada").client_build_number("20").client_version("2.1");
    let (mine, theirs) = duplex(1 << 10);
    let connecting = tokio::spawn(async move { options.over(mine).await });
    let mut peer = Peer::new(theirs);

    let body: Value = serde_json::from_slice(&peer.expect(PacketKind::Handshake).await).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut sys = json!({"platform": "rust", "libVersion": version, "clientBuildNumber": "20", "clientVersion": "2.1"});
    sys["inflate"] = true.into();
    assert_eq!(body, json!({"sys": sys, "user": {"age": 30, "name": "ada"}}));

    tokio::time::timeout(Duration::from_secs(9), peer.packet()).await.expect_err("it waits for the answer");
    assert!(!connecting.is_finished());
    peer.send(&terms("json", &Dictionary::default()).ok()).await;
    peer.expect(PacketKind::HandshakeAck).await;
    connecting.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_options_the_handshake_is_small() {
    let (mine, theirs) = duplex(1 << 10);
    let options = Client::options().platform("p").lib_version("v");
    let mut peer = Peer::new(theirs);
    let dictionary = Dictionary::default();
    let reply = terms("json", &dictionary);
    let (client, body) = tokio::join!(options.over(mine), peer.accept(&reply));
    client.unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"sys":{"platform":"p","libVersion":"v","clientBuildNumber":"","clientVersion":"","inflate":true}}"#
    );
}

#[tokio::test]
async fn the_terms_are_told() {
    let dictionary = Dictionary::new([("room.join".to_owned(), 7)]).unwrap();
    let reply = HandshakeReply { heartbeat: 30, serializer: "protobuf", dictionary: &dictionary };
    let (client, _peer) = pair_with(&Client::options(), &reply).await;
    let handshake = client.handshake();
    assert_eq!((handshake.code, handshake.heartbeat, handshake.serializer.as_str()), (200, 30, "protobuf"));
    assert_eq!(handshake.dictionary, dictionary);
}

#[tokio::test]
async fn a_compressed_answer_after_a_heartbeat_is_understood() {
    let routes = (1..50).map(|code| (format!("room.number{code}"), code));
    let dictionary = Dictionary::new(routes).unwrap();
    let mut reply = terms("json", &dictionary).ok();
    assert!(compress_tail(&mut reply, packet::HEADER));
    packet::seal(&mut reply, 0).unwrap();
    let client = answered_with(&[&packet::HEARTBEAT[..], &reply].concat()).await.unwrap();
    assert_eq!(client.handshake().dictionary, dictionary);
}

#[tokio::test]
async fn a_refusal_says_why_if_the_server_does() {
    let dictionary = Dictionary::default();
    let reply = terms("json", &dictionary);

    let error = answered_with(&reply.refused(Some(("PIT-401", "too old")), "too old")).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused the handshake with code 400 (PIT-401: too old)");
    let ConnectError::Refused { code: 400, reason: Some(reason) } = error else { panic!("{error:?}") };
    assert_eq!((reason.code.as_str(), reason.msg.as_str()), ("PIT-401", "too old"));

    let error = answered_with(&reply.refused(None, "it is no JSON")).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused the handshake with code 400: it is no JSON");
    let error = answered_with(&peer::json(PacketKind::Handshake, r#"{"code":400}"#)).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused the handshake with code 400");
    let error = answered_with(&peer::json(PacketKind::Handshake, r#"{"code":501}"#)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { code: 501, reason: None }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_handshake_is_told() {
    type Check = fn(&ConnectError) -> bool;
    let cases: [(&[u8], Check); 7] = [
        (b"", |e| matches!(e, ConnectError::Closed(CloseReason::ServerClosed))),
        (&[1, 0, 0, 9, b'{'], |e| matches!(e, ConnectError::Closed(CloseReason::ServerClosed))),
        (b"HTTP/1.1 400", |e| matches!(e, ConnectError::Closed(CloseReason::Protocol(ProtocolError::Packet(_))))),
        (&[4, 0, 0, 0], |e| {
            matches!(e, ConnectError::Closed(CloseReason::Protocol(ProtocolError::UnexpectedPacket(PacketKind::Data))))
        }),
        (&[5, 0, 0, 0], |e| matches!(e, ConnectError::Closed(CloseReason::Kicked { reason: None }))),
        (&[1, 0, 0, 0], |e| matches!(e, ConnectError::Handshake(_))),
        (&[1, 0, 0, 2, b'{', b'}'], |e| matches!(e, ConnectError::Handshake(_))),
    ];
    for (bytes, check) in cases {
        let error = answered_with(bytes).await.unwrap_err();
        assert!(check(&error), "{bytes:?}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let (mine, mut theirs) = duplex(1 << 10);
    let before = tokio::time::Instant::now();
    let error = Client::options().connect_timeout(Duration::from_secs(3)).over(mine).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout(limit) if limit == before.elapsed()), "{error:?}");
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).await.expect("the connection is closed");
}
