//! Whatever a client sends ends its own session at most.

use pitaya_core::wire::packet::{ACK, HEADER};
use pitaya_core::wire::{MessageKind, PacketKind};
use pitaya_tests::client::{Client, HANDSHAKE};
use pitaya_tests::compare::{Codec, assert_same};
use pitaya_tests::process::Conformance;
use pitaya_tests::vectors::{Exchange, Outcome, exchanges};
use std::collections::BTreeMap;

/// Where Go goes on with what is broken, ours closes.
const CLOSED: [&str; 5] = [
    "varint of 11 bytes",
    "a response from the client",
    "a push from the client",
    "second handshake",
    "ack before handshake",
];

/// The cases, in order: for each what is sent and what comes of it.
fn cases() -> Vec<(String, Vec<Exchange>)> {
    let mut cases: Vec<(String, Vec<Exchange>)> = Vec::new();
    for exchange in exchanges(|case| case.starts_with("malformed/")) {
        let name = exchange.client["malformed/".len()..].to_owned();
        match cases.last_mut() {
            Some((last, exchanges)) if *last == name => exchanges.push(exchange),
            _ => cases.push((name, vec![exchange])),
        }
    }
    cases
}

/// Asserts that a connection is as good as any: what comes first is the answer to this, so nothing came before it.
fn assert_usable(client: &mut Client, sent: &[Exchange], case: &str) {
    let greeted = sent.iter().any(|exchange| exchange.sent[0] == PacketKind::Handshake as u8);
    let acknowledged = sent.iter().any(|exchange| exchange.sent == ACK);
    if !greeted {
        client.send_packet(PacketKind::Handshake, HANDSHAKE);
        assert_eq!(client.packet()[0], PacketKind::Handshake as u8, "{case}");
    }
    if !acknowledged {
        client.send(&ACK);
    }
    client.send_request(77, "room.room.join", b"still here");
    let answer = client.message();
    assert_eq!((answer.kind, answer.id, answer.text()), (MessageKind::Response, 77, "still here"), "{case}");
}

#[test]
fn every_recorded_case_on_one_server() {
    let mut server = Conformance::start(&["-type", "room"], &[]);
    let mut honest = Client::tcp(server.address());
    honest.open();
    let cases = cases();
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (case, sent)) in cases.iter().enumerate() {
        let mut client = Client::tcp(server.address());
        let (last, before) = sent.split_last().expect("something is sent");
        for exchange in before {
            client.send(&exchange.sent);
            for answer in &exchange.answers {
                let Outcome::Packet(recorded) = &answer.outcome else { panic!("{case}: {answer:?}") };
                assert_same(&client.packet(), recorded, Codec::Json, false, case);
            }
        }
        client.send(&last.sent);
        let [answer] = &last.answers[..] else { panic!("{case}: {:?}", last.answers) };
        let outcome = if CLOSED.contains(&&**case) { &Outcome::Closed } else { &answer.outcome };
        *outcomes
            .entry(match outcome {
                Outcome::Closed => {
                    client.assert_closed();
                    "closed"
                }
                Outcome::Silence => {
                    assert_usable(&mut client, sent, case);
                    "silence"
                }
                Outcome::Packet(recorded) => {
                    assert_same(&client.packet(), recorded, Codec::Json, false, case);
                    if recorded[HEADER..].starts_with(br#"{"code":400"#) {
                        client.assert_closed();
                        "refused"
                    } else {
                        assert_usable(&mut client, sent, case);
                        "answered"
                    }
                }
            })
            .or_default() += 1;
        assert_eq!(honest.request(number as u64 + 1, "room.room.echo", case.as_bytes()).text(), case);
    }
    let wanted = [("answered", 7), ("closed", 20), ("refused", 4), ("silence", 4)];
    assert_eq!(outcomes, wanted.into());
    assert!(server.is_alive(), "and it is the process that was started");
}
