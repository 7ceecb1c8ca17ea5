//! Routes as numbers, and what two apps in one process know of each other: nothing.

use crate::raw::{RawClient, Said, answer, data, push};
use crate::support::{connect, serve};
use pitaya_core::wire::{MessageKind, RouteRef};
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use serde_json::{Value, json};
use std::time::Duration;

struct Room;

#[handler(codec(Json, Protobuf))]
impl Room {
    pub fn beta(&self, raw: Raw) -> Raw {
        raw
    }

    #[route(code = 2)]
    pub fn pinned(&self, raw: Raw) -> Raw {
        raw
    }

    pub fn alpha(&self, session: &Session, raw: Raw) -> Result<Raw> {
        session.push_raw("onTick", b"t")?;
        Ok(raw)
    }
}

fn codes(app: &App) -> Value {
    app.dictionary().iter().map(|(route, code)| (route.to_owned(), json!(code))).collect()
}

async fn coded(client: &mut RawClient, id: u64, code: u16, body: &[u8]) -> Said {
    client.send(&data(MessageKind::Request, id, RouteRef::Code(code), body)).await;
    client.hear().await
}

#[tokio::test]
async fn a_generated_dictionary_has_every_route_and_keeps_pinned_codes() {
    let app = serve(Builder::new("game").handlers(Room).generate_dictionary()).await;
    assert_eq!(codes(&app), json!({"game.room.alpha": 1, "game.room.beta": 3, "game.room.pinned": 2}));
    let client = connect(&app).await;
    let announced: Value =
        client.handshake().dictionary.iter().map(|(route, code)| (route.to_owned(), json!(code))).collect();
    assert_eq!(announced, codes(&app));
    // This client then writes codes; so do bytes.
    assert_eq!(client.request_raw("game.room.beta", "x").await.expect("served"), "x");
    let mut raw = RawClient::open(&app).await;
    assert_eq!(coded(&mut raw, 1, 2, b"y").await, answer(1, "y"));
    assert_eq!(raw.ask(2, "game.room.beta", "z").await, answer(2, "z"), "names go on");
}

#[tokio::test]
async fn a_push_has_a_code_only_for_a_session_that_has_sent_one() {
    let words = [("game.room.alpha", 5), ("onTick", 40)];
    let app = serve(Builder::new("game").handlers(Room).dictionary(words)).await;
    let (mut by_name, mut by_code) = (RawClient::open(&app).await, RawClient::open(&app).await);
    assert_eq!(by_name.ask(1, "game.room.alpha", "").await, push("onTick", "t"));
    assert_eq!(coded(&mut by_code, 1, 5, b"").await, push("#40", "t"));
    assert_eq!((by_name.hear().await, by_code.hear().await), (answer(1, ""), answer(1, "")));
    // The same for what is encoded once for all; a route without a code keeps its name.
    for (route, expected) in [("onTick", "#40"), ("onTock", "onTock")] {
        let once = Push::raw(route, "u").expect("fits");
        app.sessions().all().iter().try_for_each(|session| session.send(&once)).expect("both are here");
        assert_eq!((by_name.hear().await, by_code.hear().await), (push(route, "u"), push(expected, "u")));
    }
}

#[tokio::test]
async fn a_dictionary_that_is_none_is_refused_at_build() {
    let twice = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).dictionary([("a", 1), ("b", 1)]);
    let error = twice.build().expect_err("one code, two routes").to_string();
    assert!(error.contains(r#""a""#) && error.contains(r#""b""#) && error.contains('1'), "{error}");
}

#[tokio::test]
async fn two_apps_in_one_process_do_not_see_each_other() {
    let beats = |seconds| move |config: &mut Config| config.heartbeat.interval = Duration::from_secs(seconds);
    let one = serve(Builder::new("one").handlers(Room).dictionary([("one.room.beta", 1)]).configure(beats(7))).await;
    let two = Builder::new("two").handlers(Room).dictionary([("two.room.alpha", 1)]).configure(beats(9));
    let two = serve(two.serializer::<Protobuf>()).await;
    let (a, b) = (connect(&one).await, connect(&two).await);
    assert_eq!((a.handshake().heartbeat, &*a.handshake().serializer), (7, "json"));
    assert_eq!((b.handshake().heartbeat, &*b.handshake().serializer), (9, "protobuf"));
    assert_eq!((codes(&one), codes(&two)), (json!({"one.room.beta": 1}), json!({"two.room.alpha": 1})));
    assert_eq!(a.request_raw("one.room.beta", "x").await.expect("served"), "x");
    assert_eq!(b.request_raw("two.room.beta", "x").await.expect("served"), "x");
    assert_eq!(a.request_raw("two.room.beta", "x").await.expect_err("elsewhere").code(), Some("PIT-500"));
    assert_eq!((one.sessions().count(), two.sessions().count()), (1, 1));
    assert_eq!((one.sessions().all()[0].id(), two.sessions().all()[0].id()), (1, 1));
    one.groups().create("g").await.expect("made");
    assert!(!two.groups().exists("g").await.expect("known"));
    one.shutdown().await;
    assert_eq!(b.request_raw("two.room.beta", "y").await.expect("still served"), "y");
}
