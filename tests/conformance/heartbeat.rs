//! Heartbeats: the server's own, and what becomes of a client that has none.

use crate::replay::Replay;
use pitaya_core::wire::packet::HEARTBEAT;
use pitaya_tests::client::{Client, Heard};
use pitaya_tests::compare::Codec;
use pitaya_tests::process::Conformance;
use pitaya_tests::vectors::exchanges;
use std::time::{Duration, Instant};

fn recorded(case: &str, serializer: &str, codec: Codec) {
    let server = Conformance::start(&["-serializer", serializer], &[("PITAYA_HEARTBEAT_INTERVAL", "3s")]);
    let mut replay = Replay::new(&server, codec, false);
    let begun = Instant::now();
    let exchanges = exchanges(|name| name == case);
    assert_eq!(exchanges.len(), 3);
    exchanges.iter().for_each(|exchange| replay.run(exchange));
    let took = begun.elapsed().as_secs_f64();
    assert!((5.9..7.5).contains(&took), "two beats of 3 s took {took} s");
}

#[test]
fn as_recorded_with_json() {
    recorded("conformance-json-heartbeat", "json", Codec::Json);
}

#[test]
fn as_recorded_with_protobuf() {
    recorded("conformance-protobuf-heartbeat", "protobuf", Codec::Protobuf);
}

/// Every second, whatever the client sends, and not before the client is known.
const EACH_SECOND: [(&str, &str); 1] = [("PITAYA_HEARTBEAT_INTERVAL", "1s")];

#[test]
fn a_silent_client_is_closed_between_two_and_three_intervals() {
    let server = Conformance::start(&[], &EACH_SECOND);
    let mut client = Client::tcp(server.address());
    client.open();
    let acknowledged = Instant::now();
    let mut beats = 0;
    while let Heard::Packet(packet) = client.next(Duration::from_secs(4)) {
        assert_eq!(packet, HEARTBEAT);
        beats += 1;
    }
    let lived = acknowledged.elapsed().as_secs_f64();
    assert!((2.0..4.0).contains(&lived), "closed after {lived} s");
    assert!((2..=3).contains(&beats), "{beats} beats before");
}

#[test]
fn beats_come_each_interval_to_a_client_that_only_sends_data() {
    let server = Conformance::start(&[], &EACH_SECOND);
    let mut client = Client::tcp(server.address());
    client.open();
    let end = Instant::now() + Duration::from_millis(4500);
    let (mut beats, mut answers, mut due) = (0, 0, Instant::now());
    while Instant::now() < end {
        if Instant::now() >= due {
            client.send_request(1, "connector.room.join", b"x");
            due += Duration::from_millis(1500);
        }
        match client.next(due.min(end).saturating_duration_since(Instant::now())) {
            Heard::Packet(packet) if packet == HEARTBEAT => beats += 1,
            Heard::Packet(_) => answers += 1,
            Heard::Nothing => {}
            Heard::End => panic!("closed after {beats} beats and {answers} answers"),
        }
    }
    assert_eq!((beats, answers), (4, 3), "in 4.5 seconds");
}

#[test]
fn there_are_none_before_the_acknowledgement() {
    let server = Conformance::start(&[], &EACH_SECOND);
    let mut client = Client::tcp(server.address());
    client.shake_hands();
    assert_eq!(client.next(Duration::from_millis(1500)), Heard::Nothing);
}
