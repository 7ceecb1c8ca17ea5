//! Options of routes, and how long a handler may take.

use crate::log::Log;
use crate::raw::{RawClient, answer, data, error, notify, request};
use crate::support::{SOON, connect, eventually, serve};
use pitaya_core::wire::MessageKind;
use pitaya_runtime::prelude::*;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Clone)]
struct Yard {
    log: Log,
    gate: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
}

/// Writes how it ended: `done` when it was told so, else `dropped`.
struct Guard<'a>(&'a Yard, &'static str, bool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        self.0.log.push(format!("{} {}", self.1, if self.2 { "done" } else { "dropped" }));
    }
}

impl Yard {
    fn new() -> Self {
        Self { log: Log::default(), gate: Arc::new(Semaphore::new(0)), running: Arc::default() }
    }

    /// Waits for a permit.
    async fn wait(&self, name: &'static str) -> &'static str {
        self.running.fetch_add(1, SeqCst);
        let mut guard = Guard(self, name, false);
        self.gate.acquire().await.expect("open").forget();
        guard.2 = true;
        name
    }

    fn running(&self) -> usize {
        self.running.load(SeqCst)
    }
}

#[handler]
impl Yard {
    pub fn quick(&self) -> &'static str {
        self.log.push("quick");
        "quick"
    }

    pub async fn plain(&self) -> &'static str {
        self.wait("plain").await
    }

    #[route(concurrent)]
    pub async fn aside(&self) -> &'static str {
        self.wait("aside").await
    }

    #[route(cancel)]
    pub async fn frail(&self) -> &'static str {
        self.wait("frail").await
    }

    #[route(concurrent, cancel)]
    pub async fn frail_aside(&self) -> &'static str {
        self.wait("frail_aside").await
    }

    #[route(internal)]
    pub fn secret(&self) -> &'static str {
        self.log.push("secret");
        "secret"
    }

    #[route(notify)]
    pub fn note(&self) {
        self.log.push("note");
    }

    #[route(notify)]
    pub fn bad_note(&self) -> Result<()> {
        Err(Error::bad_request("nobody is told"))
    }

    pub async fn stuck(&self) -> &'static str {
        pending().await
    }

    #[route(concurrent)]
    pub async fn stuck_aside(&self) -> &'static str {
        pending().await
    }

    /// Ends when its client leaves.
    pub async fn until_closed(&self, cx: &Context) -> &'static str {
        self.running.fetch_add(1, SeqCst);
        let mut guard = Guard(self, "until_closed", false);
        cx.closed().await;
        guard.2 = true;
        "closed"
    }
}

async fn yard(configure: impl FnOnce(&mut Config)) -> (App, Yard) {
    let yard = Yard::new();
    (serve(Builder::new("game").handlers(yard.clone()).configure(configure)).await, yard)
}

