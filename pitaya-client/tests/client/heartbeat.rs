use std::time::Duration;

use pitaya_client::{Client, CloseReason};
use pitaya_core::wire::{Dictionary, HandshakeReply, PacketKind, packet};
use tokio::io::duplex;
use tokio::time::{Instant, advance, sleep, timeout};

use crate::peer::{self, Peer, pair_with};

fn every(seconds: u64, dictionary: &Dictionary) -> HandshakeReply<'_> {
    HandshakeReply { heartbeat: seconds, serializer: "json", dictionary }
}

#[tokio::test(start_paused = true)]
async fn one_heartbeat_goes_out_each_interval() {
    let (_client, mut peer) = pair_with(&Client::options(), &every(3, &Dictionary::default())).await;
    let begun = Instant::now();
    for n in 1..=20 {
        peer.expect(PacketKind::Heartbeat).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(3 * n));
        peer.send(&packet::HEARTBEAT).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left_after_two_intervals_and_a_second() {
    let (client, _peer) = pair_with(&Client::options(), &every(3, &Dictionary::default())).await;
    let begun = Instant::now();
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::HeartbeatTimeout), "{reason:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn anything_from_the_server_counts_as_life() {
    let (client, mut peer) = pair_with(&Client::options(), &every(3, &Dictionary::default())).await;
    let begun = Instant::now();
    // Half a packet will do, as long as bytes come.
    for bytes in [&[3, 0][..], &[0, 0], &[4, 0, 0, 3, 6, 1, b'a']] {
        sleep(Duration::from_millis(6900)).await;
        assert!(client.close_reason().is_none());
        peer.send(bytes).await;
    }
    assert!(matches!(client.closed().await, CloseReason::HeartbeatTimeout));
    assert_eq!(begun.elapsed(), Duration::from_millis(3 * 6900 + 7000));
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_there_is_no_heartbeat() {
    for answer in [r#"{"code":200}"#, r#"{"code":200,"sys":{"heartbeat":0}}"#] {
        let (mine, theirs) = duplex(1 << 10);
        let (options, mut server) = (Client::options(), Peer::new(theirs));
        let (client, ()) = tokio::join!(options.over(mine), async {
            server.expect(PacketKind::Handshake).await;
            server.send(&peer::json(PacketKind::Handshake, answer)).await;
            server.expect(PacketKind::HandshakeAck).await;
        });
        let client = client.unwrap();
        timeout(Duration::from_secs(100_000), server.packet()).await.expect_err("nothing is sent");
        assert!(client.close_reason().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_absurd_interval_does_no_harm() {
    let (client, _peer) = pair_with(&Client::options(), &every(u64::MAX, &Dictionary::default())).await;
    assert!(client.close_reason().is_none());
}

/// A machine that slept must first read what the server sent meanwhile.
#[tokio::test(start_paused = true)]
async fn what_was_received_is_read_before_the_server_is_given_up() {
    let (client, mut peer) = pair_with(&Client::options(), &every(3, &Dictionary::default())).await;
    peer.send(&packet::HEARTBEAT).await;
    advance(Duration::from_secs(60)).await;
    peer.expect(PacketKind::Heartbeat).await;
    assert!(client.close_reason().is_none());
}
