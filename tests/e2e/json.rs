//! Texts of clients in the field, both ways: JSON that Go takes, and characters on which Pomelo's clients break.

use crate::raw::{RawClient, Said, answer, data, error, notify, push, request, wrap};
use crate::support::{connect, eventually, serve};
use pitaya_core::wire::{HandshakeData, MessageKind, PacketKind, packet};
use pitaya_runtime::Refusal;
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Move {
    uid: String,
    seq: u32,
}

#[derive(Default)]
struct Room {
    told: AtomicU64,
}

#[handler(codec = Json)]
impl Room {
    pub fn step(&self, step: Move) -> Move {
        step
    }

    pub async fn later(&self, step: Move) -> Move {
        tokio::task::yield_now().await;
        step
    }

    #[route(concurrent)]
    pub async fn beside(&self, step: Move) -> Result<Move> {
        tokio::task::yield_now().await;
        Ok(step)
    }

    pub fn fail(&self, step: Move) -> Result<Move> {
        Err(Error::new("GAME-1", step.uid).with("why", "\u{1f602}"))
    }

    pub fn raw(&self, raw: Raw) -> Raw {
        raw
    }

    #[route(notify)]
    pub fn tell(&self, step: Move) {
        self.told.fetch_add(u64::from(step.seq), SeqCst);
    }

    pub async fn pushes(&self, session: &Session, step: Move) -> Result<()> {
        session.push("onMove", &step)?;
        session.push("onRaw", &Raw::from("\"\u{1f602}\""))?;
        session.push_raw("onRaw", "\"\u{1f602}\"".as_bytes())?;
        Ok(())
    }

    pub async fn bind(&self, session: &Session, groups: &Groups, uid: String) -> Result<()> {
        session.bind(uid).await?;
        groups.ensure("all").await?;
        Ok(groups.add_member("all", &session.uid().unwrap_or_default()).await?)
    }

    pub async fn cast(&self, groups: &Groups, step: Move) -> Result<()> {
        Ok(groups.at("game").broadcast("all", "onCast", &step).await?)
    }

    pub fn kick(&self, session: &Session) -> Result<()> {
        session.kick_with(&KickReason::new("X-1", "\u{1f602}"))
    }
}

/// The body of a move, whose uid is these bytes.
fn step(uid: &[u8]) -> Vec<u8> {
    [&b"{\"uid\":\""[..], uid, b"\",\"seq\":1}"].concat()
}

