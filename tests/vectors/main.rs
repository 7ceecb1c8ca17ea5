//! Traffic recorded from real servers of Go's Pitaya (`tests/vectors`): read with our decoders, written with our
//! encoders, and judged by our state machine.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pitaya_core::{
    session::state::{Event, Machine},
    wire::{
        Dictionary, HandshakeData, HandshakeLimits, HandshakeReply, HandshakeResponse, Message, MessageKind, Packet,
        PacketKind, RouteRef, compress_tail, inflate, packet,
    },
};
use serde::Deserialize;

const LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
struct Line {
    case: String,
    dir: String,
    hex: String,
    note: String,
}

impl Line {
    fn bytes(&self) -> Vec<u8> {
        hex(&self.hex)
    }

    fn by_client(&self) -> bool {
        self.dir == "c>s"
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The recorded lines by case, each case in the order it ran.
fn cases(malformed: bool) -> BTreeMap<String, Vec<Line>> {
    let mut cases = BTreeMap::<_, Vec<_>>::new();
    for line in include_str!("client.jsonl").lines() {
        let line: Line = serde_json::from_str(line).expect("a line is one JSON object");
        match line.case.strip_prefix("malformed/").map(str::to_owned) {
            Some(name) if malformed => cases.entry(name).or_default().push(line),
            None if !malformed => cases.entry(line.case.clone()).or_default().push(line),
            _ => {}
        }
    }
    cases
}

fn packets(mut bytes: &[u8]) -> Vec<Packet<'_>> {
    let mut packets = Vec::new();
    while let Some((packet, used)) = Packet::decode(bytes, LIMIT).expect("a packet") {
        packets.push(packet);
        bytes = &bytes[used..];
    }
    assert!(bytes.is_empty(), "recorded packets are whole");
    packets
}

/// A refusal without its `message`, which Go does not have.
fn without_message(packet: &[u8]) -> Vec<u8> {
    let body = std::str::from_utf8(&packet[packet::HEADER..]).unwrap();
    let body = body.replace(r#","message":""}"#, "}");
    let mut out = Vec::new();
    packet::encode(PacketKind::Handshake, body.as_bytes(), &mut out).unwrap();
    out
}

/// What we would write for a packet that we have read and understood.
fn rewritten(packet: Packet<'_>, from_client: bool) -> Vec<u8> {
    let mut out = Vec::new();
    match packet.kind {
        PacketKind::Handshake if from_client => {
            let data = HandshakeData::parse(packet.body, &HandshakeLimits::default()).unwrap();
            packet::encode(PacketKind::Handshake, &serde_json::to_vec(&data).unwrap(), &mut out).unwrap();
        }
        PacketKind::Handshake => {
            let read = HandshakeResponse::parse(packet.body).unwrap();
            let (serializer, dictionary) = (read.serializer.as_str(), &read.dictionary);
            let reply = HandshakeReply { heartbeat: read.heartbeat, serializer, dictionary };
            out = if read.is_ok() { reply.ok() } else { without_message(&reply.refused(None, "")) };
        }
        PacketKind::HandshakeAck => out.extend(packet::ACK),
        PacketKind::Heartbeat => out.extend(packet::HEARTBEAT),
        PacketKind::Kick => out.extend(packet::KICK),
        PacketKind::Data => {
            let message = Message::decode(packet.body).unwrap();
            assert_eq!(message.kind.is_from_client(), from_client);
            let at = packet::open(&mut out, PacketKind::Data);
            message.encode(&mut out).unwrap();
            packet::seal(&mut out, at).unwrap();
        }
    }
    out
}

#[test]
fn every_packet_is_read_and_written_alike() {
    let mut seen = BTreeMap::new();
    let lines = cases(false).into_values().flatten();
    let answers = cases(true).into_values().flatten().filter(|line| line.dir == "s>c");
    for line in lines.chain(answers) {
        let bytes = line.bytes();
        for packet in packets(&bytes) {
            let mut wanted = Vec::new();
            packet::encode(packet.kind, packet.body, &mut wanted).unwrap();
            assert_eq!(rewritten(packet, line.by_client()), wanted, "{}: {}", line.case, line.note);
            *seen.entry(packet.kind as u8).or_insert(0) += 1;
        }
    }
    assert!(seen.len() == 5 && seen[&4] > 180, "all kinds and many messages: {seen:?}");
}

/// Deflate's bytes differ from one implementation to the next: here the bodies are compared.
#[test]
fn compressed_bodies_survive_a_round_trip() {
    let mut seen = 0;
    for line in cases(false).into_values().flatten() {
        let bytes = line.bytes();
        for message in packets(&bytes).iter().filter(|packet| packet.kind == PacketKind::Data) {
            let message = Message::decode(message.body).unwrap();
            if !message.compressed {
                continue;
            }
            let mut body = Vec::new();
            inflate(message.body, LIMIT, &mut body).unwrap();
            assert!(body.len() > message.body.len(), "Go compresses only what becomes smaller");
            let mut ours = body.clone();
            if compress_tail(&mut ours, 0) {
                let mut back = Vec::new();
                inflate(&ours, body.len(), &mut back).unwrap();
                assert_eq!(back, body);
            }
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn well_behaved_clients_break_no_rule() {
    for (case, lines) in cases(false) {
        let mut server = Server::new();
        for line in lines.iter().filter(|line| line.by_client()) {
            let outcome = server.read(&line.bytes());
            assert!(!matches!(outcome, Outcome::Closed(_) | Outcome::Refused), "{case}, {}: {outcome:?}", line.note);
        }
        assert!(server.machine.working(), "{case}");
    }
}

/// What a server does with a client's bytes, as far as the wire and the state decide it.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It reads on and says nothing.
    Silent,
    /// It answers: with code 200 to a handshake, or to a request.
    Answered,
    /// It answers the handshake with code 400, then closes.
    Refused,
    /// It closes, for a reason.
    Closed(String),
}

struct Server {
    machine: Machine,
    dictionary: Dictionary,
}

impl Server {
    fn new() -> Self {
        let machine = Machine::new(Instant::now(), Duration::from_secs(30), Duration::from_secs(10));
        Self { machine, dictionary: Dictionary::default() }
    }

    /// The outcome of the last packet, or of the one that ended the connection.
    fn read(&mut self, mut bytes: &[u8]) -> Outcome {
        let mut outcome = Outcome::Silent;
        while !bytes.is_empty() {
            outcome = match Packet::decode(bytes, LIMIT) {
                Ok(None) => return outcome,
                Err(error) => Outcome::Closed(error.to_string()),
                Ok(Some((packet, used))) => {
                    bytes = &bytes[used..];
                    self.packet(packet).unwrap_or_else(Outcome::Closed)
                }
            };
            if matches!(outcome, Outcome::Closed(_) | Outcome::Refused) {
                return outcome;
            }
        }
        outcome
    }

    fn packet(&mut self, packet: Packet<'_>) -> Result<Outcome, String> {
        match self.machine.packet(packet.kind).map_err(|violation| violation.to_string())? {
            Event::Ready | Event::Ignored => Ok(Outcome::Silent),
            Event::Message => self.message(packet.body),
            Event::Handshake => match HandshakeData::parse(packet.body, &HandshakeLimits::default()) {
                Ok(_) => {
                    self.machine.accepted();
                    Ok(Outcome::Answered)
                }
                Err(_) => {
                    self.machine.refused();
                    Ok(Outcome::Refused)
                }
            },
        }
    }

    fn message(&self, body: &[u8]) -> Result<Outcome, String> {
        let message = Message::decode(body).map_err(|error| error.to_string())?;
        if !message.kind.is_from_client() {
            return Err(format!("a {:?} from a client", message.kind));
        }
        if let Some(RouteRef::Code(code)) = message.route {
            self.dictionary.route(code).ok_or("unknown route code")?;
        }
        if message.compressed {
            inflate(message.body, LIMIT, &mut Vec::new()).map_err(|error| error.to_string())?;
        }
        let answer = message.kind == MessageKind::Request && message.id != 0;
        Ok(if answer { Outcome::Answered } else { Outcome::Silent })
    }
}

/// What Go did, as the last lines of a case tell it; `None` when its process died.
fn recorded(lines: &[Line]) -> Option<Outcome> {
    let answer = lines.iter().rfind(|line| line.dir == "s>c").expect("every case has an answer");
    let died = lines.iter().any(|line| line.dir == "note" && line.note.contains("DIED"));
    let bytes = answer.bytes();
    let packet = packets(&bytes).first().copied();
    match packet {
        _ if died => None,
        Some(Packet { kind: PacketKind::Handshake, body }) if !HandshakeResponse::parse(body).unwrap().is_ok() => {
            Some(Outcome::Refused)
        }
        Some(_) => Some(Outcome::Answered),
        None if answer.note.contains("nothing within") => Some(Outcome::Silent),
        None => Some(Outcome::Closed(String::new())),
    }
}

#[test]
fn malformed_cases_end_as_wanted() {
    use Outcome::*;
    let closed = |reason: &str| Closed(reason.to_owned());
    let no_packet = |kind: &str| {
        Closed(format!(
            "{kind} is no packet kind (1 to 5): does the client speak TLS, HTTP or WebSocket to a plain TCP port?"
        ))
    };
    let wanted = BTreeMap::from([
        ("a push from the client", closed("a Push from a client")),
        ("a response from the client", closed("a Response from a client")),
        ("ack before handshake", closed("an acknowledgement before the handshake was accepted")),
        ("bad zlib", closed("the body is flagged as compressed but is no valid zlib stream")),
        ("data after client kick", Answered),
        ("data before ack", closed("data before the handshake was acknowledged")),
        ("data before handshake", closed("data before the handshake was accepted")),
        ("empty message", closed("a message of 0 bytes is too short, 2 are the least")),
        ("error flag on a request", Answered),
        ("handshake array", Refused),
        ("handshake empty", Refused),
        ("handshake empty object", Answered),
        ("handshake extra keys", Answered),
        ("handshake not json", Refused),
        ("handshake null", Answered),
        ("handshake sys number", Refused),
        ("heartbeat before handshake", Silent),
        ("http", no_packet("0x47")),
        ("kick from the client", Silent),
        ("no route length", closed("the message ends before the length of its route")),
        ("notify empty route", Silent),
        ("one byte message", closed("a message of 1 bytes is too short, 2 are the least")),
        ("request empty route", Answered),
        ("request id 0", Silent),
        ("route longer than message", closed("the route should have 32 bytes, but only 3 are left")),
        ("second handshake", closed("a handshake after the session was acknowledged")),
        ("tls hello", no_packet("0x16")),
        ("two bytes of zero", closed("the message ends before the length of its route")),
        ("type 0", no_packet("0x00")),
        ("type 4", closed("4 is no message kind (0 request, 1 notify, 2 response, 3 push)")),
        ("type 6", no_packet("0x06")),
        ("unknown code", closed("unknown route code")),
        ("unused bits", Answered),
        ("varint of 11 bytes", closed("the id of the message cannot be read: the number has more than 64 bits")),
        ("varint without end", closed("the id of the message cannot be read: the number is cut off after 4 bytes")),
    ]);
    // Where Go's way is a defect: everywhere else both end alike.
    let on_purpose = [
        "a push from the client",
        "a response from the client",
        "ack before handshake",
        "no route length",
        "second handshake",
        "two bytes of zero",
        "varint of 11 bytes",
    ];

    let cases = cases(true);
    assert_eq!(cases.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (case, lines) in &cases {
        let sent: Vec<u8> = lines.iter().filter(|line| line.by_client()).flat_map(Line::bytes).collect();
        let ours = Server::new().read(&sent);
        assert_eq!(ours, wanted[case.as_str()], "{case}");

        let alike = recorded(lines).is_some_and(|go| std::mem::discriminant(&go) == std::mem::discriminant(&ours));
        assert_eq!(alike, !on_purpose.contains(&case.as_str()), "{case}: Go did {:?}", recorded(lines));
    }
}

/// The worked packets of a handshake, plain and compressed by Go.
#[test]
fn worked_handshakes() {
    let plain = hex(
        "010000417b22636f6465223a3230302c22737973223a7b2264696374223a7b7d2c22686561727462656174223a33302c2273657269616c697a6572223a226a736f6e227d7d",
    );
    assert_eq!(rewritten(packets(&plain)[0], false), plain);

    let squeezed = hex(
        "01000065789c5ccc310a02311085e1bbbc3ac8ba76739b317968443230338d2eb9bba493adfee283ff40b546c8be6d05f109c881d66bae561b8335cd2f0f6630a2db689a0ab9963f8c13eeb3e049f5bc5313725b637ad777ffd22178850dccf90b0000ffff18102aa3",
    );
    let response = HandshakeResponse::parse(packets(&squeezed)[0].body).unwrap();
    let routes: Vec<_> = response.dictionary.iter().map(|(route, _)| route).collect();
    assert_eq!((response.code, response.heartbeat, response.serializer.as_str()), (200, 30, "json"));
    assert!(
        routes.len() == 2 && routes[0].ends_with("getsessiondata") && routes[1].ends_with("setsessiondata"),
        "{routes:?}"
    );

    let js = br#"{"sys":{"type":"js-websocket","version":"0.0.1","rsa":{}}}"#;
    assert!(HandshakeData::parse(js, &HandshakeLimits::default()).unwrap().needs_escapes());
}
