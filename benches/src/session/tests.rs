use super::*;
use crate::bare::{Bare, Mode};
use crate::body::BODY;

fn working(body: Body, web_socket: bool) -> (Session, Tally) {
    let mut session = Session::new(7, "room.room.join", body, web_socket).expect("a short route");
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    session.start(&mut out);
    let mut server = Bare::new(if web_socket { Mode::WebSocket } else { Mode::Echo });
    for _ in 0..2 {
        let mut back = Vec::new();
        server.answer(&mut out, &mut back).expect("well-formed");
        out.clear();
        session.receive(&back, 0, &mut out, &mut tally).expect("accepted");
    }
    assert!(session.is_working());
    (session, tally)
}

fn answer(id: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let message = [&[flags, (id & 0x7f) as u8 | 0x80, (id >> 7) as u8], body].concat();
    wire::put_packet(&mut packet, wire::DATA, &message);
    packet
}

fn body_of(request: &[u8]) -> Vec<u8> {
    request[request.len() - BODY..].to_vec()
}

#[test]
fn bodies_have_64_bytes_and_json_is_json() {
    for body in [Body::Raw, Body::Json] {
        assert_eq!(body.first(123_456).len(), BODY);
        assert_ne!(body.first(1), body.first(2));
    }
    assert_eq!(Body::LongJson.first(1).len(), LONG_BODY);
    for body in [Body::Json, Body::LongJson] {
        let json: serde_json::Value = serde_json::from_slice(&body.first(3)).expect("JSON");
        assert_eq!(json["seq"], 10_000);
    }
    assert!(serde_json::from_slice::<serde_json::Value>(&Body::Raw.first(3)).is_err());
}

#[test]
fn the_number_in_the_body_follows_the_id_through_a_whole_cycle() {
    let mut series = Series::new(0, b"\x01a", &Body::Json.first(0));
    for turn in 0..=u32::from(LAST_ID - FIRST_ID) {
        let id = u32::from(FIRST_ID) + turn;
        let (on_wire, at) = wire::request(&series.bytes[wire::HEADER..]).expect("a request");
        assert_eq!(u32::from(on_wire[0] & 0x7f) | u32::from(on_wire[1]) << 7, id);
        let json: serde_json::Value = serde_json::from_slice(&series.bytes[wire::HEADER + at..]).expect("JSON");
        assert_eq!(json["seq"], id);
        series.advance();
    }
    assert_eq!(series.id, FIRST_ID);
}

#[test]
fn every_bare_server_answers_what_the_client_checks() {
    for (mode, body) in [(Mode::Echo, Body::Raw), (Mode::Json, Body::Json), (Mode::WebSocket, Body::Raw)] {
        let web_socket = mode == Mode::WebSocket;
        let (mut session, mut tally) = working(body, web_socket);
        let mut server = Bare::new(mode);
        if web_socket {
            server.answer(&mut websocket::upgrade_request(), &mut Vec::new()).expect("upgraded");
        }
        let (mut out, mut back) = (Vec::new(), Vec::new());
        (0..40).for_each(|due| session.request(due, &mut out));
        assert_eq!(server.answer(&mut out, &mut back), Ok(out.len()));
        // Cut at every place: what is split arrives whole.
        for chunk in back.chunks(17) {
            session.receive(chunk, 100, &mut Vec::new(), &mut tally).expect("fine");
        }
        assert_eq!((tally.answers, tally.failures, session.in_flight()), (40, 0, 0), "{mode:?}: {tally:?}");
    }
}

#[test]
fn an_answer_to_another_request_is_a_failure() {
    let (mut session, mut tally) = working(Body::Raw, false);
    let mut out = Vec::new();
    session.request(0, &mut out);
    let body = body_of(&out);
    session.receive(&answer(FIRST_ID + 1, 4, &body), 1, &mut Vec::new(), &mut tally).expect("goes on");
    assert_eq!((tally.answers, tally.failures), (0, 1));
    assert!(tally.first_failure.expect("kept").starts_with("an answer with the id of another request"));
}

#[test]
fn a_changed_byte_an_error_and_a_stray_answer_are_failures() {
    let (mut session, mut tally) = working(Body::Raw, false);
    let mut out = Vec::new();
    session.request(0, &mut out);
    let mut body = body_of(&out);
    body[40] ^= 1;
    session.receive(&answer(FIRST_ID, 4, &body), 1, &mut Vec::new(), &mut tally).expect("goes on");
    session.request(0, &mut out);
    session.receive(&answer(FIRST_ID + 1, 0x24, b"{}"), 1, &mut Vec::new(), &mut tally).expect("goes on");
    session.receive(&answer(FIRST_ID + 2, 4, b"x"), 1, &mut Vec::new(), &mut tally).expect("goes on");
    assert_eq!((tally.answers, tally.failures), (0, 3));
    // ... and the next right answer is right again.
    out.clear();
    session.request(0, &mut out);
    session.receive(&answer(FIRST_ID + 2, 4, &body_of(&out)), 1, &mut Vec::new(), &mut tally).expect("goes on");
    assert_eq!((tally.answers, tally.failures), (1, 3));
}

