use super::*;
use crate::wire::{Packet, PacketKind, compress_tail, inflate, packet};

/// Bytes written in hex, blanks ignored.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|char| char.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn request<'a>(id: u64, route: RouteRef<'a>, body: &'a [u8]) -> Message<'a> {
    Message { kind: MessageKind::Request, id, route: Some(route), compressed: false, error: false, body }
}

fn notify<'a>(route: RouteRef<'a>, body: &'a [u8]) -> Message<'a> {
    Message { kind: MessageKind::Notify, ..request(0, route, body) }
}

fn response(id: u64, error: bool, body: &[u8]) -> Message<'_> {
    Message { kind: MessageKind::Response, id, route: None, compressed: false, error, body }
}

fn push<'a>(route: RouteRef<'a>, body: &'a [u8]) -> Message<'a> {
    Message { kind: MessageKind::Push, ..notify(route, body) }
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).unwrap();
    out
}

fn long_body() -> Vec<u8> {
    format!(r#"{{"msg":"{}"}}"#, "a".repeat(64)).into_bytes()
}

/// The worked examples of the protocol: message, and header of the packet around it.
#[test]
fn worked_examples() {
    let protobuf = hex("0a07 5049542d343034 1202 6e66 1a06 0a016b 120176");
    let squeezed = hex("789caa56ca2d4e57b2524aa41028d502020000ffffef471b42");
    let name = RouteRef::from;
    let table = [
        (request(1, name("room.join"), b"{}"), "00 01 09 726f6f6d2e6a6f696e 7b7d", "0400000e"),
        (notify(name("room.message"), br#"{"a":1}"#), "02 0c 726f6f6d2e6d657373616765 7b2261223a317d", "04000015"),
        (response(300, false, br#"{"code":200}"#), "04 ac02 7b22636f6465223a3230307d", "0400000f"),
        (
            response(2, true, br#"{"code":"PIT-404","msg":"nf"}"#),
            "24 02 7b22636f6465223a225049542d343034222c226d7367223a226e66227d",
            "0400001f",
        ),
        (response(2, true, &protobuf), "24 02 0a07 5049542d343034 1202 6e66 1a06 0a016b 120176", "04000017"),
        (push(name("onMessage"), br#"{"m":"hi"}"#), "06 09 6f6e4d657373616765 7b226d223a226869227d", "04000015"),
        (request(1, RouteRef::Code(1), b"{}"), "01 01 0001 7b7d", "04000006"),
        (push(RouteRef::Code(258), br#"{"m":"hi"}"#), "07 0102 7b226d223a226869227d", "0400000d"),
        (
            Message { compressed: true, ..response(3, false, &squeezed) },
            "14 03 789caa56ca2d4e57b2524aa41028d502020000ffffef471b42",
            "0400001b",
        ),
        (
            Message { compressed: true, ..push(RouteRef::Code(258), &squeezed) },
            "17 0102 789caa56ca2d4e57b2524aa41028d502020000ffffef471b42",
            "0400001c",
        ),
    ];
    for (message, wanted, header) in table {
        let bytes = hex(wanted);
        assert_eq!(encoded(&message), bytes, "{wanted}");
        assert_eq!(Message::decode(&bytes), Ok(message), "{wanted}");

        let mut out = Vec::new();
        packet::encode(PacketKind::Data, &bytes, &mut out).unwrap();
        assert_eq!(out, [hex(header), bytes.clone()].concat());
        let whole = Packet { kind: PacketKind::Data, body: &bytes };
        assert_eq!(Packet::decode(&out, packet::MAX_BODY), Ok(Some((whole, out.len()))));
        if message.compressed {
            let mut body = Vec::new();
            inflate(message.body, 74, &mut body).unwrap();
            assert_eq!(body, long_body());
        }
    }
}

/// The fixtures of Go's `pkg/conn/message/fixtures`.
#[test]
fn golden_fixtures() {
    let a = RouteRef::from("a");
    let code = RouteRef::Code(1);
    for (message, wanted) in [
        (request(0, a, b""), "00000161"),
        (request(0, code, b""), "01000001"),
        (notify(a, b""), "020161"),
        (notify(code, b""), "030001"),
        (push(a, b""), "060161"),
        (push(code, b""), "070001"),
        (response(0, false, b""), "0400"),
        (response(0, false, &[1]), "040001"),
        (response(129, false, b""), "048101"),
        (response(0, true, &[1]), "240001"),
    ] {
        assert_eq!(encoded(&message), hex(wanted));
        assert_eq!(Message::decode(&hex(wanted)), Ok(message));
    }
}

#[test]
fn heads_write_what_encode_writes() {
    for (id, error) in [(0, false), (300, true), (u64::MAX, false)] {
        let mut out = Vec::new();
        response_head(&mut out, id, error);
        out.extend_from_slice(b"body");
        assert_eq!(out, encoded(&response(id, error, b"body")));
    }
    for route in [RouteRef::from("onMessage"), RouteRef::from(""), RouteRef::Code(258)] {
        let mut out = Vec::new();
        push_head(&mut out, route).unwrap();
        out.extend_from_slice(b"body");
        assert_eq!(out, encoded(&push(route, b"body")));
    }
}

#[test]
fn a_body_is_compressed_behind_its_head() {
    let body = [long_body(), long_body()].concat();
    let mut out = Vec::new();
    response_head(&mut out, 3, false);
    let body_at = out.len();
    out.extend_from_slice(&body);
    assert!(compress_tail(&mut out, body_at));
    out[0] |= COMPRESSED;

    let message = Message::decode(&out).unwrap();
    assert_eq!((message.kind, message.id, message.compressed), (MessageKind::Response, 3, true));
    let mut back = Vec::new();
    inflate(message.body, body.len(), &mut back).unwrap();
    assert_eq!(back, body);
}

#[test]
fn each_malformed_message_has_its_error() {
    use MessageError::*;
    for (bytes, wanted) in [
        ("", TooShort { length: 0 }),
        ("00", TooShort { length: 1 }),
        ("0800", Kind(4)),
        ("0a00", Kind(5)),
        ("0c00", Kind(6)),
        ("0e00", Kind(7)),
        ("0080", Id(VarintError::Unterminated(1))),
        ("04ffffffff", Id(VarintError::Unterminated(4))),
        ("00ffffffffffffffffff02", Id(VarintError::TooLong)),
        ("00ffffffffffffffffffff01 0161", Id(VarintError::TooLong)),
        ("0000", RouteLengthMissing),
        ("0001", RouteLengthMissing),
        ("000120616263", RouteCut { announced: 32, left: 3 }),
        ("0201", RouteCut { announced: 1, left: 0 }),
        ("0100", CodeCut { left: 0 }),
        ("0300", CodeCut { left: 1 }),
    ] {
        assert_eq!(Message::decode(&hex(bytes)), Err(wanted), "{bytes}");
    }
}

#[test]
fn oddities_that_are_read() {
    // Unused bits, an error flag on a request, a response whose route bit is set, names that are no text.
    assert_eq!(Message::decode(&hex("c0 01 01 61")), Ok(request(1, RouteRef::from("a"), b"")));
    assert!(Message::decode(&hex("20 01 01 61")).unwrap().error);
    assert_eq!(Message::decode(&hex("05 01 61")), Ok(response(1, false, b"a")));
    assert_eq!(Message::decode(&hex("02 03 ff00 0a")), Ok(notify(RouteRef::Name(&[0xff, 0, 0x0a]), b"")));
    assert_eq!(Message::decode(&hex("02 00")), Ok(notify(RouteRef::from(""), b"")));
    // Whether a code is known is the dictionary's business.
    assert_eq!(Message::decode(&hex("03 0009")), Ok(notify(RouteRef::Code(9), b"")));
}

#[test]
fn what_cannot_be_said_is_refused_and_leaves_no_bytes() {
    let long = [b'r'; MAX_ROUTE + 1];
    let too_long = MessageError::RouteTooLong { length: 256 };
    let route = RouteRef::from("a");
    let mut out = vec![9];
    for (message, wanted) in [
        (request(1, RouteRef::Name(&long), b""), too_long),
        (Message { route: None, ..request(1, route, b"") }, MessageError::RouteMissing(MessageKind::Request)),
        (Message { route: None, ..push(route, b"") }, MessageError::RouteMissing(MessageKind::Push)),
        (Message { route: Some(route), ..response(1, false, b"") }, MessageError::RouteUnexpected),
        (Message { id: 1, ..notify(route, b"") }, MessageError::IdUnexpected(MessageKind::Notify)),
        (Message { id: 1, ..push(route, b"") }, MessageError::IdUnexpected(MessageKind::Push)),
    ] {
        assert_eq!(message.encode(&mut out), Err(wanted));
    }
    assert_eq!(push_head(&mut out, RouteRef::Name(&long)), Err(too_long));
    assert_eq!(out, [9]);

    let longest = push(RouteRef::Name(&long[1..]), b"x");
    assert_eq!(Message::decode(&encoded(&longest)), Ok(longest));
}

#[test]
fn who_may_send_what() {
    let from_client = [MessageKind::Request, MessageKind::Notify, MessageKind::Response, MessageKind::Push]
        .map(MessageKind::is_from_client);
    assert_eq!(from_client, [true, true, false, false]);
}
