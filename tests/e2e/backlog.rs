//! What waits behind a call in progress, and what that does to reading and to the proof of life.

use crate::raw::{RawClient, answer, notify, request};
use crate::support::{eventually, serve};
use pitaya_core::wire::packet::HEARTBEAT;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval, sleep, timeout};

#[derive(Clone)]
struct Queue {
    gate: Arc<Semaphore>,
    seen: Arc<AtomicUsize>,
}

#[handler]
impl Queue {
    pub async fn wait(&self) -> &'static str {
        self.gate.acquire().await.expect("open").forget();
        "done"
    }

    #[route(notify)]
    pub fn note(&self, _raw: Raw) {
        self.seen.fetch_add(1, SeqCst);
    }
}

async fn queue(configure: impl FnOnce(&mut Config)) -> (App, Queue, RawClient) {
    let queue = Queue { gate: Arc::new(Semaphore::new(0)), seen: Arc::default() };
    let app = serve(Builder::new("game").handlers(queue.clone()).configure(configure)).await;
    let mut client = RawClient::open(&app).await;
    client.send(&request(1, "game.queue.wait", "")).await;
    eventually("the call is pending", || app.counts().messages == 1).await;
    (app, queue, client)
}

fn beat_every_second(config: &mut Config) {
    config.heartbeat.interval = Duration::from_secs(1);
}

#[tokio::test]
async fn a_full_backlog_stops_the_reading_and_nothing_is_lost() {
    let (app, queue, mut client) = queue(|_| {}).await;
    let note = notify("game.queue.note", "");
    for _ in 0..63 {
        client.send(&note).await;
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(app.counts().full_backlogs, 0, "63 may wait");
    client.send(&note).await;
    eventually("64 are too many", || app.counts().full_backlogs == 1).await;
    // What the system buffers for both ends is megabytes; then the client cannot write any more.
    let big = notify("game.queue.note", &"x".repeat(60_000));
    let (mut sent, mut left) = (64, &[][..]);
    let stopped = loop {
        if left.is_empty() {
            (sent, left) = (sent + 1, &big);
        }
        match timeout(Duration::from_millis(300), client.stream.write(left)).await {
            Ok(written) => left = &left[written.expect("connected")..],
            Err(_) => break true,
        }
        if sent > 1_000 {
            break false;
        }
    };
    assert!(stopped, "60 MB were read behind a pending call");
    assert_eq!((queue.seen.load(SeqCst), app.counts().messages), (0, 1));
    queue.gate.add_permits(1);
    client.send(left).await;
    assert_eq!(client.hear().await, answer(1, r#""done""#));
    eventually("all have run", || queue.seen.load(SeqCst) == sent).await;
}

#[tokio::test]
async fn heartbeats_are_heard_behind_a_pending_call() {
    let (app, queue, mut client) = queue(beat_every_second).await;
    let (since, mut tick) = (Instant::now(), interval(Duration::from_millis(400)));
    while since.elapsed() < Duration::from_millis(3_600) {
        tick.tick().await;
        client.send(&HEARTBEAT).await;
    }
    queue.gate.add_permits(1);
    assert_eq!(client.hear().await, answer(1, r#""done""#));
    assert_eq!(app.sessions().count(), 1);
}

/// Eight times what may wait; the end of the stream is only noticed behind all of them.
#[tokio::test]
async fn heartbeats_do_not_wait_behind_a_pending_call() {
    let (app, queue, mut client) = queue(|_| {}).await;
    client.send(&notify("game.queue.note", "")).await;
    client.send(&HEARTBEAT.repeat(2 << 20)).await;
    client.stream.shutdown().await.expect("shut down");
    eventually("it is closed", || app.counts().closed("client") == 1).await;
    assert_eq!((app.counts().full_backlogs, app.counts().dropped_messages), (0, 1));
    queue.gate.add_permits(1);
    eventually("the call is finished", || app.counts().late_answers == 1).await;
}

#[tokio::test]
async fn a_silent_client_is_closed_behind_a_pending_call_too() {
    let (app, _queue, mut client) = queue(beat_every_second).await;
    assert_eq!(client.rest().await, []);
    eventually("it is counted", || app.counts().closed("heartbeat") == 1).await;
}

/// It cannot be heard, so its silence says nothing.
#[tokio::test]
async fn a_client_that_is_not_read_is_not_closed_for_its_silence() {
    let (app, queue, mut client) = queue(beat_every_second).await;
    for _ in 0..64 {
        client.send(&notify("game.queue.note", "")).await;
    }
    eventually("its backlog is full", || app.counts().full_backlogs == 1).await;
    client.hears_nothing(Duration::from_millis(3_800)).await;
    assert_eq!(app.sessions().count(), 1, "{:?}", app.counts());
    queue.gate.add_permits(1);
    assert_eq!(client.hear().await, answer(1, r#""done""#));
    eventually("all have run", || queue.seen.load(SeqCst) == 64).await;
}

#[tokio::test]
async fn the_end_of_the_stream_is_noticed_behind_a_pending_call() {
    let (app, queue, mut client) = queue(|_| {}).await;
    for _ in 0..3 {
        client.send(&notify("game.queue.note", "")).await;
    }
    client.stream.shutdown().await.expect("shut down");
    eventually("it is closed", || app.counts().closed("client") == 1).await;
    eventually("what waited is counted", || app.counts().dropped_messages == 3).await;
    queue.gate.add_permits(1);
    eventually("the call is finished", || app.counts().late_answers == 1).await;
    assert_eq!((queue.seen.load(SeqCst), app.sessions().count()), (0, 0));
}
