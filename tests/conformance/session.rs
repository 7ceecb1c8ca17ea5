//! The recorded sessions of a frontend and a backend, on one server that is both: every route is its own.

use crate::replay::Replay;
use pitaya_core::wire::{MessageKind, PacketKind, packet};
use pitaya_tests::client::{Client, Received};
use pitaya_tests::compare::Codec;
use pitaya_tests::process::Conformance;
use pitaya_tests::vectors::{Exchange, Outcome, exchanges};
use serde_json::json;

/// `room.room.x` at the backend and `connector.room.x` at the frontend are the same method here.
fn own(exchange: Exchange) -> Exchange {
    let method = exchange.route().and_then(|route| route.split_once(".room.")).map(|(_, method)| method.to_owned());
    match method {
        Some(method) => exchange.rerouted(&format!("connector.room.{method}")),
        None => exchange,
    }
}

/// Where ours is meant to differ.
fn as_ours(exchange: &mut Exchange) {
    let answers = &mut exchange.answers;
    let edit = |outcome: &mut Outcome, from: &str, to: &str| {
        let Outcome::Packet(bytes) = outcome else { panic!("{from}: {outcome:?}") };
        let received = Received::from_packet(bytes);
        let body = received.text().replace(from, to);
        assert_ne!(body, received.text(), "{from} is in the record");
        let mut edited = Vec::new();
        let at = packet::open(&mut edited, PacketKind::Data);
        pitaya_core::wire::message::response_head(&mut edited, received.id, received.error);
        edited.extend_from_slice(body.as_bytes());
        packet::seal(&mut edited, at).expect("it fits");
        *bytes = edited;
    };
    let note = exchange.note.splitn(4, ' ').nth(3).unwrap_or(&exchange.note);
    match note {
        // There is nobody to push to: the session is here.
        "data from the back" => edit(&mut answers[0].outcome, "pushed", "front"),
        // Go makes a float of it.
        "read at the front" | "read at the back" => {
            edit(&mut answers[0].outcome, "9007199254740992", "9007199254740993");
        }
        // Whose panic it was is for the log.
        "panic at the front" | "panic at the back" => {
            edit(&mut answers[0].outcome, r#""PIT-000","msg":"on purpose""#, r#""PIT-500","msg":"internal error""#);
        }
        // The pushes were sent first.
        "request 12 room.room.pushme" => answers.rotate_left(1),
        _ => {}
    }
}

#[test]
fn data_binds_pushes_and_panics() {
    let server = Conformance::start(&["-type", "connector"], &[]);
    let mut replay = Replay::new(&server, Codec::Json, false);
    let mut replayed = 0;
    for mut exchange in exchanges(|case| case == "session").into_iter().map(own) {
        // The time-out is that of an RPC.
        if exchange.note.contains("room.room.sleep") {
            continue;
        }
        as_ours(&mut exchange);
        replay.run(&exchange);
        replayed += 1;
    }
    assert_eq!(replayed, 2 + 12 + 1, "handshake and acknowledgement, 12 requests, one notify");
}

#[test]
fn a_kick_comes_with_its_reason_and_ends_the_connection() {
    let server = Conformance::start(&["-type", "room"], &[]);
    let sent: Vec<_> = exchanges(|case| case == "session-kick");
    let mut client = Client::tcp(server.address());
    client.open();
    let request = sent.last().expect("the request");
    assert_eq!(request.route(), Some("room.room.kickme"));
    client.send(&request.sent);
    // Go refuses an unbound session at a backend; at the own server there is nothing to refuse.
    let kick = client.packet();
    assert_eq!(kick[0], PacketKind::Kick as u8);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&kick[packet::HEADER..]).unwrap(),
        json!({ "code": "KICK-1", "message": "kickme" })
    );
    assert_eq!(client.packet_or_end(), None, "a kick is the last thing a client gets");
}

#[test]
fn a_handler_that_waits_answers_when_it_is_done() {
    let server = Conformance::start(&["-type", "room"], &[]);
    let mut client = Client::tcp(server.address());
    client.open();
    client.send_request(1, "room.room.sleep", b"50ms");
    // Behind it in the same session, so behind it in time.
    client.send_request(2, "room.room.join", b"next");
    let (first, second) = (client.message(), client.message());
    assert_eq!((first.kind, first.id, first.text()), (MessageKind::Response, 1, "slept"));
    assert_eq!((second.id, second.text()), (2, "next"));
}