#[test]
fn json_may_come_back_in_another_order() {
    let (mut session, mut tally) = working(Body::Json, false);
    let mut out = Vec::new();
    session.request(0, &mut out);
    let value: serde_json::Value = serde_json::from_slice(&body_of(&out)).expect("JSON");
    let sorted = serde_json::to_vec(&value).expect("JSON");
    assert_ne!(sorted, body_of(&out));
    session.receive(&answer(FIRST_ID, 4, &sorted), 1, &mut Vec::new(), &mut tally).expect("goes on");
    assert_eq!((tally.answers, tally.failures), (1, 0));
}

#[test]
fn a_server_without_order_may_answer_in_any_but_each_request_once() {
    let (session, mut tally) = working(Body::Raw, false);
    let mut session = session.unordered();
    let requests: Vec<_> = (0..3)
        .map(|due| {
            let mut out = Vec::new();
            session.request(due, &mut out);
            body_of(&out)
        })
        .collect();
    for at in [2, 0, 1, 1] {
        let answer = answer(FIRST_ID + at, 4, &requests[usize::from(at)]);
        session.receive(&answer, 10, &mut Vec::new(), &mut tally).expect("goes on");
    }
    assert_eq!((tally.answers, tally.failures, session.in_flight()), (3, 1, 0));
    assert!(tally.first_failure.expect("kept").starts_with("an answer nobody asked for"));
}

#[test]
fn in_any_order_another_requests_body_is_a_failure_still() {
    let (session, mut tally) = working(Body::Raw, false);
    let mut session = session.unordered();
    let mut out = Vec::new();
    (0..2).for_each(|due| session.request(due, &mut out));
    let second = body_of(&out);
    session.receive(&answer(FIRST_ID, 4, &second), 10, &mut Vec::new(), &mut tally).expect("goes on");
    assert_eq!((tally.answers, tally.failures, session.in_flight()), (0, 1, 1));
}

#[test]
fn a_compressed_answer_is_read_and_checked() {
    let (mut session, mut tally) = working(Body::LongJson, false);
    let deflated = |body: &[u8]| {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut zlib, body).expect("in memory");
        zlib.finish().expect("in memory")
    };
    for (id, changed) in [(FIRST_ID, false), (FIRST_ID + 1, true)] {
        let mut out = Vec::new();
        session.request(0, &mut out);
        let mut body = out[out.len() - LONG_BODY..].to_vec();
        body[LONG_BODY - 3] ^= u8::from(changed);
        let packed = deflated(&body);
        assert!(packed.len() < LONG_BODY * 2 / 3, "{}", packed.len());
        let answer = answer(id, 4 | wire::COMPRESSED, &packed);
        session.receive(&answer, 10, &mut Vec::new(), &mut tally).expect("goes on");
    }
    assert_eq!((tally.answers, tally.failures), (1, 1), "{tally:?}");
}

#[test]
fn several_packets_in_one_websocket_message_are_all_seen() {
    let (mut session, mut tally) = working(Body::Raw, true);
    let bodies: Vec<_> = (0..3)
        .map(|_| {
            let mut out = Vec::new();
            session.request(0, &mut out);
            let frame = websocket::frame(&out).expect("whole");
            websocket::apply_mask(&mut out[frame.start..], frame.mask.expect("masked"));
            body_of(&out)
        })
        .collect();
    let packets: Vec<u8> = bodies.iter().zip(FIRST_ID..).flat_map(|(body, id)| answer(id, 4, body)).collect();
    let mut message = Vec::new();
    websocket::put_header(&mut message, packets.len());
    message.extend_from_slice(&packets);
    session.receive(&message, 1, &mut Vec::new(), &mut tally).expect("goes on");
    assert_eq!((tally.answers, tally.failures), (3, 0));
}

#[test]
fn a_heartbeat_is_returned_and_a_kick_ends_it() {
    let (mut session, mut tally) = working(Body::Raw, false);
    let mut out = Vec::new();
    session.receive(&wire::HEARTBEAT_PACKET, 1, &mut out, &mut tally).expect("goes on");
    assert_eq!(out, wire::HEARTBEAT_PACKET);
    let kick = [wire::KICK, 0, 0, 2, b'{', b'}'];
    assert_eq!(session.receive(&kick, 1, &mut out, &mut tally).unwrap_err(), "kicked: {}");
}

#[test]
fn a_refused_handshake_says_why() {
    let mut session = Session::new(0, "a.b.c", Body::Raw, false).expect("a short route");
    let mut refusal = Vec::new();
    wire::put_packet(&mut refusal, wire::HANDSHAKE, br#"{"code":400}"#);
    let error = session.receive(&refusal, 0, &mut Vec::new(), &mut Tally::default()).unwrap_err();
    assert_eq!(error, r#"handshake refused: {"code":400}"#);
}

#[test]
fn masks_differ_from_frame_to_frame() {
    let (mut session, _) = working(Body::Raw, true);
    let mut masks = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let mut out = Vec::new();
        session.request(0, &mut out);
        masks.insert(websocket::frame(&out).expect("whole").mask.expect("masked"));
    }
    assert_eq!(masks.len(), 100);
}
