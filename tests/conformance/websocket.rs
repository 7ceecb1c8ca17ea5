//! The same over WebSockets, and what a WebSocket alone can get wrong.

use pitaya_core::wire::PacketKind;
use pitaya_core::wire::packet::{self, ACK, HEARTBEAT};
use pitaya_tests::PATIENCE;
use pitaya_tests::client::{Client, HANDSHAKE, Received};
use pitaya_tests::process::Conformance;
use pitaya_tests::websocket::{BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, TEXT, WebSocket, request};
use serde_json::json;
use std::time::Duration;

const JOIN: &str = "connector.room.join";

fn server() -> Conformance {
    Conformance::start(&["-ws"], &[])
}

fn packet_of(kind: PacketKind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet::encode(kind, body, &mut bytes).expect("it fits");
    bytes
}

fn request_of(id: u8, body: &[u8]) -> Vec<u8> {
    packet_of(PacketKind::Data, &[&[0, id, JOIN.len() as u8], JOIN.as_bytes(), body].concat())
}

/// The payload of the next frame that is no heartbeat: a whole binary message with exactly one packet.
fn payload(socket: &mut WebSocket) -> Vec<u8> {
    loop {
        let frame = socket.next_frame(PATIENCE).expect("a frame").expect("not the end");
        assert_eq!(frame.first, FIN | BINARY, "{frame:x?}");
        let length = u32::from_be_bytes([0, frame.payload[1], frame.payload[2], frame.payload[3]]);
        assert_eq!(frame.payload.len(), packet::HEADER + length as usize, "one whole packet");
        if frame.payload != HEARTBEAT {
            return frame.payload;
        }
    }
}

fn answer(socket: &mut WebSocket) -> (u64, Vec<u8>) {
    let received = Received::from_packet(&payload(socket));
    (received.id, received.body)
}

fn open(server: &Conformance) -> WebSocket {
    let mut socket = WebSocket::connect(server.address(), "/", "");
    socket.frame(FIN | BINARY, &packet_of(PacketKind::Handshake, HANDSHAKE));
    assert_eq!(payload(&mut socket)[0], PacketKind::Handshake as u8);
    socket.frame(FIN | BINARY, &ACK);
    socket
}

/// Asserts that the server says goodbye and closes.
#[track_caller]
fn assert_refused(socket: &mut WebSocket, why: &str) {
    let second = Duration::from_secs(1);
    let goodbye = socket.next_frame(second).expect("something within a second").expect("a close frame");
    assert_eq!(goodbye.first, FIN | CLOSE, "{why}: {goodbye:x?}");
    assert_eq!(socket.next_frame(second).expect("closed within a second"), None, "{why}");
}

#[test]
fn a_client_is_served_as_over_tcp() {
    let server = server();
    let mut client = Client::over(WebSocket::connect(server.address(), "/", ""));
    assert_eq!(client.open()["sys"], json!({ "dict": {}, "heartbeat": 30, "serializer": "json" }));
    assert_eq!(client.request(1, JOIN, b"echo").text(), "echo");
    assert_eq!(client.request(2, "connector.testsvc.nonexistent", b"").json()["code"], "PIT-404");
    client.send_request(3, "connector.room.pushme", b"hello");
    let all: Vec<_> = (0..3).map(|_| client.message()).collect();
    assert_eq!((&*all[0].route, &*all[1].route, all[2].text()), ("onPush", "onMove", "after two pushes"));
    let long = vec![b'x'; 60_000];
    assert!(client.request(4, JOIN, &long).body == long);
}

#[test]
fn text_and_binary_are_both_bytes() {
    let server = server();
    let mut socket = WebSocket::connect(server.address(), "/", "");
    socket.frame(FIN | TEXT, &packet_of(PacketKind::Handshake, HANDSHAKE));
    assert_eq!(payload(&mut socket)[0], PacketKind::Handshake as u8);
    socket.frame(FIN | TEXT, &ACK);
    socket.frame(FIN | TEXT, &request_of(1, b"text"));
    assert_eq!(answer(&mut socket), (1, b"text".to_vec()));
    socket.frame(FIN | BINARY, &request_of(2, &[0xff, 0xfe]));
    assert_eq!(answer(&mut socket), (2, vec![0xff, 0xfe]));
    // Text that is none: payloads are bytes whatever the frame is called.
    socket.frame(FIN | TEXT, &request_of(3, &[0xff, 0xfe]));
    assert_eq!(answer(&mut socket), (3, vec![0xff, 0xfe]));
}

#[test]
fn a_message_may_hold_several_packets() {
    let server = server();
    let mut socket = WebSocket::connect(server.address(), "/", "");
    socket.frame(FIN | BINARY, &packet_of(PacketKind::Handshake, HANDSHAKE));
    assert_eq!(payload(&mut socket)[0], PacketKind::Handshake as u8);
    socket.frame(FIN | BINARY, &[&ACK[..], &request_of(1, b"a"), &HEARTBEAT, &request_of(2, b"b")].concat());
    assert_eq!(answer(&mut socket), (1, b"a".to_vec()), "each answer in a message of its own");
    assert_eq!(answer(&mut socket), (2, b"b".to_vec()));
}

