//! What no server sends: everything with a reply subject is answered at once, and the next one is served.

use crate::script::{Is, is};
use crate::world::{Server, World};
use pitaya_core::cluster::envelope::{Msg, Request, Response, Session};
use pitaya_tests::compare::Codec;
use pitaya_tests::vectors::frames;
use prost::Message;
use std::time::{Duration, Instant};

/// How long a caller may wait for any answer.
const SOON: Duration = Duration::from_secs(1);

const METADATA: &[u8] = br#"{"peer.id":"f","peer.service":"connector","reqTimeout":"5s"}"#;

fn good() -> Request {
    let route = "game.testsvc.testrequestreceivereturnsraw".to_owned();
    Request {
        session: Some(Session { id: 1, uid: "u".to_owned(), data: b"{}"[..].into() }),
        msg: Some(Msg { id: 1, route, data: b"good"[..].into(), ..Msg::default() }),
        frontend_id: "f".to_owned(),
        metadata: METADATA.into(),
        ..Request::default()
    }
}

/// Asks ours, and reads the answer.
fn ask(world: &mut World, server: &mut Server, payload: &[u8]) -> Response {
    let inbox = world.bus.ask(&server.subject, payload);
    let answer = world.bus.answer_within(&inbox, SOON);
    let answer = answer.unwrap_or_else(|| panic!("no answer within {SOON:?}: {}", payload.escape_ascii()));
    Response::decode(&answer[..]).expect("an answer")
}

fn assert_serves(world: &mut World, server: &mut Server) {
    assert_eq!(ask(world, server, &good().encode_to_vec()), Response { data: b"good"[..].into(), error: None });
    assert!(server.process.is_alive());
}

