//! What every server of this wire must do, each with its own name.

use pitaya_core::wire::packet::{ACK, HEADER};
use pitaya_core::wire::{Message, MessageKind, PacketKind, RouteRef, compress_tail};
use pitaya_tests::client::{Client, HANDSHAKE};
use pitaya_tests::process::Conformance;
use serde_json::json;

const JOIN: &str = "connector.room.join";

fn open(server: &Conformance) -> Client {
    let mut client = Client::tcp(server.address());
    client.open();
    client
}

/// Go's client reads it into an `int`, for which `3.0` is an error.
#[test]
fn the_heartbeat_is_an_integer_in_the_handshake() {
    for (interval, text) in [("3s", r#""heartbeat":3,"#), ("30s", r#""heartbeat":30,"#), ("1m", r#""heartbeat":60,"#)] {
        let server = Conformance::start(&[], &[("PITAYA_HEARTBEAT_INTERVAL", interval)]);
        let mut client = Client::tcp(server.address());
        client.send_packet(PacketKind::Handshake, HANDSHAKE);
        let packet = client.packet();
        let document = std::str::from_utf8(&packet[HEADER..]).expect("JSON that is not compressed");
        assert!(document.contains(text), "{document}");
    }
}

/// Command line clients try one transport after the other and wait for each to be refused.
#[test]
fn an_invalid_first_byte_closes_at_once() {
    let server = Conformance::start(&[], &[]);
    for byte in [0x00, 0x06, 0x16, b'G', 0xff] {
        let mut fresh = Client::tcp(server.address());
        fresh.send(&[byte]);
        fresh.assert_closed();

        let mut greeted = Client::tcp(server.address());
        greeted.shake_hands();
        greeted.send(&[byte]);
        greeted.assert_closed();

        let mut working = open(&server);
        assert_eq!(working.request(1, JOIN, b"x").text(), "x");
        working.send(&[byte]);
        working.assert_closed();
    }
}

/// libpitaya compresses requests whatever the server does.
#[test]
fn a_compressed_request_is_accepted_whatever_the_setting() {
    for compress in [false, true] {
        let server = Conformance::start(&[&format!("-compress={compress}")], &[]);
        let mut client = open(&server);
        let plain = [b'b'; 500];
        let mut body = plain.to_vec();
        assert!(compress_tail(&mut body, 0));
        let mut message = Vec::new();
        let request = Message {
            kind: MessageKind::Request,
            id: 1,
            route: Some(RouteRef::from(JOIN)),
            compressed: true,
            error: false,
            body: &body,
        };
        request.encode(&mut message).expect("a message");
        client.send_packet(PacketKind::Data, &message);
        let answer = client.message();
        assert_eq!((answer.id, &answer.body[..]), (1, &plain[..]));
        assert_eq!(answer.compressed, compress, "the answer goes by the setting");
    }
}

#[test]
fn an_empty_route_is_answered_as_a_bad_request() {
    let server = Conformance::start(&[], &[]);
    let mut client = open(&server);
    let answer = client.request(5, "", b"x");
    assert!(answer.error);
    assert_eq!(answer.json(), json!({ "code": "PIT-400", "msg": "route field can not be empty" }));
    client.notify("", b"x");
    assert_eq!(client.request(6, JOIN, b"after").text(), "after", "and a notify with silence");
}

#[test]
fn an_unterminated_varint_closes_only_that_session() {
    let server = Conformance::start(&[], &[]);
    let mut honest = open(&server);
    for id in [&[0x80][..], &[0xff; 9], &[0xff; 10], &[0x80; 200]] {
        let mut client = open(&server);
        client.send_packet(PacketKind::Data, &[&[0], id].concat());
        client.assert_closed();
        assert_eq!(honest.request(1, JOIN, b"x").text(), "x");
    }
}

#[test]
fn a_length_of_16_mib_closes_only_that_session() {
    let server = Conformance::start(&[], &[]);
    let mut honest = open(&server);
    for kind in 1..=5 {
        let mut working = open(&server);
        working.send(&[kind, 0xff, 0xff, 0xff]);
        working.assert_closed();
        let mut fresh = Client::tcp(server.address());
        fresh.send(&[kind, 0xff, 0xff, 0xff]);
        fresh.assert_closed();
        assert_eq!(honest.request(1, JOIN, b"x").text(), "x");
    }
}

/// A megabyte and not a byte more, as the limit's default says.
#[test]
fn the_longest_packet_is_served_and_one_byte_more_closes() {
    const LIMIT: usize = 1 << 20;
    let server = Conformance::start(&[], &[]);
    let mut client = open(&server);
    // Flags, id, length and text of the route.
    let body = vec![7; LIMIT - 3 - JOIN.len()];
    assert!(client.request(1, JOIN, &body).body == body);
    client.send(&[&[PacketKind::Data as u8, 0x10, 0x00, 0x01][..], &body].concat());
    client.assert_closed();
}

#[test]
fn a_stream_may_come_byte_by_byte_or_all_at_once() {
    let server = Conformance::start(&[], &[]);
    let mut stream = Vec::new();
    let mut put = |kind, body: &[u8]| pitaya_core::wire::packet::encode(kind, body, &mut stream).expect("it fits");
    put(PacketKind::Handshake, HANDSHAKE);
    put(PacketKind::HandshakeAck, &[]);
    for id in 1..=50 {
        put(PacketKind::Data, &[&[0, id, JOIN.len() as u8], JOIN.as_bytes(), &[id]].concat());
    }
    let mut whole = Client::tcp(server.address());
    whole.send(&stream);
    let mut drops = Client::tcp(server.address());
    stream.iter().for_each(|byte| drops.send(&[*byte]));
    for mut client in [whole, drops] {
        assert_eq!(client.packet()[0], PacketKind::Handshake as u8);
        for id in 1..=50 {
            let answer = client.message();
            assert_eq!((answer.id, &answer.body[..]), (u64::from(id), &[id][..]), "in order");
        }
    }
}

/// The end of the stream in the middle of a packet is the end of that session.
#[test]
fn a_client_may_vanish_in_the_middle_of_a_packet() {
    let server = Conformance::start(&[], &[]);
    for cut in [&[4][..], &[4, 0, 0], &[4, 0, 0, 9, 0]] {
        let mut client = open(&server);
        client.send(cut);
        drop(client);
        assert_eq!(open(&server).request(1, JOIN, b"x").text(), "x");
    }
}

#[test]
fn data_waits_for_the_acknowledgement() {
    let server = Conformance::start(&[], &[]);
    let mut client = Client::tcp(server.address());
    client.shake_hands();
    client.send_request(1, JOIN, b"early");
    client.send(&ACK);
    client.assert_closed();
}
