//! Servers call each other's remotes.

use crate::world::{World, connect, meet};
use pitaya_runtime::prelude::*;
use pitaya_runtime::remote::{RpcCall, Target};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    #[prost(string, tag = "1")]
    pub text: String,
}

pub fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

/// What other servers may ask a hall.
pub struct Hall;

#[remote]
impl Hall {
    /// Which one this is.
    pub async fn who(&self, app: &App) -> Result<Text> {
        Ok(text(app.server_id()))
    }

    pub async fn upper(&self, said: Text) -> Result<Text> {
        Ok(text(said.text.to_uppercase()))
    }

    pub async fn fail(&self) -> Result<Text> {
        Err(Error::new("HALL-1", "on purpose").with("some", "meta"))
    }

    pub async fn stuck(&self) -> Result<Text> {
        std::future::pending().await
    }

    /// Computes for a while. Says when it began, in nanoseconds of the wall clock.
    pub async fn heavy(&self) -> Result<Text> {
        let began = nanos();
        std::thread::sleep(Duration::from_millis(20));
        Ok(text(began.to_string()))
    }

    pub async fn panics(&self) -> Result<Text> {
        panic!("on purpose")
    }

    /// How much time is left, when it was called with a second.
    pub async fn left(&self, cx: &RemoteContext) -> Result<Text> {
        let left = cx.deadline().map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
        Ok(text((left.unwrap_or_default() < Duration::from_secs(1)).to_string()))
    }

    /// Asks another hall, which has no more time than this one.
    pub async fn ask_on(&self, rpc: &Rpc, id: Text) -> Result<Text> {
        HallClient::new(rpc, "hall").on(id.text).stuck().await
    }

    pub async fn trace(&self, cx: &RemoteContext) -> Result<Text> {
        Ok(text(cx.metadata().get("trace").and_then(|trace| trace.as_str()).unwrap_or_default()))
    }
}

/// Clients ask a backend, which asks a hall.
struct Desk;

#[handler]
impl Desk {
    pub async fn ask(&self, rpc: &Rpc, raw: Raw) -> Result<Raw> {
        let said = text(String::from_utf8_lossy(&raw.0));
        Ok(Raw::from(HallClient::new(rpc, "hall").upper(&said).await?.text))
    }

    pub async fn stuck(&self, rpc: &Rpc) -> Result<Raw> {
        Ok(Raw::from(HallClient::new(rpc, "hall").stuck().await?.text))
    }
}

fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_nanos()
}

fn shown<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    outcome.expect_err("an error").to_string()
}

struct Trio {
    front: App,
    _one: App,
    _two: App,
}

async fn trio(world: &World) -> Trio {
    let front = world.frontend("connector", "front", |b| b.handlers(Desk)).await;
    let one = world.backend("hall", "one", |b| b.remotes(Hall).handlers(Desk)).await;
    let two = world.backend("hall", "two", |b| b.remotes(Hall).handlers(Desk)).await;
    meet(&[&front, &one, &two]).await;
    Trio { front, _one: one, _two: two }
}

async fn any_server_of_a_type_or_one_by_id_is_called(world: World) {
    let t = trio(&world).await;
    let hall = HallClient::new(t.front.rpc(), "hall");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        seen.insert(hall.who().await.expect("an answer").text);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["one", "two"]);
    for id in ["one", "two", "one"] {
        assert_eq!(hall.on(id).who().await, Ok(text(id)));
    }
    assert_eq!(hall.upper(&text("hi")).await, Ok(text("HI")));
    assert_eq!(shown(hall.on("three").who().await), "PIT-000: server not found");
    assert_eq!(
        shown(HallClient::new(t.front.rpc(), "nowhere").who().await),
        "PIT-500: no servers available of this type"
    );
}

