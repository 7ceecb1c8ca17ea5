//! How an app stops.

use crate::log::{Log, captured, captured_from};
use crate::raw::{RawClient, answer, request};
use crate::support::{SOON, connect, eventually, serve};
use pitaya_runtime::StartError;
use pitaya_runtime::prelude::*;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

#[derive(Clone)]
struct Room {
    log: Log,
    gate: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
}

/// Counts a call that ends, one way or the other.
struct Ends<'a>(&'a Room);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Room {
    fn new() -> Self {
        Self { log: Log::default(), gate: Arc::new(Semaphore::new(0)), running: Arc::default() }
    }

    fn running(&self) -> usize {
        self.running.load(SeqCst)
    }

    fn begin(&self) -> Ends<'_> {
        self.running.fetch_add(1, SeqCst);
        Ends(self)
    }
}

#[handler]
impl Room {
    pub async fn wait(&self) -> &'static str {
        let _ends = self.begin();
        self.gate.acquire().await.expect("open").forget();
        "done"
    }

    #[route(concurrent)]
    pub async fn wait_aside(&self) -> &'static str {
        self.wait().await
    }

    pub fn quick(&self) -> &'static str {
        "quick"
    }

    pub async fn stuck(&self) -> &'static str {
        let _ends = self.begin();
        pending().await
    }

    #[route(concurrent)]
    pub async fn stuck_aside(&self) -> &'static str {
        self.stuck().await
    }

    #[on(init)]
    async fn init(&self) {
        self.log.push("first init");
    }
    #[on(after_init)]
    async fn after_init(&self) {
        self.log.push("first after_init");
    }
    #[on(session_closed)]
    async fn closed(&self) {
        self.log.push("closed");
    }
    #[on(before_shutdown)]
    async fn before_shutdown(&self) -> Result<()> {
        self.log.push("first before_shutdown");
        Err(Error::internal("an error at the end ends nothing"))
    }
    #[on(shutdown)]
    async fn shutdown(&self) {
        self.log.push("first shutdown");
    }
}

struct Second(Log);

#[handler]
impl Second {
    #[on(init)]
    fn init(&self) {
        self.0.push("second init");
    }
    #[on(after_init)]
    fn after_init(&self) {
        self.0.push("second after_init");
    }
    #[on(before_shutdown)]
    fn before_shutdown(&self) -> Result<()> {
        self.0.push("second before_shutdown");
        Err(Error::internal("an error at the end ends nothing"))
    }
    #[on(shutdown)]
    fn shutdown(&self) {
        self.0.push("second shutdown");
    }
}

async fn room(timeout: Duration) -> (App, Room) {
    let room = Room::new();
    let builder = Builder::new("game").handlers(room.clone()).configure(|c| c.limits.shutdown.timeout = timeout);
    (serve(builder).await, room)
}