#[test]
fn what_cannot_be_understood_is_answered_with_an_error() {
    let mut world = World::start();
    let mut server = world.backend("game", Codec::Json);
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = good();
        change(&mut request);
        request.encode_to_vec()
    };
    let metadata = |json: &'static [u8]| with(&|request| request.metadata = json.into());
    let route = |route: &str| with(&|request| request.msg.as_mut().expect("it has one").route = route.to_owned());
    // A string of three bytes in the place of another.
    let spoilt = |text: &str| {
        let mut bytes = good().encode_to_vec();
        let at = bytes.windows(text.len()).position(|part| part == text.as_bytes()).expect("it is in there");
        bytes[at] = 0xff;
        bytes
    };
    let bad = [
        ("nothing", Vec::new(), "PIT-400"),
        ("zeros", vec![0; 100], "PIT-400"),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "PIT-400"),
        ("a length beyond the end", vec![0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f], "PIT-400"),
        ("half of a request", good().encode_to_vec()[..40].to_vec(), "PIT-400"),
        ("no message", with(&|request| request.msg = None), "PIT-400"),
        ("an unknown type", with(&|request| request.r#type = 7), "PIT-400"),
        ("a negative type", with(&|request| request.r#type = -1), "PIT-400"),
        ("no metadata", metadata(b""), "PIT-500"),
        ("metadata null", metadata(b"null"), "PIT-500"),
        ("metadata an array", metadata(b"[]"), "PIT-500"),
        ("metadata a number", metadata(b"7"), "PIT-500"),
        ("metadata not JSON", metadata(b"{"), "PIT-500"),
        ("no time", metadata(br#"{"reqTimeout":"0s"}"#), "PIT-400"),
        (
            "session data no JSON",
            with(&|request| request.session.as_mut().expect("it has one").data = b"{"[..].into()),
            "PIT-500",
        ),
        (
            "session data an array",
            with(&|request| request.session.as_mut().expect("it has one").data = b"[]"[..].into()),
            "PIT-500",
        ),
        ("a route no UTF-8", spoilt("game.testsvc"), "PIT-400"),
        ("a uid no UTF-8", spoilt("u\x1a\x02{}"), "PIT-400"),
        ("a frontend no UTF-8", spoilt("f*"), "PIT-400"),
        ("no route", route(""), "PIT-400"),
        ("a route of one part", route("x"), "PIT-400"),
        ("a route of four parts", route("a.b.c.d"), "PIT-400"),
        ("a route to nowhere", route("game.x.y"), "PIT-404"),
        ("a remote to nowhere", with(&|request| request.r#type = 1), "PIT-404"),
    ];
    for (what, payload, code) in bad {
        let answer = ask(&mut world, &mut server, &payload);
        let error = answer.error.unwrap_or_else(|| panic!("{what}: {:?}", answer.data));
        assert_eq!(error.code, code, "{what}: {error:?}");
        assert!(!error.msg.is_empty(), "{what}");
        // And where nobody waits nothing is said.
        world.bus.publish(&server.subject, &payload);
        assert_serves(&mut world, &mut server);
    }
    // What kills Go's server, or is refused by it, and can be understood: ours waits as long as it would by itself.
    for time in ["7", "true", "null", "[]", r#""5""#, r#""-5s""#, r#""9999999h""#] {
        let request = with(&|request| request.metadata = format!(r#"{{"reqTimeout":{time}}}"#).into());
        assert_eq!(ask(&mut world, &mut server, &request).data, "good", "{time}");
    }
    // Broken characters and repeated keys are read as in Go.
    for json in [&b"{\"peer.id\":\"\xff\"}"[..], br#"{"peer.id":"\ud83d","peer.id":"f"}"#] {
        assert_eq!(ask(&mut world, &mut server, &metadata(json)).data, "good", "{}", json.escape_ascii());
        let data = with(&|request| request.session.as_mut().expect("it has one").data = json.into());
        assert_eq!(ask(&mut world, &mut server, &data).data, "good", "{}", json.escape_ascii());
    }
    // Without a session it is nobody's.
    assert_eq!(ask(&mut world, &mut server, &with(&|request| request.session = None)).data, "good");
}

/// Users' subjects, as a frontend hears them.
#[test]
fn what_cannot_be_understood_about_users_is_answered_or_dropped() {
    let mut world = World::start();
    let mut server = world.frontend(Codec::Json, false, &[("PITAYA_CLUSTER_RPC_SERVER_NATS_USERTOPICS", "always")]);
    let mut client = pitaya_tests::client::Client::tcp(server.process.address());
    client.open();
    assert_eq!(client.request(1, "connector.testsvc.testbindid", b"zoe").text(), "ack");
    for topic in ["user/zoe/push", "user/zoe/kick", "bindings"] {
        for payload in [&b"\xff"[..], &[0x0a, 0x05, b'x'], &[0x0a, 0x01, 0xff], b"garbage"] {
            let subject = format!("pitaya/connector/{topic}");
            world.bus.publish(&subject, payload);
            let inbox = world.bus.ask(&subject, payload);
            let answer = world.bus.answer_within(&inbox, SOON).unwrap_or_else(|| panic!("{topic}: no answer"));
            let error = Response::decode(&answer[..]).expect("an answer").error;
            assert_eq!(error.map(|error| error.code).as_deref(), Some("PIT-400"), "{topic} {payload:x?}");
        }
    }
    // Nothing of it has reached the client.
    assert_eq!(client.request(2, "connector.room.echo", b"still here").text(), "still here");
    assert!(server.process.is_alive());
}

/// A generator of its own, so that what fails fails again (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    /// The bytes with a few of them changed, gone, or there twice.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(self.below(256) as u8),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.below(256) as u8,
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, self.below(256) as u8),
                4 => bytes.truncate(at),
                _ => {
                    let part = bytes[at..(at + self.below(16)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        bytes
    }
}

#[test]
fn mutated_requests_are_answered() {
    let count = if std::env::var_os("TESTS_LONG").is_some() { 100_000 } else { 1_000 };
    let mut world = World::start();
    let mut server = world.backend("game", Codec::Json);
    let requests: Vec<_> =
        frames("conformance-json").into_iter().filter(|frame| is(frame, "game") == Is::ToBack).collect();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut slowest, mut errors) = (Duration::ZERO, 0);
    for _ in 0..count {
        let request = &requests[chance.below(requests.len())];
        let payload = chance.mutate(&request.payload);
        let asked = Instant::now();
        errors += usize::from(ask(&mut world, &mut server, &payload).error.is_some());
        slowest = slowest.max(asked.elapsed());
    }
    println!("{count} mutated requests: {errors} errors, the slowest answer after {slowest:?}");
    assert!(errors > count / 2 && errors < count, "most are bad, and some are not: {errors} of {count}");
    assert_serves(&mut world, &mut server);
}
