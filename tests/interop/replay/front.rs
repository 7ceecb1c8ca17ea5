//! Ours is the frontend: clients say what they said to Go's, and the backend and the other frontend are played.

use crate::request::{Sender, assert_same};
use crate::script::{Is, Scene, is, scenes};
use crate::world::{Server, World};
use pitaya_core::cluster::envelope::{BindMsg, Request, Session};
use pitaya_core::wire::{Message as Wire, MessageKind, PacketKind, packet};
use pitaya_tests::client::{Client, Received};
use pitaya_tests::compare::{self, Codec};
use pitaya_tests::vectors::{Answer, Exchange, Frame, Outcome, exchanges, servers};
use prost::Message;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Which clients were at which of the two recorded frontends. `-b` and `-e` were at the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

fn side_of(client: &str) -> Side {
    if client.ends_with("-b") || client.ends_with("-e") { Side::Second } else { Side::First }
}

struct Stage {
    world: World,
    server: Server,
    back: &'static str,
    codec: Codec,
    compress: bool,
    /// Which of the recorded frontends is ours.
    side: Side,
    clients: BTreeMap<String, Client>,
}

/// What the bus was asked, and what is owed to whom.
#[derive(Default)]
struct Replies {
    /// By the recorded reply subject: the real one.
    subjects: HashMap<String, String>,
    /// The session whose message the backend handles: its number at ours.
    session: i64,
}

/// Plays a family with ours in the place of one frontend, and tells how many exchanges of clients of ours were played, and
/// how many scenes on the bus.
fn play(family: &'static str, back: &'static str, codec: Codec, side: Side) -> (usize, usize) {
    let world = World::start();
    for (key, value) in servers(family).iter().filter(|(key, _)| key.starts_with(&format!("servers/{back}/"))) {
        world.register(key, value);
    }
    // As recorded.
    let (compress, heartbeat) = if family == "session" { (false, "30s") } else { (true, "3s") };
    // The other frontend, where there was one: each told of one of the first two bindings.
    if family != "session" {
        let scenes = scenes(family, back);
        let told = scenes.iter().filter(|scene| is(&scene[0], back) == Is::Bound).take(2);
        let ids: Vec<_> = told.map(|scene| BindMsg::decode(&scene[0].payload[..]).expect("a binding").fid).collect();
        let other = if side == Side::First { &ids[1] } else { &ids[0] };
        let records = servers(family);
        let (key, value) = records.iter().find(|(key, _)| key.ends_with(&**other)).expect("its record");
        world.register(key, value);
    }
    let server = world.frontend(codec, compress, &[("PITAYA_HEARTBEAT_INTERVAL", heartbeat)]);
    let mut stage = Stage { world, server, back, codec, compress, side, clients: BTreeMap::new() };
    let mut scenes = scenes(family, back).into_iter();
    let (mut played, mut on_bus) = (0, 0);
    for exchange in exchanges(|client| client.starts_with(family) && !client.ends_with("-heartbeat")) {
        let scene = if stage.reaches_bus(&exchange) { scenes.next().expect("it was on the bus") } else { Scene::new() };
        on_bus += usize::from(!scene.is_empty());
        played += usize::from(side_of(&exchange.client) == stage.side);
        stage.exchange(&exchange, &scene);
    }
    assert_eq!(scenes.next(), None, "all that was on the bus was played");
    assert_eq!(stage.world.bus.within(Duration::ZERO), None, "everything it said was recorded");
    (played, on_bus)
}

impl Stage {
    /// Whether the servers spoke with each other because of what this client said.
    fn reaches_bus(&self, exchange: &Exchange) -> bool {
        let Some(route) = exchange.route() else { return false };
        let refused = || {
            matches!(&exchange.answers[0].outcome, Outcome::Packet(packet)
                if packet[0] == PacketKind::Data as u8 && Received::from_packet(packet).error)
        };
        match route.split('.').collect::<Vec<_>>()[..] {
            [kind, ..] if kind == self.back => true,
            [_, _, "testbindid"] => !refused(),
            [_, _, "testsendtousers"] => true,
            [_, _, "testsendrpc" | "testsendrpcnoargs"] => {
                let called = format!("\"{}.", self.back);
                exchange.sent.windows(called.len()).any(|part| part == called.as_bytes())
            }
            _ => false,
        }
    }

