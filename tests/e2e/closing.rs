//! How sessions end: callbacks, and the reason each end has.

use crate::log::Log;
use crate::raw::{RawClient, Said, data, notify, request, wrap};
use crate::support::{SOON, connect, eventually, serve};
use pitaya_core::wire::{MessageKind, PacketKind};
use pitaya_runtime::Refusal;
use pitaya_runtime::prelude::*;
use pitaya_runtime::wire::HandshakeData;
use std::time::Duration;
use tokio::time::{Instant, timeout};

struct Door {
    log: Log,
}

#[handler]
impl Door {
    pub async fn enter(&self, session: &Session, uid: String) -> Result<()> {
        session.bind(&uid).await
    }

    /// Leaves three callbacks, the second of which panics.
    pub fn watch(&self, session: &Session) -> Result<()> {
        session.data().set("gold", 7)?;
        for n in 1..=3 {
            let log = self.log.clone();
            session.on_close(move |session, reason| {
                log.push(format!("{n} {:?} {reason}", session.uid().as_deref()));
                assert_ne!(n, 2, "on purpose");
            });
        }
        Ok(())
    }

    pub fn out(&self, session: &Session) {
        session.close();
    }

    #[on(session_closed)]
    fn gone(&self, session: &Session, reason: &CloseReason) {
        self.log.push(format!("component {:?} {reason}", session.uid().as_deref()));
    }
}

/// An app that writes each end that it is told of.
async fn watched(configure: impl FnOnce(&mut Config)) -> (App, Log) {
    let (log, ends) = (Log::default(), Log::default());
    let told = ends.clone();
    let builder = Builder::new("game")
        .handlers(Door { log })
        .configure(configure)
        .on_session_closed(move |_, reason| told.push(reason.label()));
    (serve(builder).await, ends)
}

/// That one session ended for this reason, and that the app was told of it if it had shaken hands.
async fn ended(app: &App, told: &Log, label: &str, shaken: bool) {
    eventually(label, || app.counts().closed(label) == 1 && app.sessions().count() == 0).await;
    assert_eq!(app.counts().closed.iter().sum::<u64>(), 1, "{:?}", app.counts());
    eventually("the app is told", || told.len() == usize::from(shaken)).await;
    assert!(told.all().iter().all(|told| told == label), "{:?}", told.all());
}

#[tokio::test]
async fn callbacks_run_in_order_once_each_and_a_panic_in_one_harms_no_other() {
    let log = Log::default();
    let (first, second) = (log.clone(), log.clone());
    let builder = Builder::new("game")
        .handlers(Door { log: log.clone() })
        .on_session_closed(move |session, reason| {
            let gold: Option<u8> = session.data().get("gold").expect("a number");
            first.push(format!("app {:?} {gold:?} {reason}", session.uid().as_deref()));
            panic!("on purpose");
        })
        .on_session_closed(move |_, _| second.push("app again"));
    let app = serve(builder).await;
    let client = connect(&app).await;
    client.request_raw("game.door.enter", "\"ann\"").await.expect("bound");
    client.request_raw("game.door.watch", "").await.expect("watched");
    let session = app.sessions().by_uid("ann").expect("bound");
    client.close().await;
    eventually("all have run", || log.len() == 6).await;
    let expected = [
        "1 Some(\"ann\") client",
        "2 Some(\"ann\") client",
        "3 Some(\"ann\") client",
        "app Some(\"ann\") Some(7) client",
        "app again",
        "component Some(\"ann\") client",
    ];
    assert_eq!(log.all(), expected);
    // One that comes too late runs at once.
    let late = log.clone();
    session.on_close(move |_, reason| late.push(format!("late {reason}")));
    assert_eq!(log.all().last().map(String::as_str), Some("late client"));
    app.shutdown().await;
    assert_eq!(log.len(), 7, "{:?}", log.all());
}

#[tokio::test]
async fn a_client_that_leaves() {
    let (app, told) = watched(|_| {}).await;
    connect(&app).await.close().await;
    ended(&app, &told, "client", true).await;
}