#[test]
fn a_packet_is_not_split_over_messages() {
    let server = server();
    let whole = request_of(1, b"whole");
    for cut in [1, 3, 4, whole.len() - 1] {
        let mut socket = open(&server);
        socket.frame(FIN | BINARY, &whole[..cut]);
        assert_refused(&mut socket, "less than a packet");
    }
    for (bytes, why) in [(&b""[..], "nothing"), (&[&HEARTBEAT[..], &[3]].concat(), "more than a packet")] {
        let mut socket = open(&server);
        socket.frame(FIN | BINARY, bytes);
        assert_refused(&mut socket, why);
    }
}

#[test]
fn a_fragmented_message_is_put_together() {
    let server = server();
    let mut socket = open(&server);
    let whole = request_of(1, b"fragments");
    socket.frame(BINARY, &whole[..2]);
    socket.frame(CONTINUATION, &whole[2..9]);
    // A control frame may come between.
    socket.frame(FIN | PING, b"between");
    socket.frame(CONTINUATION, b"");
    socket.frame(FIN | CONTINUATION, &whole[9..]);
    let pong = socket.next_frame(PATIENCE).unwrap();
    assert_eq!(pong, Some(Frame { first: FIN | PONG, payload: b"between".to_vec() }));
    assert_eq!(answer(&mut socket), (1, b"fragments".to_vec()));
}

#[test]
fn a_ping_is_answered_before_and_after_the_handshake() {
    let server = server();
    for mut socket in [WebSocket::connect(server.address(), "/", ""), open(&server)] {
        for text in [&b""[..], b"are you there?", &[7; 125]] {
            socket.frame(FIN | PING, text);
            let pong = socket.next_frame(PATIENCE).unwrap();
            assert_eq!(pong, Some(Frame { first: FIN | PONG, payload: text.to_vec() }));
        }
    }
}

#[test]
fn a_close_is_answered() {
    let server = server();
    let mut socket = open(&server);
    socket.frame(FIN | CLOSE, &1000u16.to_be_bytes());
    let frame = socket.next_frame(PATIENCE).unwrap().expect("a close frame");
    assert_eq!((frame.first, &frame.payload[..2]), (FIN | CLOSE, &1000u16.to_be_bytes()[..]));
    assert_eq!(socket.next_frame(PATIENCE).unwrap(), None);
}

#[test]
fn any_path_and_any_origin() {
    let server = server();
    for (path, headers) in [
        ("/", "Origin: https://game.example\r\n"),
        ("/ws?room=1", ""),
        ("/a/b/c", "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n"),
    ] {
        let mut client = Client::over(WebSocket::connect(server.address(), path, headers));
        client.open();
        assert_eq!(client.request(1, JOIN, path.as_bytes()).text(), path);
    }
}

#[test]
fn what_is_malformed_closes_only_that_session() {
    let server = server();
    let mut honest = open(&server);
    for (bytes, why) in [
        (vec![0, 0, 0, 0], "no packet kind"),
        (packet_of(PacketKind::Data, &[0]), "a message of one byte"),
        (packet_of(PacketKind::Data, &[0; 2]), "two bytes of zero"),
        (packet_of(PacketKind::Data, &[0, 0xff, 0xff, 0xff, 0xff]), "a varint without end"),
        (vec![4, 0xff, 0xff, 0xff], "16 MiB"),
        (packet_of(PacketKind::Handshake, b"{}"), "a second handshake"),
    ] {
        let mut socket = open(&server);
        socket.frame(FIN | BINARY, &bytes);
        assert_refused(&mut socket, why);
        honest.frame(FIN | BINARY, &request_of(1, b"x"));
        assert_eq!(answer(&mut honest), (1, b"x".to_vec()));
    }
}

#[test]
fn a_refused_handshake_is_answered_first() {
    let server = server();
    let mut socket = WebSocket::connect(server.address(), "/", "");
    socket.frame(FIN | BINARY, &packet_of(PacketKind::Handshake, b"{"));
    let refusal = payload(&mut socket);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&refusal[4..]).unwrap()["code"], 400);
    assert_refused(&mut socket, "a refused handshake");
}

/// Command line clients try wss, ws, tls and tcp in turn on one port.
#[test]
fn who_speaks_something_else_learns_it_at_once() {
    let server = server();
    let tls_hello = [0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3];
    let handshake = packet_of(PacketKind::Handshake, HANDSHAKE);
    for bytes in [&handshake[..], &tls_hello, &[0xff]] {
        let mut client = Client::tcp(server.address());
        client.send(bytes);
        client.assert_closed();
    }
    let tcp = Conformance::start(&[], &[]);
    let mut client = Client::tcp(tcp.address());
    client.send(request("/", "").as_bytes());
    client.assert_closed();
}
