//! Who may come in, and what a client hears before it is in.

use crate::log::Log;
use crate::raw::{RawClient, Said, push, wrap};
use crate::support::{SOON, address, connect, eventually, serve};
use pitaya_client::{Client, ConnectError};
use pitaya_core::BoxFuture;
use pitaya_core::wire::{HandshakeData, PacketKind, packet};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Refusal, Validator};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

async fn refusal(app: &App, age: u64) -> (i64, String, String) {
    match Client::options().user("age", age).connect(&address(app)).await {
        Err(ConnectError::Refused { code, reason: Some(reason) }) => (code, reason.code, reason.msg),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn checks_run_in_order_and_the_first_refusal_ends_them() {
    let log = Log::default();
    let check = |name: &'static str, least: u64| {
        let log = log.clone();
        move |data: &HandshakeData| {
            log.push(name);
            let age = data.user.get("age").and_then(serde_json::Value::as_u64).unwrap_or(0);
            if age < least { Err(Refusal::new("AGE-1", format!("{name} wants {least}"))) } else { Ok(()) }
        }
    };
    let builder = Builder::new("game")
        .validate_handshake("first", check("first", 10))
        .validate_handshake("second", check("second", 20))
        .validate_handshake("third", check("third", 30));
    let app = serve(builder.handlers(Room)).await;
    assert_eq!(refusal(&app, 15).await, (400, "AGE-1".to_owned(), "second wants 20".to_owned()));
    assert_eq!(log.all(), ["first", "second"]);
    let client = Client::options().user("age", 30).connect(&address(&app)).await.expect("old enough");
    assert_eq!(log.all(), ["first", "second", "first", "second", "third"]);
    assert_eq!(client.request_raw("game.room.echo", "x").await.expect("served"), "x");
}

#[tokio::test]
async fn a_refusal_is_flushed_before_the_end() {
    let builder = Builder::new("game").validate_handshake("no", |_: &HandshakeData| Err("closed today".into()));
    let app = serve(builder.handlers(Room)).await;
    let mut client = RawClient::silent(&app).await;
    client.send(&wrap(PacketKind::Handshake, b"{}")).await;
    let said = client.rest().await;
    let [Said::Welcome(text)] = &said[..] else { panic!("{said:?}") };
    let reply: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(reply["code"], 400);
    assert_eq!(reply["error"], serde_json::json!({"code": "PIT-400", "msg": "closed today"}));
    assert_eq!(reply["message"], "closed today");
    // One that cannot be read is told what is wrong with it.
    let app = serve(Builder::new("game").handlers(Room)).await;
    let mut client = RawClient::silent(&app).await;
    client.send(&wrap(PacketKind::Handshake, b"{")).await;
    let said = client.rest().await;
    let [Said::Welcome(text)] = &said[..] else { panic!("{said:?}") };
    assert!(
        text.starts_with(r#"{"code":400,"sys":"#) && text.contains(r#","message":"the handshake is no JSON"#),
        "{text}"
    );
}

/// Waits for a permit when the client says so.
struct Patient(Arc<Semaphore>);

impl Validator for Patient {
    fn validate<'a>(&'a self, _: &'a Session, data: &'a HandshakeData) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            if data.user.contains_key("wait") {
                self.0.acquire().await.map_err(|e| Refusal::from(e.to_string()))?.forget();
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_check_may_wait_and_nobody_else_does() {
    let gate = Arc::new(Semaphore::new(0));
    let app = serve(Builder::new("game").validate_handshake("gate", Patient(gate.clone())).handlers(Room)).await;
    let mut waiting = RawClient::silent(&app).await;
    // An eager client: what it sends behind its handshake waits for the verdict.
    waiting.send(&wrap(PacketKind::Handshake, br#"{"user":{"wait":true}}"#)).await;
    assert_eq!(connect(&app).await.request_raw("game.room.echo", "x").await.expect("served"), "x");
    waiting.hears_nothing(Duration::from_millis(50)).await;
    gate.add_permits(1);
    assert!(matches!(waiting.hear().await, Said::Welcome(_)));
    waiting.send(&packet::ACK).await;
    assert_eq!(waiting.ask(1, "game.room.echo", "y").await, crate::raw::answer(1, "y"));
}

#[tokio::test]
async fn a_check_that_waits_for_too_long_is_ended_by_the_deadline() {
    let gate = Arc::new(Semaphore::new(0));
    let builder = Builder::new("game").validate_handshake("gate", Patient(gate)).handlers(Room);
    let app = serve(builder.configure(|c| c.limits.handshake.timeout = Duration::from_millis(200))).await;
    let mut client = RawClient::silent(&app).await;
    client.send(&wrap(PacketKind::Handshake, br#"{"user":{"wait":true}}"#)).await;
    assert_eq!(client.rest().await, []);
    eventually("it is counted", || app.counts().closed("handshake_timeout") == 1).await;
}

#[tokio::test]
async fn a_check_that_panics_refuses_its_own_client_only() {
    let builder = Builder::new("game").validate_handshake("fragile", |data: &HandshakeData| {
        assert!(!data.user.contains_key("age"), "on purpose");
        Ok(())
    });
    let app = serve(builder.handlers(Room)).await;
    let good = connect(&app).await;
    assert_eq!(refusal(&app, 1).await, (400, "PIT-500".to_owned(), "internal error".to_owned()));
    assert_eq!(good.request_raw("game.room.echo", "x").await.expect("served"), "x");
    eventually("it is gone", || app.sessions().count() == 1).await;
    assert_eq!((app.counts().panics, app.counts().closed("handshake_refused")), (1, 1));
}

/// Pushes to the session it looks at.
struct Eager;

impl Validator for Eager {
    fn validate<'a>(&'a self, session: &'a Session, _: &'a HandshakeData) -> BoxFuture<'a, Result<(), Refusal>> {
        let pushed = session.push("onEager", &0).map_err(|e| Refusal::from(e.to_string()));
        Box::pin(async move { pushed })
    }
}

#[tokio::test]
async fn nothing_comes_between_the_answer_and_the_acknowledgement() {
    let app = serve(Builder::new("game").validate_handshake("eager", Eager).handlers(Room)).await;
    let (everybody, ticks) = (app.clone(), Arc::new(Semaphore::new(0)));
    let ticked = ticks.clone();
    let tick = move || {
        let sessions = everybody.sessions().all();
        let pushed = sessions.iter().all(|session| session.push("onTick", &1).is_ok());
        ticked.add_permits(usize::from(pushed && !sessions.is_empty()));
        async {}
    };
    let timer = app.timers().every(Duration::from_millis(5), tick).expect("a timer");
    // The answer is the first packet, whatever was pushed before it.
    let mut client = RawClient::welcomed(&app, "{}").await;
    timeout(SOON, ticks.acquire_many(5)).await.expect("pushes are queued").expect("open").forget();
    timer.stop();
    client.hears_nothing(Duration::from_millis(50)).await;
    client.send(&packet::ACK).await;
    assert_eq!(client.hear().await, push("onEager", "0"));
    for _ in 0..5 {
        assert_eq!(client.hear().await, push("onTick", "1"));
    }
}

#[tokio::test]
async fn whoever_does_not_get_through_the_handshake_in_time_is_closed() {
    let deadline = Duration::from_millis(300);
    let app = serve(Builder::new("game").handlers(Room).configure(|c| c.limits.handshake.timeout = deadline)).await;
    let since = Instant::now();
    let (mut nothing, mut half, mut no_ack) =
        (RawClient::silent(&app).await, RawClient::silent(&app).await, RawClient::welcomed(&app, "{}").await);
    half.send(&[1, 0]).await;
    let honest = connect(&app).await;
    assert_eq!(nothing.rest().await, []);
    assert_eq!(half.rest().await, []);
    assert_eq!(no_ack.rest().await, []);
    let took = since.elapsed();
    assert!(took >= deadline && took < SOON * 4 / 5, "not the default of 10 s: {took:?}");
    eventually("they are counted", || app.counts().closed("handshake_timeout") == 3).await;
    assert_eq!(honest.request_raw("game.room.echo", "x").await.expect("served"), "x");
}

/// Drips its handshake: each byte is life, and none moves the deadline.
#[tokio::test]
async fn dripping_bytes_do_not_move_the_deadline() {
    let deadline = Duration::from_millis(300);
    let app = serve(Builder::new("game").configure(|c| c.limits.handshake.timeout = deadline)).await;
    let mut client = RawClient::silent(&app).await;
    let (mut reads, mut writes) = client.stream.split();
    let drip = async {
        let mut byte = wrap(PacketKind::Handshake, &[b' '; 1_000]).into_iter();
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while tokio::io::AsyncWriteExt::write_all(&mut writes, &[byte.next().expect("bytes left")]).await.is_ok() {
            tick.tick().await;
        }
    };
    let end = async { tokio::io::AsyncReadExt::read(&mut reads, &mut [0; 16]).await.unwrap_or(0) };
    tokio::select! {
        () = drip => {}
        read = timeout(SOON, end) => assert_eq!(read.expect("closed in time"), 0),
    }
    eventually("it is counted", || app.counts().closed("handshake_timeout") == 1).await;
}
