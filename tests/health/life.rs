//! The states of one server, in the order of its life.

use crate::support::{Room, SOON, ask, connect, eventually, get, probed, probes, ready, started};
use pitaya_runtime::StartError;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::timeout;

const READY: &str = "app: ok\nacceptors: ok\ndiscovery: ok\ntransport: ok\n";

/// A module whose start takes until the test lets it go on.
struct Slow(Arc<Semaphore>);

impl Module for Slow {
    async fn init(&self, _: &App) -> Result<()> {
        self.0.acquire().await.map_err(|_| Error::internal("closed"))?.forget();
        Ok(())
    }
}

#[tokio::test]
async fn from_start_to_end() {
    let (start, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let room = Room { gate: Some(gate.clone()) };
    let app = probed("game").handlers(room).module("slow", Slow(start.clone())).build().expect("a valid app");
    assert_eq!(app.admin_address(), None);

    let starting = tokio::spawn({
        let app = app.clone();
        async move { app.start().await }
    });
    eventually("the admin port opens before anything else", || app.admin_address().is_some()).await;
    let at = app.admin_address().expect("open");
    ready(at, 503, "app: not running yet\n").await;
    start.add_permits(1);
    starting.await.expect("no panic").expect("it starts");
    assert_eq!(get(&app, "/readyz").await, (200, READY.to_owned()));
    assert_eq!(get(&app, "/healthz").await, (200, "ok\n".to_owned()));
    assert!(app.health().is_ready());

    let client = Arc::new(connect(&app).await);
    let draining = tokio::spawn({
        let app = app.clone();
        async move { app.drain().await }
    });
    ready(at, 503, "app: draining\n").await;
    let answer = tokio::spawn({
        let client = client.clone();
        async move { client.request_raw("game.room.wait", "still").await }
    });
    eventually("the handler runs", || app.counts().messages == 1).await;
    let stopping = tokio::spawn({
        let app = app.clone();
        async move { app.shutdown().await }
    });
    ready(at, 503, "app: stopping\n").await;
    gate.add_permits(1);
    assert_eq!(answer.await.expect("no panic").expect("answered"), "still");
    timeout(SOON, stopping).await.expect("in time").expect("no panic");
    assert_eq!(draining.await.expect("no panic"), 1);
    assert_eq!(app.health().problem("app"), Some("stopped"));
    assert_eq!(app.admin_address(), None);
    eventually("the port is closed", || std::net::TcpStream::connect(at).is_err()).await;
}

#[tokio::test]
async fn a_server_that_is_full_takes_nobody() {
    let full = |config: &mut Config| config.limits.connections.total = 1;
    let app = started(probed("game").handlers(Room::default()).configure(full)).await;
    let at = app.admin_address().expect("open");
    ready(at, 200, "").await;
    let client = connect(&app).await;
    ready(at, 503, "acceptors: as many connections as pitaya.limits.connections.total allows\n").await;
    drop(client);
    ready(at, 200, "").await;
    app.shutdown().await;
}

#[tokio::test]
async fn two_apps_of_a_process_have_nothing_in_common() {
    let first = started(probed("one").handlers(Room::default())).await;
    let second = started(probed("two").handlers(Room::default())).await;
    let at = second.admin_address().expect("open");
    assert_ne!(first.admin_address(), Some(at));
    first.shutdown().await;
    assert_eq!(get(&second, "/readyz").await, (200, READY.to_owned()));

    // One port for two is an error that says whose.
    let same = |config: &mut Config| config.metrics.prometheus.port = at.port();
    let third = probed("three").handlers(Room::default()).configure(same).build().expect("a valid app");
    match third.start().await {
        Err(StartError::Admin { address, .. }) => assert_eq!(address, at.to_string()),
        other => panic!("{other:?}"),
    }
    assert_eq!(ask(at, "GET /livez").await.expect("an answer").0, 200);
    second.shutdown().await;
}

#[tokio::test]
async fn nothing_is_opened_that_was_not_asked_for() {
    let closed =
        started(probed("game").handlers(Room::default()).configure(|config| config.health.enabled = false)).await;
    assert_eq!(closed.admin_address(), None);
    closed.shutdown().await;
    let app = started(Builder::new("room").local_cluster(&LocalCluster::default()).configure(probes)).await;
    assert_eq!(get(&app, "/pre-stop").await, (404, "there is /livez, /healthz, /readyz\n".to_owned()));
    assert_eq!(get(&app, "/readyz").await.0, 200);
    assert!(app.health().is_ready());
    app.shutdown().await;
}