#[tokio::test]
async fn only_concurrent_routes_are_overtaken() {
    let (app, yard) = yard(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    client.send(&request(1, "game.yard.aside", "")).await;
    assert_eq!(client.ask(2, "game.yard.quick", "").await, answer(2, r#""quick""#));
    client.send(&request(3, "game.yard.plain", "")).await;
    client.send(&request(4, "game.yard.quick", "")).await;
    client.hears_nothing(Duration::from_millis(50)).await;
    assert_eq!(yard.running(), 2);
    yard.gate.add_permits(2);
    let mut said = vec![client.hear().await, client.hear().await, client.hear().await];
    let plain = said.iter().position(|said| *said == answer(3, r#""plain""#)).expect("answered");
    let quick = said.iter().position(|said| *said == answer(4, r#""quick""#)).expect("answered");
    assert!(plain < quick, "{said:?}");
    said.retain(|said| *said == answer(1, r#""aside""#));
    assert_eq!(said.len(), 1);
}

#[tokio::test]
async fn no_more_concurrent_calls_run_than_the_limit_allows() {
    let (app, yard) = yard(|config| config.limits.inflight = 4).await;
    let mut client = RawClient::open(&app).await;
    for id in 1..=10 {
        client.send(&request(id, "game.yard.aside", "")).await;
    }
    eventually("as many as may run", || yard.running() == 4).await;
    client.hears_nothing(Duration::from_millis(50)).await;
    assert_eq!(yard.running(), 4);
    eventually("no other has begun", || app.counts().messages == 4).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        yard.gate.add_permits(1);
        let crate::raw::Said::Answer(id, _) = client.hear().await else { panic!("an answer") };
        assert!(yard.running() <= 4);
        ids.push(id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>(), "each is answered once");
}

#[tokio::test]
async fn a_call_whose_client_left_is_finished_unless_its_route_says_cancel() {
    for (method, ending) in [
        ("plain", "plain done"),
        ("aside", "aside done"),
        ("frail", "frail dropped"),
        ("frail_aside", "frail_aside dropped"),
    ] {
        let (app, yard) = yard(|_| {}).await;
        let mut client = RawClient::open(&app).await;
        client.send(&request(1, &format!("game.yard.{method}"), "")).await;
        eventually("it runs", || yard.running() == 1).await;
        drop(client);
        eventually("the client is gone", || app.sessions().count() == 0).await;
        let kept = ending.ends_with("done");
        if kept {
            // Nothing happened to it so far.
            assert_eq!((yard.running(), yard.log.all()), (1, vec![]));
        } else {
            eventually("it is dropped", || yard.running() == 0).await;
        }
        yard.gate.add_permits(1);
        eventually("it has ended", || yard.log.len() == 1).await;
        assert_eq!(yard.log.all(), [ending]);
        eventually("its answer is counted", || app.counts().late_answers == u64::from(kept)).await;
    }
}

#[tokio::test]
async fn a_handler_can_learn_that_its_client_left() {
    let (app, yard) = yard(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    client.send(&request(1, "game.yard.until_closed", "")).await;
    eventually("it runs", || yard.running() == 1).await;
    drop(client);
    eventually("it has ended", || yard.log.len() == 1).await;
    assert_eq!(yard.log.all(), ["until_closed done"]);
}

#[tokio::test]
async fn an_internal_route_does_not_exist_for_clients() {
    let (app, yard) = yard(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    assert_eq!(client.ask(1, "game.yard.secret", "").await, error(1, "PIT-404"));
    assert_eq!(client.ask(2, "yard.secret", "").await, error(2, "PIT-404"));
    client.send(&notify("game.yard.secret", "")).await;
    // In the very words of a route that is not there.
    let client = connect(&app).await;
    let text = client.request_raw("game.yard.secret", "").await.expect_err("hidden").to_string();
    let none = client.request_raw("game.yard.nothing", "").await.expect_err("not there").to_string();
    assert_eq!(text.replace("secret", "nothing"), none);
    assert_eq!(yard.log.len(), 0);
}

#[tokio::test]
async fn requests_to_notifies_are_refused_and_notifies_to_requests_run_unanswered() {
    let (app, yard) = yard(|_| {}).await;
    let client = connect(&app).await;
    let refused = client.request_raw("game.yard.note", "").await.expect_err("refused");
    assert_eq!(refused.to_string(), "PIT-400: tried to request a notify route");
    let mut raw = RawClient::open(&app).await;
    raw.send(&notify("game.yard.quick", "")).await;
    raw.send(&notify("game.yard.note", "")).await;
    raw.send(&notify("game.yard.bad_note", "")).await;
    raw.send(&notify("game.yard.nothing", "")).await;
    // The one answer there is comes behind them all.
    assert_eq!(raw.ask(1, "game.yard.quick", "").await, answer(1, r#""quick""#));
    assert_eq!(yard.log.all(), ["quick", "note", "quick"]);
    assert_eq!(app.counts().failed_notifies, 2);
}

#[tokio::test]
async fn a_request_with_id_0_runs_and_is_counted_and_not_answered() {
    let (app, yard) = yard(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    client.send(&data(MessageKind::Request, 0, "game.yard.quick".into(), b"")).await;
    client.send(&data(MessageKind::Request, 0, "game.yard.nothing".into(), b"")).await;
    assert_eq!(client.ask(1, "game.yard.quick", "").await, answer(1, r#""quick""#));
    assert_eq!((yard.log.len(), app.counts().requests_without_id), (2, 2));
}

#[tokio::test]
async fn equal_ids_in_flight_are_answered_once_each_in_order() {
    let (app, yard) = yard(|_| {}).await;
    let mut client = RawClient::open(&app).await;
    for _ in 0..20 {
        client.send(&request(7, "game.yard.plain", "")).await;
    }
    client.send(&request(8, "game.yard.quick", "")).await;
    yard.gate.add_permits(20);
    for _ in 0..20 {
        assert_eq!(client.hear().await, answer(7, r#""plain""#));
    }
    assert_eq!(client.hear().await, answer(8, r#""quick""#));
}

#[tokio::test]
async fn the_hard_limit_answers_for_a_handler_and_the_session_goes_on() {
    let (app, _yard) = yard(|config| config.limits.handler.hard = Duration::from_millis(100)).await;
    let client = connect(&app).await;
    for (method, overdue) in [("stuck", 1), ("stuck_aside", 2)] {
        let late = client.request_raw(&format!("game.yard.{method}"), "").await.expect_err("too long");
        assert_eq!(late.code(), Some("PIT-408"), "{late}");
        assert_eq!(app.counts().overdue_handlers, overdue);
    }
    assert_eq!(client.request_raw("game.yard.quick", "").await.expect("served"), r#""quick""#);
}

#[tokio::test]
async fn a_handler_over_the_soft_limit_is_counted_once_and_goes_on() {
    let limits = |config: &mut Config| {
        // The warning does not wait for a beat.
        config.heartbeat.interval = Duration::from_secs(60);
        config.limits.handler.soft = Duration::from_millis(100);
    };
    let (app, yard) = yard(limits).await;
    let client = connect(&app).await;
    let call = tokio::spawn({
        let client = client.with_timeout(SOON);
        async move { client.request_raw("game.yard.plain", "").await }
    });
    eventually("it is counted", || app.counts().slow_handlers == 1).await;
    yard.gate.add_permits(1);
    assert_eq!(call.await.expect("no panic").expect("an answer"), r#""plain""#);
    assert_eq!((app.counts().slow_handlers, app.counts().overdue_handlers), (1, 0));
}

/// The mistake that keeps all other sessions of the thread waiting.
#[tokio::test]
async fn a_handler_that_blocks_its_thread_is_warned_of_where_metrics_are_on() {
    struct Blocks;
    #[handler]
    impl Blocks {
        pub fn long(&self) -> &'static str {
            std::thread::sleep(Duration::from_millis(30));
            "long"
        }
    }
    let (log, _guard) = crate::log::captured();
    let builder = Builder::new("game").handlers(Blocks).configure(|config| {
        config.metrics.prometheus.enabled = true;
        config.metrics.prometheus.host = "127.0.0.1".to_owned();
        config.metrics.prometheus.port = 0;
        config.limits.handler.soft = Duration::from_millis(20);
    });
    let app = crate::support::serve(builder).await;
    assert_eq!(connect(&app).await.request_raw("game.blocks.long", "").await.expect("served"), r#""long""#);
    eventually("it is counted", || app.counts().slow_handlers == 1).await;
    let warned = |line: &String| line.contains("handler blocked its thread route=\"game.blocks.long\"");
    assert!(log.all().iter().any(warned), "{:?}", log.all());
}