async fn errors_keep_code_text_and_metadata(world: World) {
    let t = trio(&world).await;
    let hall = HallClient::new(t.front.rpc(), "hall");
    let error = hall.fail().await.expect_err("it fails");
    assert_eq!((error.code(), error.message()), ("HALL-1", "on purpose"));
    assert_eq!(error.metadata().expect("some")["some"], "meta");
    let unknown = RpcCall::new(Target::Any("hall".into()), "hall.nothing");
    let error = t.front.rpc().call(unknown).await.expect_err("not there");
    assert_eq!((error.code(), error.message()), ("PIT-404", "route not found"));
    assert_eq!(error.metadata().expect("some")["route"], "hall.nothing");
    // A remote's route names no handler, and a handler's no remote.
    let handler = RpcCall::new(Target::Any("hall".into()), "desk.ask");
    assert_eq!(t.front.rpc().call(handler).await.expect_err("not a remote").code(), "PIT-404");
}

/// Calls that come together: one that is stuck, one that panics, and one that nobody waits for are none of the others'
/// business.
async fn calls_that_come_together_are_apart(world: World) {
    let t = trio(&world).await;
    let hall = HallClient::new(t.front.rpc(), "hall").on("one").within(Duration::from_secs(5));
    let given_up = tokio::time::timeout(Duration::from_millis(20), hall.stuck());
    let start = std::time::Instant::now();
    let others = futures_util::future::join_all((0..200).map(|n: u32| {
        let hall = &hall;
        async move {
            match n % 10 {
                0 => assert_eq!(shown(hall.panics().await), "PIT-500: internal error"),
                _ => assert_eq!(hall.upper(&text(format!("a{n}"))).await, Ok(text(format!("A{n}")))),
            }
        }
    }));
    let others = async {
        others.await;
        start.elapsed()
    };
    let (stuck, given_up, took) = tokio::join!(hall.stuck(), given_up, others);
    assert!(took < Duration::from_secs(4), "they waited for the one that is stuck: {took:?}");
    assert!(shown(stuck).starts_with("PIT-408"));
    assert!(given_up.is_err());
}

/// Who is answered first hears it while the others run.
async fn an_answer_goes_out_before_all_have_run(world: World) {
    use futures_util::{StreamExt, stream::FuturesUnordered};
    const CALLS: u32 = 32;
    let t = trio(&world).await;
    let hall = HallClient::new(t.front.rpc(), "hall").on("one");
    let mut all: FuturesUnordered<_> = (0..CALLS).map(|_| hall.heavy()).collect();
    all.next().await.expect("a call").expect("an answer");
    let heard = nanos();
    let began = all.map(|answer| answer.expect("an answer").text.parse().expect("a number"));
    let last: u128 = began.fold(0, |last, began| async move { last.max(began) }).await;
    assert!(heard < last, "the first answer came {} ms after the last call had begun", (heard - last) / 1_000_000);
}

async fn deadlines_and_metadata_travel(world: World) {
    let t = trio(&world).await;
    let hall = HallClient::new(t.front.rpc(), "hall").within(Duration::from_secs(1));
    assert_eq!(hall.left().await, Ok(text("true")));
    let start = std::time::Instant::now();
    let late = shown(hall.within(Duration::from_millis(200)).on("one").ask_on(&text("two")).await);
    assert!(late.starts_with("PIT-408: rpc client: request timeout"), "{late}");
    assert!(start.elapsed() < Duration::from_secs(4), "the caller's time counts: {:?}", start.elapsed());
    let traced = HallClient::new(&t.front.rpc().with("trace", "t-1"), "hall");
    assert_eq!(traced.trace().await, Ok(text("t-1")));
}

async fn a_forwarded_message_calls_on(world: World) {
    let t = trio(&world).await;
    let client = connect(&t.front).await;
    for route in ["connector.desk.ask", "hall.desk.ask"] {
        assert_eq!(&client.request_raw(route, "hi").await.expect("an answer")[..], b"HI", "{route}");
    }
}

crate::world::in_every_world! {
    any_server_of_a_type_or_one_by_id_is_called,
    errors_keep_code_text_and_metadata,
    calls_that_come_together_are_apart,
    an_answer_goes_out_before_all_have_run,
    deadlines_and_metadata_travel,
    a_forwarded_message_calls_on,
}