/// That nobody can come in any more.
async fn refuses(app: &App) {
    let begun = Instant::now();
    while TcpStream::connect(app.addresses()[0]).await.is_ok() {
        assert!(begun.elapsed() < SOON, "connections are still accepted");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_clients_have_sent_is_answered_before_they_are_closed() {
    let (app, room) = room(SOON).await;
    let (mut client, mut idle) = (RawClient::open(&app).await, RawClient::open(&app).await);
    client.send(&request(1, "game.room.wait_aside", "")).await;
    client.send(&request(2, "game.room.wait", "")).await;
    client.send(&request(3, "game.room.quick", "")).await;
    eventually("both calls run", || room.running() == 2).await;
    let stopping = tokio::spawn({
        let app = app.clone();
        async move { app.shutdown().await }
    });
    refuses(&app).await;
    // Whoever has nothing to wait for is closed at once, the other when its calls are done.
    assert_eq!(idle.rest().await, []);
    client.hears_nothing(Duration::from_millis(50)).await;
    assert_eq!((app.sessions().count(), stopping.is_finished()), (1, false));
    room.gate.add_permits(2);
    let mut said = client.rest().await;
    said.sort_by_key(|said| format!("{said:?}"));
    assert_eq!(said, [answer(1, r#""done""#), answer(2, r#""done""#), answer(3, r#""quick""#)]);
    timeout(SOON, stopping).await.expect("in time").expect("no panic");
    assert_eq!((app.counts().closed("shutdown"), app.counts().late_answers), (2, 0));
}

#[tokio::test]
async fn hooks_run_in_order_at_the_start_and_reversed_at_the_end() {
    let (room, log) = (Room::new(), Log::default());
    let room = Room { log: log.clone(), ..room };
    let app = serve(Builder::new("game").handlers(room).handlers(Second(log.clone()))).await;
    let _client = connect(&app).await;
    app.shutdown().await;
    let expected = [
        "first init",
        "second init",
        "first after_init",
        "second after_init",
        "closed",
        "second before_shutdown",
        "first before_shutdown",
        "second shutdown",
        "first shutdown",
    ];
    assert_eq!(log.all(), expected);
}

#[tokio::test]
async fn stuck_handlers_are_cut_off_when_the_time_is_over() {
    let limit = Duration::from_millis(300);
    for method in ["stuck", "stuck_aside"] {
        let (app, room) = room(limit).await;
        let mut client = RawClient::open(&app).await;
        client.send(&request(1, &format!("game.room.{method}"), "")).await;
        eventually("it is stuck", || room.running() == 1).await;
        let begun = Instant::now();
        timeout(SOON, app.shutdown()).await.expect("the time is over");
        let took = begun.elapsed();
        assert!(took >= limit, "{method}: {took:?}");
        assert_eq!(client.rest().await, []);
        assert_eq!((room.running(), app.sessions().count()), (0, 0), "{method}");
        let log = room.log.all();
        assert_eq!(log[2..], ["closed", "first before_shutdown", "first shutdown"], "{method}");
    }
}

/// The client is gone, its call is not.
#[tokio::test]
async fn a_call_without_a_client_is_cut_off_too() {
    let (app, room) = room(Duration::from_millis(300)).await;
    let mut client = RawClient::open(&app).await;
    client.send(&request(1, "game.room.stuck", "")).await;
    eventually("it is stuck", || room.running() == 1).await;
    drop(client);
    eventually("the client is gone", || app.sessions().count() == 0).await;
    timeout(SOON, app.shutdown()).await.expect("the time is over");
    assert_eq!(room.running(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_too() {
    let limits = |config: &mut Config| {
        config.limits.shutdown.timeout = Duration::from_millis(300);
        config.limits.outbox = "64MiB".parse().expect("a size");
        config.handler.messages.compression = false;
    };
    let app = serve(Builder::new("game").handlers(Room::new()).configure(limits)).await;
    let _paused = RawClient::open(&app).await;
    eventually("it is here", || app.sessions().count() == 1).await;
    let session = app.sessions().all().remove(0);
    let filler = vec![0; 1_000_000];
    for _ in 0..20 {
        session.push_raw("onFiller", &filler).expect("it may wait");
        tokio::task::yield_now().await;
    }
    timeout(Duration::from_secs(2), app.shutdown()).await.expect("the time is over");
    assert_eq!((app.sessions().count(), app.counts().closed("shutdown")), (0, 1));
}

#[tokio::test]
async fn timers_stop_and_one_in_progress_is_waited_for() {
    let (app, room) = room(SOON).await;
    let ticks = Arc::new(AtomicUsize::new(0));
    let (counted, slow) = (ticks.clone(), room.clone());
    app.timers()
        .every(Duration::from_millis(1), move || {
            counted.fetch_add(1, SeqCst);
            async {}
        })
        .expect("a timer");
    app.timers()
        .after(Duration::from_millis(1), move || {
            let room = slow.clone();
            async move {
                room.wait().await;
                room.log.push("timer done");
            }
        })
        .expect("a timer");
    eventually("both run", || ticks.load(SeqCst) > 3 && room.running() == 1).await;
    let gate = room.gate.clone();
    tokio::join!(app.shutdown(), async move {
        sleep(Duration::from_millis(50)).await;
        gate.add_permits(1);
    });
    assert_eq!(room.log.all()[2..], ["timer done", "first before_shutdown", "first shutdown"]);
    let stopped = ticks.load(SeqCst);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(ticks.load(SeqCst), stopped);
}

#[tokio::test]
async fn every_call_of_shutdown_waits_for_the_same_end() {
    let (app, room) = room(SOON).await;
    let mut client = RawClient::open(&app).await;
    client.send(&request(1, "game.room.wait", "")).await;
    eventually("it runs", || room.running() == 1).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let app = app.clone();
        calls.spawn(async move { app.shutdown().await });
    }
    assert!(timeout(Duration::from_millis(50), calls.join_next()).await.is_err(), "one did not wait");
    room.gate.add_permits(1);
    assert_eq!(timeout(SOON, calls.join_all()).await.expect("in time").len(), 3);
    timeout(SOON, app.shutdown()).await.expect("at once");
    assert_eq!(room.log.all().iter().filter(|line| *line == "first shutdown").count(), 1);
}

#[tokio::test]
async fn an_app_that_was_never_started_stops_at_once_and_cannot_start() {
    let app = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).build().expect("valid");
    timeout(SOON, app.shutdown()).await.expect("at once");
    assert!(matches!(app.start().await, Err(StartError::Again)));
}

#[tokio::test]
async fn an_app_runs_until_it_is_told_to_end() {
    let room = Room::new();
    let app = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).handlers(room.clone()).build().expect("valid");
    let end = Arc::new(Semaphore::new(0));
    let (running, asked) = (app.clone(), end.clone());
    let run = tokio::spawn(async move { running.run_until(async move { drop(asked.acquire().await) }).await });
    eventually("it listens", || !app.addresses().is_empty()).await;
    assert_eq!(connect(&app).await.request_raw("game.room.quick", "").await.expect("served"), r#""quick""#);
    end.add_permits(1);
    timeout(SOON, run).await.expect("in time").expect("no panic").expect("it had started");
    assert_eq!(room.log.all().last().map(String::as_str), Some("first shutdown"));
}

/// Whether its start had begun or not.
#[tokio::test]
async fn an_app_that_is_told_to_end_at_once_ends() {
    for _ in 0..20 {
        let app = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).build().expect("valid");
        let ran = timeout(SOON, app.run_until(async {})).await.expect("in time");
        assert!(matches!(ran, Ok(()) | Err(StartError::Interrupted { .. })), "{ran:?}");
    }
}

#[tokio::test]
async fn nothing_keeps_an_app_that_has_stopped() {
    for method in ["quick", "stuck", "stuck_aside"] {
        let (value, component) = (Arc::new(()), Arc::new(Room::new()));
        let weak: [Weak<()>; 1] = [Arc::downgrade(&value)];
        let held = Arc::downgrade(&component);
        let builder = Builder::new("game")
            .state(value)
            .shared_handlers(component)
            .leave_groups_on_close()
            .configure(|config| config.limits.shutdown.timeout = Duration::from_millis(200));
        let app = serve(builder).await;
        let (asking, owned) = (app.clone(), connect(&app).await);
        app.timers()
            .every(Duration::from_secs(60), move || {
                let _app = asking.clone();
                async {}
            })
            .expect("a timer");
        let call = tokio::spawn(async move { owned.request_raw(&format!("game.room.{method}"), "").await });
        eventually("it is called", || app.counts().messages == 1).await;
        timeout(SOON, app.shutdown()).await.expect("in time");
        let _ = call.await;
        drop(app);
        eventually(method, || weak[0].strong_count() == 0 && held.strong_count() == 0).await;
    }
}

#[tokio::test]
async fn a_shutdown_names_what_it_did_not_wait_for() {
    let (log, _guard) = captured();
    let (app, room) = room(Duration::from_millis(100)).await;
    app.timers().named("hang").every(Duration::from_millis(1), || async { pending().await }).expect("a timer");
    app.timers().named("quick").every(Duration::from_millis(1), || async {}).expect("a timer");
    let mut clients = Vec::new();
    for method in ["stuck", "stuck", "stuck_aside"] {
        let mut client = RawClient::open(&app).await;
        client.send(&request(1, &format!("game.room.{method}"), "")).await;
        clients.push(client);
    }
    eventually("they are stuck", || room.running() == 3).await;
    timeout(SOON, app.shutdown()).await.expect("the time is over");
    let lines = log.all();
    let line =
        lines.iter().find(|line| line.contains("still busy after 100ms: ")).unwrap_or_else(|| panic!("{lines:?}"));
    let (_, named) = line.split_once("still busy after 100ms: ").expect("found");
    assert_eq!(named, "timers hang; handlers game.room.stuck (x2), game.room.stuck_aside; 3 sessions");
}

#[tokio::test]
async fn a_shutdown_says_what_it_waits_for() {
    let (log, _guard) = captured_from(tracing::Level::INFO);
    let (app, room) = room(Duration::from_secs(3)).await;
    let mut client = RawClient::open(&app).await;
    client.send(&request(1, "game.room.wait", "")).await;
    eventually("it waits", || room.running() == 1).await;
    let stopping = tokio::spawn({
        let app = app.clone();
        async move { app.shutdown().await }
    });
    let waits = |line: &String| line.contains("shutdown waits") && line.contains("handlers game.room.wait; 1 sessions");
    eventually("it says so", || log.all().iter().any(waits)).await;
    let begun = |line: &String| line.contains("shutdown begins sessions=1 timers=0 timeout=3s");
    assert!(log.all().iter().any(begun), "{:?}", log.all());
    room.gate.add_permits(1);
    timeout(SOON, stopping).await.expect("in time").expect("no panic");
}