const CESU: &[u8] = b"\xed\xa0\xbd\xed\xb8\x82";
/// Texts that Go takes, and what it reads.
const BROKEN: [(&[u8], &str); 5] = [
    (CESU, "\u{1f602}"),
    (br"\ud83d", "\u{fffd}"),
    (br"\ude02", "\u{fffd}"),
    (b"\xe9", "\u{fffd}"),
    (br#"a","uid":"b"#, "b"),
];

async fn send(client: &mut RawClient, id: u64, route: &str, body: &[u8]) {
    client.send(&data(MessageKind::Request, id, route.into(), body)).await;
}

#[tokio::test]
async fn texts_that_go_takes_are_taken() {
    let room = Arc::new(Room::default());
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let names = seen.clone();
    let check = move |data: &HandshakeData| {
        names.lock().push(data.user["name"].as_str().unwrap_or_default().to_owned());
        Ok::<(), Refusal>(())
    };
    let app = serve(Builder::new("game").shared_handlers(room.clone()).validate_handshake("name", check)).await;
    for (n, (text, read)) in (1..).zip(BROKEN) {
        let handshake = [&b"{\"sys\":{\"type\":\"socket\"},\"user\":{\"name\":\""[..], text, b"\"}}"].concat();
        let mut client = RawClient::silent(&app).await;
        client.send(&wrap(PacketKind::Handshake, &handshake)).await;
        let said = client.hear().await;
        assert!(matches!(&said, Said::Welcome(text) if text.contains(r#""code":200"#)), "{said:?}");
        // The repeated key is `uid`.
        let name = if read == "b" { "a" } else { read };
        assert_eq!(seen.lock().last().map(String::as_str), Some(name));
        client.send(&packet::ACK).await;
        for route in ["game.room.step", "game.room.later", "game.room.beside"] {
            send(&mut client, 1, route, &step(text)).await;
            assert_eq!(client.hear().await, answer(1, &format!(r#"{{"uid":"{read}","seq":1}}"#)), "{route}");
        }
        client.send(&data(MessageKind::Notify, 0, "game.room.tell".into(), &step(text))).await;
        eventually("the notify has run", || room.told.load(SeqCst) == n).await;
    }
    let mut client = RawClient::open_as(&app, r#"{"user":{"name":""}}"#).await;
    for broken in ["{\"uid\":\"a\"", "{\"uid\":\"\\ud83\",\"seq\":1}", "{\"uid\":\"a\",\"uid\":7,\"seq\":1}"] {
        assert_eq!(client.ask(1, "game.room.step", broken).await, error(1, "PIT-400"), "{broken}");
    }
}

struct Strict;

#[handler(name = "room", codec = StrictJson)]
impl Strict {
    pub fn step(&self, step: Move) -> Move {
        step
    }
}

struct AnyCase;

#[handler(name = "room", codec = GoJson)]
impl AnyCase {
    pub fn step(&self, step: Move) -> Move {
        step
    }
}

#[tokio::test]
async fn an_app_may_be_stricter_or_take_names_in_any_case() {
    let strict = serve(Builder::new("game").serializer::<StrictJson>().handlers(Strict)).await;
    let client = connect(&strict).await;
    assert_eq!(client.handshake().serializer, "json");
    let mut raw = RawClient::open(&strict).await;
    for (text, _) in BROKEN {
        send(&mut raw, 1, "game.room.step", &step(text)).await;
        assert_eq!(raw.hear().await, error(1, "PIT-400"));
    }
    let any_case = serve(Builder::new("game").serializer::<GoJson>().handlers(AnyCase)).await;
    assert_eq!(connect(&any_case).await.handshake().serializer, "json");
    let mut raw = RawClient::open(&any_case).await;
    assert_eq!(raw.ask(1, "game.room.step", r#"{"UID":"a","Seq":1}"#).await, answer(1, r#"{"uid":"a","seq":1}"#));
    let mut raw = RawClient::open_as(&any_case, r#"{"sys":{"type":"js-websocket"}}"#).await;
    let escaped = r#"{"uid":"\ud83d\ude02","seq":1}"#;
    assert_eq!(raw.ask(1, "game.room.step", r#"{"UID":"\ud83d\ude02","Seq":1}"#).await, answer(1, escaped));
}

const SMILE: &str = r#"{"uid":"😂","seq":1}"#;
const ESCAPED: &str = r#"{"uid":"\ud83d\ude02","seq":1}"#;

fn of_type(name: &str) -> String {
    format!(r#"{{"sys":{{"type":"{name}"}}}}"#)
}

/// A frontend with the component, and a backend of the type `hall` with it.
async fn pair(cluster: &LocalCluster) -> (App, App) {
    let back = Builder::new("hall").local_cluster(cluster).handlers(Room::default()).build().expect("a valid app");
    back.start().await.expect("started");
    (serve(Builder::new("game").local_cluster(cluster).handlers(Room::default())).await, back)
}

#[tokio::test]
async fn javascript_clients_get_escapes_and_all_others_the_characters() {
    let (front, back) = pair(&LocalCluster::default()).await;
    for (client, expected) in [("js-websocket", ESCAPED), ("js-socket", ESCAPED), ("socket", SMILE), ("", SMILE)] {
        let mut client = RawClient::open_as(&front, &of_type(client)).await;
        for server in ["game", "hall"] {
            for method in ["step", "later", "beside", "step", "step"] {
                let route = format!("{server}.room.{method}");
                assert_eq!(client.ask(1, &route, SMILE).await, answer(1, expected), "{route}");
            }
            send(&mut client, 2, &format!("{server}.room.pushes"), SMILE.as_bytes()).await;
            assert_eq!(client.hear().await, push("onMove", expected));
            // A frontend cannot tell the raw bytes of another server from JSON: they still mean the same.
            let raw = if server == "hall" && expected == ESCAPED { r#""\ud83d\ude02""# } else { "\"😂\"" };
            assert_eq!(client.hear().await, push("onRaw", raw));
            assert_eq!(client.hear().await, push("onRaw", raw));
            assert_eq!(client.hear().await, answer(2, "{}"));
        }
        for route in ["game.room.raw", "hall.room.raw"] {
            assert_eq!(client.ask(3, route, "😂 is no JSON").await, answer(3, "😂 is no JSON"), "{route}");
        }
        assert_eq!(client.ask(4, "game.room.raw", SMILE).await, answer(4, SMILE), "raw bytes are not touched");
        // Requests in one packet go another way.
        let requests = (1..=20).flat_map(|id| request(id, "game.room.step", SMILE)).collect::<Vec<_>>();
        client.send(&requests).await;
        for id in 1..=20 {
            assert_eq!(client.hear().await, answer(id, expected));
        }
    }
    back.shutdown().await;
}

/// The next packet's message, as it is on the wire.
async fn body(client: &mut RawClient) -> String {
    let (_, packet) = client.packet().await.expect("open");
    let message = pitaya_core::wire::Message::decode(&packet).expect("a message");
    String::from_utf8_lossy(message.body).into_owned()
}

#[tokio::test]
async fn errors_broadcasts_kicks_and_handshakes_have_escapes_too() {
    let app =
        serve(Builder::new("game").handlers(Room::default()).validate_handshake("name", |data: &HandshakeData| {
            if data.user.contains_key("no") { Err(Refusal::new("NO-1", "closed 😂")) } else { Ok(()) }
        }))
        .await;
    let (mut js, mut other) = (RawClient::open_as(&app, &of_type("js-websocket")).await, RawClient::open(&app).await);
    for (client, uid, text) in [(&mut js, "a", r"\ud83d\ude02"), (&mut other, "b", "😂")] {
        send(client, 1, "game.room.fail", SMILE.as_bytes()).await;
        let error = format!(r#"{{"code":"GAME-1","msg":"{text}","metadata":{{"why":"{text}"}}}}"#);
        assert_eq!(body(client).await, error);
        assert_eq!(client.ask(2, "game.room.bind", &format!("{uid:?}")).await, answer(2, "{}"));
    }
    other.send(&notify("game.room.cast", SMILE)).await;
    assert_eq!(other.hear().await, push("onCast", SMILE));
    assert_eq!(js.hear().await, push("onCast", ESCAPED));
    let raw = Push::raw("onRaw", SMILE).expect("fits");
    for session in app.sessions().all() {
        session.send(&raw).expect("open");
    }
    assert_eq!((js.hear().await, other.hear().await), (push("onRaw", SMILE), push("onRaw", SMILE)));
    js.send(&request(3, "game.room.kick", "")).await;
    other.send(&request(3, "game.room.kick", "")).await;
    assert_eq!(js.rest().await.pop(), Some(Said::Kick(r#"{"code":"X-1","message":"\ud83d\ude02"}"#.to_owned())));
    assert_eq!(other.rest().await.pop(), Some(Said::Kick(r#"{"code":"X-1","message":"😂"}"#.to_owned())));
    for (kind, text) in [("js-websocket", r"closed \ud83d\ude02"), ("socket", "closed 😂")] {
        let mut client = RawClient::silent(&app).await;
        let handshake = format!(r#"{{"sys":{{"type":"{kind}"}},"user":{{"no":1}}}}"#);
        client.send(&wrap(PacketKind::Handshake, handshake.as_bytes())).await;
        let said = client.rest().await;
        assert!(matches!(&said[..], [Said::Welcome(reply)] if reply.contains(text)), "{said:?}");
    }
}
