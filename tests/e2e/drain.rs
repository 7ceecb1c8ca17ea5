//! An app that is to end soon lets its players finish.

use crate::support::{SOON, connect, eventually, serve};
use pitaya_runtime::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

/// Matches without clients of their own.
#[derive(Default)]
struct Matches {
    running: AtomicUsize,
    told: AtomicBool,
}

impl Module for Matches {
    fn draining(&self, _: &App) {
        self.told.store(true, SeqCst);
    }

    fn in_progress(&self) -> usize {
        self.running.load(SeqCst)
    }
}

fn drain(app: &App) -> JoinHandle<usize> {
    let app = app.clone();
    tokio::spawn(async move { app.drain().await })
}

async fn over(drain: JoinHandle<usize>) -> usize {
    timeout(SOON, drain).await.expect("in time").expect("no panic")
}

async fn refuses(app: &App) {
    while TcpStream::connect(app.addresses()[0]).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn it_ends_with_the_last_session_and_nobody_new_comes() {
    let app = serve(Builder::new("game").handlers(Room)).await;
    let [first, second] = [connect(&app).await, connect(&app).await];
    let draining = drain(&app);
    timeout(SOON, refuses(&app)).await.expect("nobody is let in");
    for client in [&first, &second] {
        assert_eq!(client.request_raw("game.room.echo", "hi").await.expect("served"), "hi");
    }
    assert_eq!(app.servers().all().len(), 1, "it is in discovery still");
    drop(first);
    eventually("one is left", || app.sessions().count() == 1).await;
    assert!(!draining.is_finished());
    drop(second);
    // Long before it looks again.
    assert_eq!(over(draining).await, 0);
    assert_eq!(app.servers().all().len(), 1, "a drain ends nothing");
    timeout(SOON, app.shutdown()).await.expect("in time");
}

#[tokio::test]
async fn new_clients_are_let_in_by_key() {
    let app = serve(Builder::new("game").handlers(Room).configure(|c| c.session.drain.accept = true)).await;
    let first = connect(&app).await;
    let draining = drain(&app);
    let second = connect(&app).await;
    drop(first);
    assert_eq!(second.request_raw("game.room.echo", "hi").await.expect("served"), "hi");
    assert!(!draining.is_finished());
    drop(second);
    assert_eq!(over(draining).await, 0);
}

#[tokio::test]
async fn it_waits_no_longer_than_it_may() {
    let times = |config: &mut Config| config.session.drain.timeout = Duration::from_millis(100);
    let app = serve(Builder::new("game").handlers(Room).configure(times)).await;
    let client = connect(&app).await;
    assert_eq!(over(drain(&app)).await, 1);
    assert_eq!(client.request_raw("game.room.echo", "hi").await.expect("still served"), "hi");
}

#[tokio::test]
async fn a_shutdown_ends_it() {
    let app = serve(Builder::new("game").handlers(Room)).await;
    let _client = connect(&app).await;
    let draining = drain(&app);
    timeout(SOON, refuses(&app)).await.expect("it drains");
    timeout(SOON, app.shutdown()).await.expect("in time");
    over(draining).await;
}

#[tokio::test]
async fn modules_have_a_say() {
    let period = |config: &mut Config| config.session.drain.period = Duration::from_millis(10);
    let app = serve(Builder::new("game").handlers(Room).module("matches", Matches::default()).configure(period)).await;
    let matches = app.module::<Matches>("matches").expect("registered");
    matches.running.store(2, SeqCst);
    let draining = drain(&app);
    eventually("it is told", || matches.told.load(SeqCst)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!draining.is_finished(), "two matches go on");
    matches.running.store(0, SeqCst);
    assert_eq!(over(draining).await, 0);
}
