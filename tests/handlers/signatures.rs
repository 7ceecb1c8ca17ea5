//! What a method may take and return, and what a client sees of it.

use crate::link::{Server, body, fault, tick};
use pitaya_runtime::pipeline::Pipeline;
use pitaya_runtime::prelude::*;
use pitaya_runtime::{State, codes};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct Sum {
    #[prost(uint32, tag = "1")]
    pub n: u32,
}

type Answered<T> = std::result::Result<T, std::num::ParseIntError>;

pub struct Grid {
    said: Arc<AtomicU64>,
}

/// Payload: none, typed or raw. Answer: nothing, a value or a result. With and without `async`.
#[handler]
impl Grid {
    pub fn none_nothing(&self) {
        self.said.fetch_add(1, Relaxed);
    }
    pub fn none_value(&self) -> Sum {
        Sum { n: 1 }
    }
    pub fn none_result(&self) -> Result<Sum> {
        Ok(Sum { n: 2 })
    }
    pub fn typed_nothing(&self, sum: Sum) {
        self.said.fetch_add(u64::from(sum.n), Relaxed);
    }
    pub fn typed_value(&self, sum: Sum) -> u32 {
        sum.n + 1
    }
    pub fn typed_result(&self, n: String) -> Answered<u32> {
        n.parse()
    }
    pub fn raw_nothing(&self, raw: Raw) {
        self.said.fetch_add(raw.0.len() as u64, Relaxed);
    }
    pub fn raw_value(&self, raw: Raw) -> Raw {
        raw
    }
    pub fn raw_result(&self, raw: Raw) -> Result<Raw> {
        Ok(raw)
    }
    pub async fn later_none_nothing(&self) {
        tick().await;
        self.none_nothing();
    }
    pub async fn later_none_value(&self) -> Sum {
        tick().await;
        self.none_value()
    }
    pub async fn later_none_result(&self) -> Result<Sum> {
        tick().await;
        self.none_result()
    }
    pub async fn later_typed_nothing(&self, sum: Sum) {
        tick().await;
        self.typed_nothing(sum);
    }
    pub async fn later_typed_value(&self, sum: Sum) -> u32 {
        tick().await;
        self.typed_value(sum)
    }
    pub async fn later_typed_result(&self, n: String) -> Answered<u32> {
        tick().await;
        self.typed_result(n)
    }
    pub async fn later_raw_nothing(&self, raw: Raw) {
        tick().await;
        self.raw_nothing(raw);
    }
    pub async fn later_raw_value(&self, raw: Raw) -> Raw {
        tick().await;
        raw
    }
    pub async fn later_raw_result(&self, raw: Raw) -> Result<Raw> {
        tick().await;
        Ok(raw)
    }
}