    fn exchange(&mut self, exchange: &Exchange, scene: &Scene) {
        let note = format!("{}: {}", exchange.client, exchange.note);
        if side_of(&exchange.client) == self.side {
            self.client(&exchange.client).send(&exchange.sent);
            let late = self.ours(exchange, scene);
            self.hear(exchange, &note);
            if let Some((subject, payload)) = late {
                self.world.bus.publish(&subject, &payload);
            }
        } else {
            self.theirs(scene);
            self.hear(exchange, &note);
        }
    }

    /// A client of ours spoke: holds what ours publishes against what Go's frontend published, and plays the backend.
    /// What the backend said when nobody waited any more is for later.
    fn ours(&mut self, exchange: &Exchange, scene: &Scene) -> Option<(String, Vec<u8>)> {
        let bus = &mut self.world.bus;
        let mut replies = Replies::default();
        let by_back = scene.first().is_some_and(|frame| is(frame, self.back) == Is::ToBack);
        for frame in told_first(scene, self.back) {
            let note = &*frame.case;
            match is(frame, self.back) {
                Is::ToBack => {
                    let heard = bus.hear(&frame.subject, note);
                    let sender = Sender { id: &self.server.id, kind: "connector" };
                    let request = assert_same(&heard, frame, &sender);
                    replies.session = request.session.map_or(0, |session| session.id);
                    replies.subjects.insert(frame.reply.clone(), heard.reply);
                }
                Is::ToFront => {
                    let inbox = bus.ask(&self.server.subject, &replies.readdressed(&frame.payload));
                    replies.subjects.insert(frame.reply.clone(), inbox);
                }
                Is::Answer => {
                    let real = replies.subjects.remove(&frame.subject).expect("an answer to a request");
                    if !real.starts_with("_INBOX.replay.") {
                        if exchange.note.ends_with("room.room.sleep") {
                            return Some((real, frame.payload.clone()));
                        }
                        bus.publish(&real, &frame.payload);
                    } else {
                        assert_eq!(bus.hear(&real, note).payload, frame.payload, "{note}");
                    }
                }
                Is::Bound => {
                    let told = BindMsg::decode(&bus.hear(&frame.subject, note).payload[..]).expect("a binding");
                    let recorded = BindMsg::decode(&frame.payload[..]).expect("a binding");
                    let stamp = told.stamp.filter(|stamp| stamp.time > 0);
                    assert!(stamp.is_some(), "the order of logins, which Go passes over: {note}");
                    assert_eq!(told, BindMsg { fid: self.server.id.clone(), stamp, ..recorded }, "{note}");
                }
                Is::Push if by_back => bus.publish(&frame.subject, &frame.payload),
                Is::Push => assert_eq!(bus.hear(&frame.subject, note).payload, frame.payload, "{note}"),
            }
        }
        None
    }

    /// A client of the other frontend spoke: plays whatever ours hears of it.
    fn theirs(&self, scene: &Scene) {
        for frame in scene {
            match is(frame, self.back) {
                Is::Bound | Is::Push => self.world.bus.publish(&frame.subject, &frame.payload),
                Is::ToBack | Is::ToFront | Is::Answer => {}
            }
        }
    }

