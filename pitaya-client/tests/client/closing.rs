use std::time::Duration;

use pitaya_client::{Client, CloseReason, ProtocolError, RequestError};
use pitaya_core::wire::{Dictionary, MessageError, MessageKind, PacketError, PacketKind, kick, packet};
use serde_json::json;

use crate::peer::{pair, pair_with, push, response, terms};

/// Errors of a request in flight and of one afterwards, when the server sends this and then ends.
async fn ended_by(bytes: &[u8]) -> CloseReason {
    let (client, mut peer) = pair().await;
    let server = async {
        peer.message().await;
        peer.send(bytes).await;
        drop(peer);
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
    let Err(RequestError::Closed(reason)) = answer else { panic!("{answer:?}") };
    for again in [
        client.closed().await,
        client.close_reason().unwrap(),
        match client.request_raw("a.b", "").await {
            Err(RequestError::Closed(reason)) => reason,
            other => panic!("{other:?}"),
        },
        match client.notify_raw("a.b", "").await {
            Err(RequestError::Closed(reason)) => reason,
            other => panic!("{other:?}"),
        },
    ] {
        assert_eq!(again.to_string(), reason.to_string(), "everyone hears the same");
    }
    reason
}

#[tokio::test]
async fn a_kick_is_a_kick_with_or_without_a_reason_and_whatever_follows() {
    let reason = ended_by(&packet::KICK).await;
    assert!(matches!(reason, CloseReason::Kicked { reason: None }), "{reason:?}");

    let mut bytes = Vec::new();
    kick(Some(&json!({"reason": "banned"})), &mut bytes).unwrap();
    bytes.extend_from_slice(b"\xff\xff no packet at all");
    let reason = ended_by(&bytes).await;
    assert_eq!(reason.to_string(), r#"the server kicked this client: {"reason":"banned"}"#);
    assert!(matches!(&reason, CloseReason::Kicked { reason: Some(body) } if *body == json!({"reason": "banned"})));

    let reason = ended_by(b"\x05\x00\x00\x03bye").await;
    assert!(matches!(&reason, CloseReason::Kicked { reason: Some(body) } if *body == json!("bye")), "{reason:?}");
}

#[tokio::test]
async fn what_came_before_a_kick_is_delivered() {
    let (client, mut peer) = pair().await;
    let mut pushes = client.pushes();
    let server = async {
        let id = peer.message().await.id;
        peer.send(&[push("a".into(), b"last"), response(id, false, b"answer"), packet::KICK.to_vec()].concat()).await;
    };
    let (answer, ()) = tokio::join!(client.request_raw("a.b", ""), server);
    assert_eq!(answer.unwrap(), "answer");
    assert!(matches!(client.closed().await, CloseReason::Kicked { .. }));
    assert_eq!(pushes.recv().await.unwrap().body, "last");
    assert_eq!(pushes.recv().await, None);
}

#[tokio::test]
async fn the_end_of_the_stream_fails_what_is_in_flight() {
    for bytes in [&b""[..], &[4, 0], &[4, 0, 0, 9, 4]] {
        let reason = ended_by(bytes).await;
        assert!(matches!(reason, CloseReason::ServerClosed), "{reason:?}");
    }
}

#[tokio::test]
async fn malformed_bytes_are_told() {
    let cases: [(&[u8], ProtocolError); 7] = [
        (&[0x16, 3, 1], PacketError::Kind(0x16).into()),
        (&[4, 0, 0, 1, 4], MessageError::TooShort { length: 1 }.into()),
        (&[4, 0, 0, 2, 0x0e, 0], MessageError::Kind(7).into()),
        (&[4, 0, 0, 3, 6, 9, b'a'], MessageError::RouteCut { announced: 9, left: 1 }.into()),
        (&[4, 0, 0, 3, 0, 1, 0], ProtocolError::UnexpectedMessage(MessageKind::Request)),
        (&[2, 0, 0, 0], ProtocolError::UnexpectedPacket(PacketKind::HandshakeAck)),
        (&[1, 0, 0, 2, b'{', b'}'], ProtocolError::UnexpectedPacket(PacketKind::Handshake)),
    ];
    for (bytes, wanted) in cases {
        let reason = ended_by(bytes).await;
        assert!(matches!(&reason, CloseReason::Protocol(error) if *error == wanted), "{bytes:?}: {reason:?}");
    }
    let reason = ended_by(&[4, 0, 0, 4, 0x14, 1, b'x', b'x']).await;
    assert!(matches!(reason, CloseReason::Protocol(ProtocolError::Inflate(_))), "{reason:?}");
}

#[tokio::test]
async fn a_packet_beyond_the_limit_is_refused_by_its_header() {
    let options = Client::options().max_packet(100);
    let (client, mut peer) = pair_with(&options, &terms("json", &Dictionary::default())).await;
    let mut pushes = client.pushes();
    peer.push("a", [0; 97]).await;
    assert_eq!(pushes.recv().await.unwrap().body.len(), 97);
    peer.send(&[4, 0, 0, 101]).await;
    let wanted = PacketError::TooLong { length: 101, limit: 100 };
    let reason = client.closed().await;
    assert!(matches!(&reason, CloseReason::Protocol(ProtocolError::Packet(error)) if *error == wanted), "{reason:?}");
}

#[tokio::test]
async fn closing_flushes_and_fails_what_is_in_flight() {
    let (client, mut peer) = pair().await;
    let request = tokio::spawn({
        let client = client.clone();
        async move { client.request_raw("a.b", "").await }
    });
    assert_eq!(peer.message().await.id, 1);
    for n in 0..100 {
        client.notify_raw("a.b", n.to_string()).await.unwrap();
    }
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.close().await }
    });
    let answer = request.await.unwrap();
    assert!(matches!(answer, Err(RequestError::Closed(CloseReason::Local))), "{answer:?}");
    for n in 0..100 {
        assert_eq!(peer.message().await.text(), n.to_string());
    }
    assert_eq!(peer.packet().await, None);
    assert!(!closing.is_finished(), "it waits for the server");
    drop(peer);
    closing.await.unwrap();
    client.close().await;
    assert!(matches!(client.closed().await, CloseReason::Local));
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever() {
    let (client, _peer) = pair().await;
    let begun = tokio::time::Instant::now();
    client.close().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn the_connection_ends_with_its_last_handle() {
    let (client, mut peer) = pair().await;
    let mut pushes = client.pushes();
    let other = client.clone();
    drop(client);
    other.notify_raw("a.b", "still there").await.unwrap();
    drop(other);
    assert_eq!(peer.message().await.text(), "still there");
    assert_eq!(peer.packet().await, None);
    assert_eq!(pushes.recv().await, None);
}

#[tokio::test]
async fn a_runtime_that_ends_takes_the_connection_along() {
    let (mine, theirs) = tokio::io::duplex(1 << 10);
    let mut server = crate::peer::Peer::new(theirs);
    let client = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dictionary = Dictionary::default();
        let (options, reply) = (Client::options(), terms("json", &dictionary));
        let (client, _) = runtime.block_on(async { tokio::join!(options.over(mine), server.accept(&reply)) });
        client.unwrap()
    });
    let client = client.await.unwrap();
    assert!(matches!(client.closed().await, CloseReason::Local));
    let answer = client.request_raw("a.b", "").await;
    assert!(matches!(answer, Err(RequestError::Closed(CloseReason::Local))), "{answer:?}");
}