#[test]
fn every_payload_and_every_answer() {
    let said = Arc::new(AtomicU64::new(0));
    let server = Server::of("json", Grid { said: said.clone() });
    for (prefix, polls) in [("", 0), ("later_", 2)] {
        for (route, sent, answer, added) in [
            ("none_nothing", "", "", 1),
            ("none_value", "", r#"{"n":1}"#, 0),
            ("none_result", "ignored", r#"{"n":2}"#, 0),
            ("typed_nothing", r#"{"n":5}"#, "", 5),
            ("typed_value", r#"{"n":5}"#, "6", 0),
            ("typed_result", r#""7""#, "7", 0),
            ("raw_nothing", "{not json", "", 9),
            ("raw_value", "{not json", "{not json", 0),
            ("raw_result", "", "", 0),
        ] {
            let before = said.load(Relaxed);
            let route = format!("grid.{prefix}{route}");
            assert_eq!(server.polled(&route, sent.as_bytes()), (body(answer), polls), "{route}");
            assert_eq!(said.load(Relaxed) - before, added, "{route}");
        }
        // A body that is no payload never reaches the method, and no future is made for it.
        let route = format!("grid.{prefix}typed_value");
        let (seen, polls) = server.polled(&route, b"{");
        assert_eq!(seen, fault(codes::BAD_REQUEST, "EOF while parsing an object at line 1 column 1"));
        assert_eq!(polls, 0);
        assert_eq!(
            server.call(&format!("grid.{prefix}typed_result"), r#""x""#),
            fault(codes::UNKNOWN, "invalid digit found in string")
        );
    }
}

pub struct World {
    seed: i64,
}

impl FromContext for World {
    fn from_context(cx: &Context) -> Result<&Self> {
        cx.state()
    }
}

pub trait Clock: Send + Sync {
    fn now(&self) -> i64;
}

impl Clock for World {
    fn now(&self) -> i64 {
        self.seed + 1
    }
}

impl FromContext for dyn Clock {
    fn from_context(cx: &Context) -> Result<&Self> {
        Ok(cx.state::<World>()?)
    }
}

/// Left by a pipeline step.
#[derive(Clone)]
pub struct Rank(i64);

impl FromContext for Rank {
    fn from_context(cx: &Context) -> Result<&Self> {
        cx.get().ok_or_else(|| Error::new("APP-1", "no rank"))
    }
}

pub struct Borrower;

#[handler]
impl Borrower {
    pub fn first(&self, session: &Session, n: i64) -> i64 {
        session.id() + n
    }
    pub fn last(&self, n: i64, session: &Session) -> i64 {
        session.id() + n
    }
    pub async fn around(&self, world: &World, n: i64, cx: &Context, session: &Session) -> i64 {
        tick().await;
        world.seed + n + cx.session().id() + session.id()
    }
    pub async fn twice(&self, a: &Session, b: &Session) -> bool {
        tick().await;
        a.id() == b.id()
    }
    pub async fn object(&self, clock: &dyn Clock) -> i64 {
        tick().await;
        clock.now()
    }
    pub fn object_in_parentheses(&self, clock: &(dyn Clock + 'static)) -> i64 {
        clock.now()
    }
    pub async fn lifetimes<'a>(self: &Arc<Self>, clock: &'a dyn Clock, world: &'a World) -> i64 {
        let me = self.clone();
        tick().await;
        clock.now() + world.seed + Arc::strong_count(&me).min(1) as i64
    }
    pub fn left_by_a_step(&self, rank: &Rank) -> i64 {
        rank.0
    }
}

#[test]
fn borrowed_arguments_come_from_the_framework_in_any_order() {
    let server = Server::with(State::default().with(World { seed: 40 }), Pipeline::default()).and("json", Borrower);
    for (route, sent, answer) in [
        ("first", "7", "10"),
        ("last", "7", "10"),
        ("around", "7", "53"),
        ("twice", "", "true"),
        ("object", "", "41"),
        ("object_in_parentheses", "", "41"),
        ("lifetimes", "", "82"),
    ] {
        assert_eq!(server.call(&format!("borrower.{route}"), sent), body(answer), "{route}");
    }
    assert_eq!(server.call("borrower.left_by_a_step", ""), fault("APP-1", "no rank"));
    let nothing = Server::of("json", Borrower);
    for route in ["object", "around"] {
        let seen = format!("{:?}", nothing.call(&format!("borrower.{route}"), "7"));
        assert!(seen.contains("PIT-500") && seen.contains("World"), "{seen}");
    }
}

#[test]
fn a_step_sees_the_payload_and_leaves_something_to_borrow() {
    let mut pipeline = Pipeline::default();
    pipeline.push_before(|cx: &mut Context, payload: &mut (dyn Any + Send)| -> Result<()> {
        cx.insert(Rank(9));
        match payload.downcast_mut::<i64>() {
            Some(13) => Err(Error::new("APP-2", "thirteen")),
            Some(n) => {
                *n *= 2;
                Ok(())
            }
            None => {
                assert!(payload.is::<()>(), "a route without a payload shows nothing");
                Ok(())
            }
        }
    });
    let server = Server::with(State::default().with(World { seed: 40 }), pipeline).and("json", Borrower);
    assert_eq!(server.call("borrower.left_by_a_step", ""), body("9"));
    for (route, doubled) in [("first", "17"), ("around", "60")] {
        let route = format!("borrower.{route}");
        assert_eq!(server.call(&route, "7"), body(doubled));
        assert_eq!(server.polled(&route, b"13"), (fault("APP-2", "thirteen"), 0), "the method is not called");
    }
}

#[derive(Debug)]
pub struct RoomFull;

impl From<RoomFull> for Error {
    fn from(_: RoomFull) -> Self {
        Self::new("ROOM-1", "the room is full").with("seats", "4")
    }
}

type Seats<T> = std::result::Result<T, RoomFull>;
type Nothing = ();

pub struct Answers;

/// Both serializers: what is null in one is nothing in the other.
#[handler(codec(Json, Protobuf))]
impl Answers {
    pub fn own_error(&self) -> Seats<()> {
        Err(RoomFull)
    }
    pub async fn own_code(&self) -> Result<Sum> {
        tick().await;
        Err(Error::new("APP-7", "seven"))
    }
    pub fn any_error(&self) -> std::result::Result<Sum, PoisonError<()>> {
        Err(PoisonError::new(()))
    }
    pub fn fine(&self) -> Seats<()> {
        Ok(())
    }
    pub async fn fine_later(&self) -> Result<()> {
        tick().await;
        Ok(())
    }
    pub fn alias_of_nothing(&self) -> Nothing {}
    pub fn alias_of_a_result(&self, sum: Sum) -> Seats<Sum> {
        Ok(sum)
    }
}

#[test]
fn errors_keep_their_code_or_get_the_one_of_go() {
    let server = Server::of("json", Answers);
    for (route, code, text) in [
        ("own_error", "ROOM-1", "the room is full"),
        ("own_code", "APP-7", "seven"),
        ("any_error", "PIT-000", "poisoned lock: another task failed inside"),
    ] {
        assert_eq!(server.call(&format!("answers.{route}"), ""), fault(code, text));
    }
}

#[test]
fn nothing_is_an_empty_object_in_json_and_no_bytes_in_protobuf() {
    for (codec, unit) in [("json", "{}"), ("protobuf", "")] {
        let server = Server::of(codec, Answers);
        // An alias of `()` is a request: the macro cannot see through it, and a type decides.
        for route in ["fine", "fine_later", "alias_of_nothing"] {
            assert_eq!(server.call(&format!("answers.{route}"), ""), body(unit), "{codec} {route}");
        }
    }
    assert_eq!(Server::of("json", Answers).call("answers.alias_of_a_result", r#"{"n":5}"#), body(r#"{"n":5}"#));
    assert_eq!(Server::of("protobuf", Answers).call("answers.alias_of_a_result", "\u{8}\u{5}"), body("\u{8}\u{5}"));
    let seen = Server::of("protobuf", Answers).call("answers.alias_of_a_result", "\u{8}");
    assert!(format!("{seen:?}").contains(codes::BAD_REQUEST), "{seen:?}");
}

pub struct Maybe;

#[handler]
impl Maybe {
    pub fn plain(&self, n: Option<u32>) -> Option<u32> {
        n
    }
    pub async fn in_a_result(&self, n: Option<u32>) -> Result<Option<u32>> {
        tick().await;
        Ok(n)
    }
    /// A `Result` that is a value itself.
    pub fn result_in_a_result(&self) -> Result<std::result::Result<u32, String>> {
        Ok(Err("a value".to_owned()))
    }
    pub fn forever(&self) -> &'static str {
        "static"
    }
    pub fn tuple(&self, (a, b): (u8, String)) -> (String, u8) {
        (b, a)
    }
}

#[test]
fn none_is_null_in_json() {
    let server = Server::of("json", Maybe);
    for route in ["maybe.plain", "maybe.in_a_result"] {
        assert_eq!(server.call(route, "null"), body("null"));
        assert_eq!(server.call(route, "4"), body("4"));
    }
    assert_eq!(server.call("maybe.result_in_a_result", ""), body(r#"{"Err":"a value"}"#));
    assert_eq!(server.call("maybe.forever", ""), body(r#""static""#));
    assert_eq!(server.call("maybe.tuple", r#"[1,"x"]"#), body(r#"["x",1]"#));
}