    /// Holds what clients of ours get against what they got.
    fn hear(&mut self, exchange: &Exchange, note: &str) {
        let (codec, compress) = (self.codec, self.compress);
        let mut answers: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for Answer { client, outcome } in &exchange.answers {
            if side_of(client) == self.side {
                answers.entry(client).or_default().push(outcome);
            }
        }
        for (name, outcomes) in answers {
            let client = self.client(name);
            let packets = outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Packet(packet) => Some(as_ours(packet, exchange)),
                Outcome::Closed | Outcome::Silence => None,
            });
            let mut packets: Vec<_> = packets.collect();
            let mut came: Vec<_> = packets.iter().map(|_| client.packet()).collect();
            // Answers and pushes of a Go backend come by two ways: there is no order between them.
            packets.sort_by_key(|packet| is_push(packet));
            came.sort_by_key(|packet| is_push(packet));
            for (ours, recorded) in came.iter().zip(&packets) {
                compare::assert_same(ours, recorded, codec, compress, note);
            }
            if outcomes.contains(&&Outcome::Closed) {
                assert_eq!(client.packet_or_end(), None, "{note}");
            }
        }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        let address = self.server.process.address();
        self.clients.entry(name.to_owned()).or_insert_with(|| Client::tcp(address))
    }
}

impl Replies {
    /// A request of the backend about the session whose message it handles, with that session's number at ours.
    fn readdressed(&self, payload: &[u8]) -> Vec<u8> {
        let mut request = Request::decode(payload).expect("a request");
        let msg = request.msg.as_mut().expect("with a message");
        if matches!(&*msg.route, "sys.bindsession" | "sys.pushsession") {
            let named = Session::decode(&msg.data[..]).expect("a session");
            msg.data = Session { id: self.session, ..named }.encode_to_vec().into();
        }
        request.encode_to_vec()
    }
}

/// Go tells of a binding over one connection and answers over the other, so that the recorder heard either first. Ours
/// tells first.
fn told_first<'a>(scene: &'a Scene, back: &str) -> Vec<&'a Frame> {
    let mut frames: Vec<_> = scene.iter().collect();
    let at = |frames: &[&Frame], what| frames.iter().position(|frame| is(frame, back) == what);
    if let (Some(answer), Some(bound)) = (at(&frames, Is::Answer), at(&frames, Is::Bound))
        && answer < bound
    {
        frames[answer..=bound].rotate_right(1);
    }
    frames
}

fn is_push(packet: &[u8]) -> bool {
    packet[0] == PacketKind::Data as u8 && Received::from_packet(packet).kind == MessageKind::Push
}

/// The recorded packet, with ours where ours is meant to differ.
fn as_ours(recorded: &[u8], exchange: &Exchange) -> Vec<u8> {
    let edit = |change: &dyn Fn(&mut Value)| {
        let received = Received::from_packet(recorded);
        let mut body = received.json();
        change(&mut body);
        let body = body.to_string();
        let mut bytes = Vec::new();
        let at = packet::open(&mut bytes, PacketKind::Data);
        let message = Wire {
            kind: received.kind,
            id: received.id,
            route: None,
            compressed: false,
            error: received.error,
            body: body.as_bytes(),
        };
        message.encode(&mut bytes).expect("it can be said");
        packet::seal(&mut bytes, at).expect("it fits");
        bytes
    };
    if exchange.note.ends_with("panic at the front") {
        // Whose panic it was is for the log.
        return edit(&|error| (error["code"], error["msg"]) = ("PIT-500".into(), "internal error".into()));
    }
    if exchange.note.ends_with("room.room.sleep") {
        // Which servers there are is nothing for a client.
        return edit(&|error| {
            let metadata = error["metadata"].as_object_mut().expect("an object");
            metadata.retain(|key, _| !matches!(&**key, "server" | "peer.id"));
        });
    }
    recorded.to_vec()
}

#[test]
fn json_at_the_first() {
    assert_eq!(play("conformance-json", "game", Codec::Json, Side::First), (47, 29));
}

#[test]
fn json_at_the_second() {
    assert_eq!(play("conformance-json", "game", Codec::Json, Side::Second), (8, 29));
}

#[test]
fn protobuf_at_the_first() {
    assert_eq!(play("conformance-protobuf", "game", Codec::Protobuf, Side::First), (33, 17));
}

#[test]
fn protobuf_at_the_second() {
    assert_eq!(play("conformance-protobuf", "game", Codec::Protobuf, Side::Second), (8, 17));
}

/// Takes as long as a request may.
#[test]
fn sessions() {
    assert_eq!(play("session", "room", Codec::Json, Side::First), (19, 12));
}
