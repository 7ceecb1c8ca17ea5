//! Ours is the backend: what Go's frontends asked Go's backend is asked again, and the frontends are played.

use crate::bus::Bus;
use crate::request::{Sender, assert_follows, assert_same};
use crate::script::{Is, Scene, exact, is, scenes};
use crate::world::{Server, World};
use pitaya_core::cluster::envelope::{ErrorBody, KickMsg, Request, Response};
use pitaya_tests::compare::{Codec, GO_DECODERS};
use pitaya_tests::vectors::{Frame, servers};
use prost::Message;
use serde_json::Value;

/// Plays a family, and tells how many requests were answered.
fn play(family: &str, kind: &str, codec: Codec) -> usize {
    let mut world = World::start();
    for (key, value) in servers(family).iter().filter(|(key, _)| key.starts_with("servers/connector/")) {
        world.register(key, value);
    }
    let mut server = world.backend(kind, codec);
    let scenes = scenes(family, kind).into_iter().filter(|scene| is(&scene[0], kind) == Is::ToBack);
    let played = scenes.map(|scene| run(&mut world.bus, &server, kind, &scene)).count();
    assert_eq!(world.bus.within(std::time::Duration::ZERO), None, "everything it said was recorded");
    assert!(server.process.is_alive());
    played
}

/// Asks, plays what the frontend did meanwhile, and holds every message of ours against the recorded one, in order.
fn run(bus: &mut Bus, server: &Server, kind: &str, scene: &Scene) {
    let (question, rest) = scene.split_first().expect("a scene has a frame");
    let note = &*question.case;
    let inbox = bus.ask(&server.subject, &question.payload);
    let (mut answer, mut nested, mut pushes) = (None, None, Vec::new());
    for frame in rest {
        match is(frame, kind) {
            Is::ToFront => nested = Some(to_front(bus, server, kind, question, frame)),
            // The frontend's part.
            Is::Bound => bus.publish(&frame.subject, &frame.payload),
            Is::Answer if frame.subject == question.reply => answer = Some(frame),
            Is::Answer => {
                let reply = nested.take().expect("an answer to a request");
                if let Some(reply) = reply {
                    bus.publish(&reply, &frame.payload);
                }
            }
            Is::Push => pushes.push(frame),
            Is::ToBack => panic!("{note}: a scene has one request"),
        }
    }
    // Ours sends what was pushed before the answer, whatever the order was in which Go's tasks came to it.
    for push in pushes {
        assert_eq!(bus.hear(&push.subject, note).payload, push.payload, "{note}");
    }
    let ours = bus.hear(&inbox, note).payload;
    same_answer(note, &ours, &answer.expect("Go answers everything").payload);
}

/// Ours calls the frontend; where the answer is awaited, if it is.
fn to_front(bus: &Bus, server: &Server, kind: &str, question: &Frame, recorded: &Frame) -> Option<String> {
    let wanted = Request::decode(&recorded.payload[..]).expect("a request").msg.expect("with a message");
    if wanted.route == "sys.kick" {
        // Go's backend calls the frontend it knows; ours tells whatever frontend holds the user, and does not wait.
        let user = KickMsg::decode(&wanted.data[..]).expect("a kick").user_id;
        let kick = bus.hear(&format!("pitaya/connector/user/{user}/kick"), &recorded.case);
        assert_eq!((kick.payload, kick.reply), (wanted.data.to_vec(), String::new()));
        return None;
    }
    let heard = bus.next();
    // What is asked of the session's frontend goes there; any other call to one of its type, by chance.
    let there = heard.subject == recorded.subject;
    assert!(there || !wanted.route.starts_with("sys.") && is_frontend(&heard.subject), "{}: {heard:?}", recorded.case);
    let request = assert_same(&heard, recorded, &Sender { id: &server.id, kind });
    assert_follows(&request, question, &recorded.case);
    Some(heard.reply)
}

/// Asserts that an answer is the recorded one: the same bytes, but for what `vectors/README.md` names.
fn same_answer(note: &str, ours: &[u8], recorded: &[u8]) {
    let said = Response::decode(ours).expect("an answer");
    let mut wanted = Response::decode(recorded).expect("an answer");
    match (note, &mut wanted.error) {
        // What panicked is for the log.
        ("panic at the back", Some(error)) => *error = error_body("PIT-500", "internal error"),
        // Go's backend answers when its own clock says that nobody waits; the handler goes on. Ours answers what the
        // handler said. The client has had PIT-408 in both cases.
        ("time-out of a forwarded request", error) => {
            (wanted.data, *error) = (b"slept"[..].into(), None);
        }
        // A decoder of another language says it in other words.
        (_, Some(error)) if GO_DECODERS.contains(&&*error.msg) => {
            let text = said.error.as_ref().map(|error| error.msg.clone()).unwrap_or_default();
            assert!(!text.is_empty(), "{note}: {said:?}");
            error.msg = text;
        }
        // Data that the client sent with a number which Go makes a float of.
        ("read at the back", None) => {
            let read = |json: &[u8]| serde_json::from_slice::<Value>(json).expect("JSON");
            assert!(
                read(&said.data) == read(&wanted.data) || read(&said.data) == read(&exact(&wanted.data)),
                "{said:?}"
            );
            wanted.data = said.data.clone();
        }
        _ => {}
    }
    assert_eq!(said, wanted, "{note}");
    assert_eq!(ours, wanted.encode_to_vec(), "{note}: the same bytes");
}

fn is_frontend(subject: &str) -> bool {
    let keys = servers("conformance-json").into_iter().map(|(key, _)| format!("pitaya/{key}"));
    keys.filter(|key| key.starts_with("pitaya/servers/connector/")).any(|key| key == subject)
}

fn error_body(code: &str, msg: &str) -> ErrorBody {
    ErrorBody { code: code.to_owned(), msg: msg.to_owned(), ..ErrorBody::default() }
}

#[test]
fn json() {
    assert_eq!(play("conformance-json", "game", Codec::Json), 25);
}

#[test]
fn protobuf() {
    assert_eq!(play("conformance-protobuf", "game", Codec::Protobuf), 14);
}

/// Takes as long as the handler that sleeps.
#[test]
fn sessions() {
    assert_eq!(play("session", "room", Codec::Json), 12);
}