#[tokio::test]
async fn a_connection_that_breaks() {
    let (app, told) = watched(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    assert!(matches!(client.ask(1, "game.door.enter", "\"ann\"").await, Said::Answer(..)));
    client.stream.set_zero_linger().expect("set");
    drop(client);
    ended(&app, &told, "connection", true).await;
}

#[tokio::test]
async fn a_session_that_the_app_closes_or_kicks() {
    let (app, told) = watched(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    client.send(&notify("game.door.out", "")).await;
    client.rest().await;
    ended(&app, &told, "server", true).await;

    let (app, told) = watched(|_| {}).await;
    let client = connect(&app).await;
    app.sessions().all()[0].kick().expect("here");
    client.closed().await;
    ended(&app, &told, "kicked", true).await;
}

#[tokio::test]
async fn a_client_that_is_silent_for_more_than_two_heartbeats() {
    let (app, told) = watched(|config| config.heartbeat.interval = Duration::from_secs(1)).await;
    let mut client = RawClient::open(&app).await;
    let since = Instant::now();
    let mut beats = 0;
    while let Some((kind, _)) = client.packet().await {
        assert_eq!(kind, PacketKind::Heartbeat);
        beats += 1;
    }
    let silence = since.elapsed();
    assert!(beats >= 1 && silence > Duration::from_secs(2) && silence < SOON, "{silence:?}");
    ended(&app, &told, "heartbeat", true).await;
}

#[tokio::test]
async fn a_client_that_is_refused() {
    let ends = Log::default();
    let told = ends.clone();
    let builder = Builder::new("game")
        .validate_handshake("never", |_: &HandshakeData| Err(Refusal::from("no")))
        .on_session_closed(move |_, reason| told.push(reason.label()));
    let app = serve(builder).await;
    let mut client = RawClient::silent(&app).await;
    client.send(&wrap(PacketKind::Handshake, b"{}")).await;
    client.rest().await;
    ended(&app, &ends, "handshake_refused", false).await;
}

#[tokio::test]
async fn a_client_whose_bytes_are_no_packet_or_no_message() {
    let message = |body: &[u8]| wrap(PacketKind::Data, body);
    let unknown = data(MessageKind::Request, 1, pitaya_core::wire::RouteRef::Code(9), b"");
    // A kind that is none; too short; a kind of message that is none; a route cut off; a code nobody announced.
    for bytes in [vec![9, 0, 0, 0], message(&[0]), message(&[0x0e, 1]), message(&[2, 9, b'x']), unknown] {
        let (app, told) = watched(|_| {}).await;
        let mut client = RawClient::open(&app).await;
        client.send(&bytes).await;
        assert_eq!(client.rest().await, []);
        ended(&app, &told, "malformed", true).await;
    }
}

#[tokio::test]
async fn a_client_that_speaks_out_of_turn() {
    let response = wrap(PacketKind::Data, &[4, 1, b'x']);
    let pushed = data(MessageKind::Push, 0, "game.door.out".into(), b"");
    for bytes in [response, pushed, wrap(PacketKind::Handshake, b"{}")] {
        let (app, told) = watched(|_| {}).await;
        let mut client = RawClient::open(&app).await;
        client.send(&bytes).await;
        assert_eq!(client.rest().await, []);
        ended(&app, &told, "violation", true).await;
    }
    // Before the handshake and before its acknowledgement.
    let (app, told) = watched(|_| {}).await;
    let mut client = RawClient::silent(&app).await;
    client.send(&request(1, "game.door.out", "")).await;
    assert_eq!(client.rest().await, []);
    ended(&app, &told, "violation", false).await;
    let (app, told) = watched(|_| {}).await;
    let mut client = RawClient::welcomed(&app, "{}").await;
    client.send(&request(1, "game.door.out", "")).await;
    assert_eq!(client.rest().await, []);
    ended(&app, &told, "violation", true).await;
}

#[tokio::test]
async fn a_session_of_an_app_that_stops() {
    let (app, told) = watched(|_| {}).await;
    let client = connect(&app).await;
    timeout(SOON, app.shutdown()).await.expect("nothing is in work");
    client.closed().await;
    ended(&app, &told, "shutdown", true).await;
}
