//! What clients of others write and read: JSON that Go takes, bodies that not all of them can inflate, characters on which
//! Pomelo's clients break.

use pitaya_core::wire::PacketKind;
use pitaya_core::wire::packet::{ACK, HEADER};
use pitaya_tests::client::{Client, HANDSHAKE};
use pitaya_tests::process::Conformance;
use serde_json::json;

const MOVE: &str = "connector.room.move";

/// A client that introduced itself like this and was let in.
fn open_as(server: &Conformance, handshake: &[u8]) -> Client {
    let mut client = Client::tcp(server.address());
    client.send_packet(PacketKind::Handshake, handshake);
    let terms = client.packet();
    assert!(terms[HEADER..].starts_with(br#"{"code":200"#), "{}", terms.escape_ascii());
    client.send(&ACK);
    client
}

fn step(uid: &[u8]) -> Vec<u8> {
    [&b"{\"uid\":\""[..], uid, b"\",\"seq\":1,\"pos\":[1,2],\"act\":\"x\"}"].concat()
}

#[test]
fn json_that_go_takes_is_taken() {
    let server = Conformance::start(&[], &[]);
    let cases = [
        // U+1F602 as Pomelo's browser client writes it: each surrogate in three bytes.
        (&b"\xed\xa0\xbd\xed\xb8\x82"[..], "\u{1f602}"),
        (br"\ud83d", "\u{fffd}"),
        (br"\ude02", "\u{fffd}"),
        (b"caf\xe9", "caf\u{fffd}"),
        (br#"a","uid":"b"#, "b"),
    ];
    for (text, uid) in cases {
        let mut client = open_as(&server, HANDSHAKE);
        let answer = client.request(1, MOVE, &step(text));
        assert_eq!(answer.json(), json!({ "uid": uid, "seq": 1, "pos": [1, 2], "act": "x" }));
        let user = [&b"{\"sys\":{\"type\":\"js-websocket\"},\"user\":{\"uid\":\""[..], text, b"\"}}"].concat();
        assert!(!open_as(&server, &user).request(1, MOVE, &step(b"a")).error);
    }
}

#[test]
fn characters_beyond_the_basic_plane_are_escapes_for_pomelos_clients() {
    let server = Conformance::start(&[], &[]);
    let of_type = |name: &str| format!(r#"{{"sys":{{"type":"{name}","version":"0.0.1"}},"user":{{}}}}"#);
    let answer = |name: &str, route: &str| {
        open_as(&server, of_type(name).as_bytes()).request(1, route, &step("😂".as_bytes())).text().to_owned()
    };
    for name in ["js-websocket", "js-socket", "pomelo-node-tcp-client"] {
        assert_eq!(answer(name, MOVE), r#"{"uid":"\ud83d\ude02","seq":1,"pos":[1,2],"act":"x"}"#);
    }
    assert_eq!(answer("unity-socket", MOVE), r#"{"uid":"😂","seq":1,"pos":[1,2],"act":"x"}"#);
    let raw = r#"{"uid":"😂","seq":1,"pos":[1,2],"act":"x"}"#;
    assert_eq!(answer("js-websocket", "connector.room.join"), raw, "raw bytes are not touched");
}

#[test]
fn bodies_are_compressed_for_clients_that_inflate() {
    let server = Conformance::start(&["-compress=true"], &[]);
    let always = [("PITAYA_HANDLER_MESSAGES_COMPRESSIONCLIENTS", "always")];
    let always = Conformance::start(&["-compress=true"], &always);
    let body = json!({ "x": "a".repeat(300) }).to_string();
    let compressed = |server: &Conformance, handshake: &str| {
        open_as(server, handshake.as_bytes()).request(1, "connector.room.join", body.as_bytes()).compressed
    };
    let types = [
        "js-websocket",
        "js-ws",
        "js-socket",
        "unity-socket",
        "godot-websocket",
        "pitaya_cocos",
        "pomelo-node-tcp-client",
        "socket",
    ];
    for name in types {
        let handshake = format!(r#"{{"sys":{{"type":"{name}","version":"0.0.1"}},"user":{{}}}}"#);
        assert!(!compressed(&server, &handshake) && compressed(&always, &handshake), "{name}");
    }
    assert!(!compressed(&server, r#"{"sys":{},"user":{}}"#));
    assert!(compressed(&server, std::str::from_utf8(HANDSHAKE).expect("JSON")), "Go's client and libpitaya");
    assert!(compressed(&server, r#"{"sys":{"type":"ours","inflate":true}}"#));
}
