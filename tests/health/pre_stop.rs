//! A server that an orchestrator takes away loses nobody.

use crate::support::{Room, SOON, ask, connect, eventually, probed, ready, started};
use pitaya_runtime::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

fn pre_stop(at: SocketAddr, method: &'static str) -> JoinHandle<std::io::Result<(u16, String)>> {
    tokio::spawn(async move { ask(at, &format!("{method} /pre-stop")).await })
}

async fn answered(pre_stop: JoinHandle<std::io::Result<(u16, String)>>) -> (u16, String) {
    timeout(SOON, pre_stop).await.expect("in time").expect("no panic").expect("an answer")
}

async fn lets_in(app: &App) -> bool {
    TcpStream::connect(app.addresses()[0]).await.is_ok()
}

#[tokio::test]
async fn what_a_client_has_begun_is_answered_before_the_end() {
    let gate = Arc::new(Semaphore::new(0));
    let app = started(probed("game").handlers(Room { gate: Some(gate.clone()) }).configure(|config| {
        config.health.prestop.enabled = true;
        config.health.prestop.delay = Duration::from_secs(2);
    }))
    .await;
    let at = app.admin_address().expect("open");
    let client = Arc::new(connect(&app).await);
    let ask_the_handler = || {
        let client = client.clone();
        tokio::spawn(async move { client.request_raw("game.room.wait", "mine").await })
    };
    let first = ask_the_handler();
    eventually("the handler runs", || app.counts().messages == 1).await;

    let ending = pre_stop(at, "POST");
    ready(at, 503, "app: draining\n").await;
    assert!(lets_in(&app).await, "load balancers have not learnt it yet");
    // Whoever was sent here by one of them is served.
    let late = connect(&app).await;
    let end = tokio::time::Instant::now() + SOON;
    while lets_in(&app).await {
        assert!(tokio::time::Instant::now() < end, "the drain does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = ask_the_handler();
    gate.add_permits(2);
    for answer in [first, second] {
        assert_eq!(answer.await.expect("no panic").expect("answered"), "mine");
    }
    assert!(!ending.is_finished(), "its sessions are still here");
    drop(late);
    drop(client);
    assert_eq!(answered(ending).await, (200, "drained: 0 sessions left\n".to_owned()));
    // It waits for the signal that follows.
    assert_eq!(app.health().problem("app"), Some("draining"));
    timeout(SOON, app.shutdown()).await.expect("nothing to wait for");
}

#[tokio::test]
async fn it_answers_when_the_time_is_over_and_is_the_same_for_all_who_ask() {
    const DRAIN: Duration = Duration::from_secs(2);
    let app = started(probed("game").handlers(Room::default()).configure(|config| {
        config.health.prestop.enabled = true;
        config.health.prestop.delay = Duration::ZERO;
        config.session.drain.timeout = DRAIN;
    }))
    .await;
    let at = app.admin_address().expect("open");
    let client = connect(&app).await;
    let begun = tokio::time::Instant::now();
    // A hook of Kubernetes can only GET.
    let both = [pre_stop(at, "GET"), pre_stop(at, "POST")];
    for ending in both {
        assert_eq!(answered(ending).await, (200, "drained: 1 sessions left\n".to_owned()));
    }
    assert!(begun.elapsed() >= DRAIN);
    let again = tokio::time::Instant::now();
    assert_eq!(app.drain().await, 1);
    assert!(again.elapsed() < DRAIN / 2, "the drain of the signal is not another one");
    drop(client);
    app.shutdown().await;
}

#[tokio::test]
async fn it_goes_on_when_nobody_waits_and_ends_with_a_shutdown() {
    let app = started(probed("game").handlers(Room::default()).configure(|config| {
        config.health.prestop.enabled = true;
        config.health.prestop.delay = Duration::from_secs(3600);
    }))
    .await;
    let at = app.admin_address().expect("open");
    let ending = pre_stop(at, "POST");
    ready(at, 503, "app: draining\n").await;
    ending.abort();
    assert!(ending.await.is_err());
    ready(at, 503, "app: draining\n").await;
    let waiting = pre_stop(at, "POST");
    timeout(SOON, app.shutdown()).await.expect("it does not wait for the delay");
    // The answer may be cut off by the end of the port.
    let _ = timeout(SOON, waiting).await.expect("it does not hang");
}
