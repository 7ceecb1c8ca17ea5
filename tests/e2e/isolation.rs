//! What one session does to the others: nothing.

use crate::support::{SOON, address, connect, eventually, long, median, quantile, serve};
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep_until};

struct Room;

#[handler]
impl Room {
    pub async fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    /// Never returns.
    pub async fn stuck(&self) -> Raw {
        std::future::pending().await
    }

    pub fn panics(&self) -> Raw {
        panic!("on purpose")
    }

    pub async fn panics_later(&self) -> Raw {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }
}

const SESSIONS: usize = 1_000;
const STUCK: usize = 100;

/// Sends requests at a fixed rate, in turn to each of the crowds and over all clients of it, whether answers come or not.
/// Each latency counts from the moment its request was due. What else the machine does falls on all crowds alike.
async fn open_loop<const CROWDS: usize>(
    crowds: [&[Client]; CROWDS],
    per_second: u32,
    time: Duration,
) -> [Vec<Duration>; CROWDS] {
    let gap = Duration::from_secs(1) / per_second;
    let requests = (time.as_secs_f64() * f64::from(per_second)) as usize;
    let start = Instant::now() + Duration::from_millis(5);
    let mut answers = tokio::task::JoinSet::new();
    let mut samples = [const { Vec::new() }; CROWDS];
    for i in 0..requests {
        let due = start + gap * i as u32;
        sleep_until(due).await;
        let (crowd, turn) = (i % CROWDS, i / CROWDS);
        let client = crowds[crowd][turn % crowds[crowd].len()].clone();
        answers.spawn(async move {
            client.request_raw("game.room.echo", "hello").await.expect("an answer");
            (crowd, due.elapsed())
        });
        while let Some(answer) = answers.try_join_next() {
            let (crowd, latency) = answer.expect("no panic");
            samples[crowd].push(latency);
        }
    }
    for (crowd, latency) in answers.join_all().await {
        samples[crowd].push(latency);
    }
    samples
}

/// An app whose first sessions are stuck in a handler each, with a second message behind it; gives the others.
async fn crowd(stuck: usize) -> (App, Vec<Client>, tokio::task::JoinSet<bool>) {
    let app = serve(Builder::new("game").handlers(Room)).await;
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(connect(&app).await);
    }
    let mut waiting = tokio::task::JoinSet::new();
    for client in clients.iter().take(stuck).chain(clients.iter().take(stuck)) {
        let client = client.with_timeout(Duration::from_secs(600));
        waiting.spawn(async move { client.request_raw("game.room.stuck", "").await.is_ok() });
    }
    eventually("every stuck handler runs", || app.counts().messages >= stuck as u64).await;
    clients.drain(..STUCK);
    (app, clients, waiting)
}

/// 900 sessions are served as well while 100 others are stuck for ever as without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_handlers_stop_their_own_sessions_only() {
    let (_calm, calm, _) = crowd(0).await;
    let (app, honest, mut waiting) = crowd(STUCK).await;
    // Far from capacity, so that what is measured is waiting for others and not for the processor.
    let (rate, time, parts) =
        if long() { (4_000, Duration::from_secs(5), 5) } else { (1_000, Duration::from_secs(2), 5) };
    open_loop([&calm, &honest], rate, Duration::from_millis(300)).await;
    let mut ratios = Vec::new();
    for _ in 0..parts {
        let [mut without, mut with] = open_loop([&calm, &honest], rate, time).await;
        ratios.push(quantile(&mut with, 0.99).as_secs_f64() / quantile(&mut without, 0.99).as_secs_f64());
    }
    assert!(waiting.try_join_next().is_none(), "a stuck handler answered");
    assert_eq!(app.sessions().count(), SESSIONS);
    let ratio = median(&mut ratios);
    let bound = if long() { 1.2 } else { 2.4 };
    println!("p99 with stuck sessions / without: {ratio:.2} (parts: {ratios:.2?})");
    assert!(ratio <= bound, "p99 with stuck sessions is {ratio:.2} x the p99 without: {ratios:.2?}");
}

/// A panic answers PIT-500, keeps its session, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_an_answer() {
    let app = serve(Builder::new("game").handlers(Room)).await;
    let (bad, good) = (connect(&app).await, connect(&app).await);
    for _ in 0..20 {
        for route in ["game.room.panics", "game.room.panics_later"] {
            let error = bad.request_raw(route, "").await.expect_err("a panic is an error");
            assert_eq!(error.code(), Some("PIT-500"), "{error}");
            assert!(error.to_string().contains("internal error") && !error.to_string().contains("purpose"));
        }
        assert_eq!(good.request_raw("game.room.echo", "x").await.expect("served"), "x");
    }
    assert_eq!(bad.request_raw("game.room.echo", "y").await.expect("the session goes on"), "y");
    assert_eq!(app.counts().panics, 40);
}

/// A handler in progress when its client goes is finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_leave_leave_nothing() {
    let app = serve(Builder::new("game").handlers(Room)).await;
    for _ in 0..50 {
        let client = connect(&app).await;
        client.request_raw("game.room.echo", "x").await.expect("served");
        client.close().await;
    }
    let address = address(&app);
    let mut churn = tokio::task::JoinSet::new();
    let mut tick = interval(Duration::from_millis(1));
    for _ in 0..200 {
        tick.tick().await;
        let address = address.clone();
        churn.spawn(async move {
            let client = Client::connect(&address).await.expect("accepted");
            drop(client);
        });
    }
    churn.join_all().await;
    eventually("no session is left", || app.sessions().count() == 0).await;
    let counts = app.counts();
    assert_eq!(counts.closed.iter().sum::<u64>(), counts.accepted, "each session is closed once: {counts:?}");
    tokio::time::timeout(SOON, app.shutdown()).await.expect("nothing holds the app");
}
