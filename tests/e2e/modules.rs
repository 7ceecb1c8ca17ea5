//! Modules start before the components and stop after them, whatever any of them does.

use crate::log::Log;
use crate::support::{SOON, connect, serve};
use pitaya_runtime::prelude::*;
use pitaya_runtime::{Problem, StartError};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What a module does at one of its moments.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    Fails,
    Panics,
    Hangs,
}

struct Part {
    name: &'static str,
    log: Log,
    fault: Option<(&'static str, Fault)>,
}

impl Part {
    fn new(name: &'static str, log: &Log) -> Self {
        Self { name, log: log.clone(), fault: None }
    }

    fn with(self, moment: &'static str, fault: Fault) -> Self {
        Self { fault: Some((moment, fault)), ..self }
    }

    async fn at(&self, moment: &'static str) -> Result<()> {
        self.log.push(format!("{} {moment}", self.name));
        match self.fault.filter(|(when, _)| *when == moment) {
            Some((_, Fault::Fails)) => Err(Error::new("PART-1", "on purpose")),
            Some((_, Fault::Panics)) => panic!("on purpose"),
            Some((_, Fault::Hangs)) => pending().await,
            None => Ok(()),
        }
    }
}

impl Module for Part {
    async fn init(&self, _: &App) -> Result<()> {
        self.at("init").await
    }
    async fn after_init(&self, _: &App) -> Result<()> {
        self.at("after_init").await
    }
    async fn before_shutdown(&self, _: &App) -> Result<()> {
        self.at("before_shutdown").await
    }
    async fn shutdown(&self, _: &App) -> Result<()> {
        self.at("shutdown").await
    }
}

struct Room(Log);

#[handler]
impl Room {
    pub fn nothing(&self) -> u8 {
        0
    }
    #[on(init)]
    fn init(&self) {
        self.0.push("room init");
    }
    #[on(after_init)]
    fn after_init(&self) {
        self.0.push("room after_init");
    }
    #[on(session_closed)]
    fn closed(&self) {
        self.0.push("room closed");
    }
    #[on(before_shutdown)]
    fn before_shutdown(&self) {
        self.0.push("room before_shutdown");
    }
    #[on(shutdown)]
    fn shutdown(&self) {
        self.0.push("room shutdown");
    }
}

const START: [&str; 6] = ["a init", "b init", "room init", "a after_init", "b after_init", "room after_init"];
const STOP: [&str; 6] =
    ["room before_shutdown", "b before_shutdown", "a before_shutdown", "room shutdown", "b shutdown", "a shutdown"];

fn game(log: &Log) -> Builder {
    let limit = |config: &mut Config| config.limits.shutdown.timeout = Duration::from_millis(100);
    Builder::new("game").handlers(Room(log.clone())).configure(limit)
}

#[tokio::test]
async fn they_start_before_the_components_and_stop_after_them() {
    let log = Log::default();
    let app = serve(game(&log).module("a", Part::new("a", &log)).module("b", Part::new("b", &log))).await;
    assert_eq!(log.all(), START);
    let _client = connect(&app).await;
    timeout(SOON, app.shutdown()).await.expect("in time");
    assert_eq!(log.all()[6..], [&["room closed"], &STOP[..]].concat());
}

#[tokio::test]
async fn none_keeps_another_from_stopping() {
    for fault in [Fault::Fails, Fault::Panics, Fault::Hangs] {
        for moment in ["before_shutdown", "shutdown"] {
            let log = Log::default();
            let bad = Part::new("b", &log).with(moment, fault);
            let app = serve(game(&log).module("a", Part::new("a", &log)).module("b", bad)).await;
            timeout(SOON, app.shutdown()).await.expect("in time");
            assert_eq!(log.all()[6..], STOP, "{moment} {fault:?}");
        }
    }
}

/// What the log says after a start that failed, and the error.
async fn failed(moment: &'static str, fault: Fault) -> (Vec<String>, StartError) {
    let log = Log::default();
    let app = game(&log)
        .acceptor(Tcp::bind("127.0.0.1:0"))
        .module("a", Part::new("a", &log))
        .module("bad", Part::new("bad", &log).with(moment, fault))
        .module("c", Part::new("c", &log))
        .build()
        .expect("a valid app");
    let error = timeout(SOON, app.start()).await.expect("in time").expect_err("it fails");
    (log.all(), error)
}

#[tokio::test]
async fn one_that_fails_keeps_the_app_from_starting_and_stops_what_had_begun() {
    let (log, error) = failed("init", Fault::Fails).await;
    assert_eq!(log, ["a init", "bad init", "a before_shutdown", "a shutdown"]);
    assert_eq!(error.to_string(), "Init of the module `bad` failed: on purpose");
    assert!(matches!(error, StartError::Module { name, .. } if &*name == "bad"));

    let (_, error) = failed("init", Fault::Panics).await;
    assert_eq!(error.to_string(), "Init of the module `bad` failed: it panicked");

    let (log, error) = failed("after_init", Fault::Fails).await;
    let begun = ["a init", "bad init", "c init", "room init", "a after_init", "bad after_init"];
    let ended = [
        ["room before_shutdown", "c before_shutdown", "bad before_shutdown", "a before_shutdown"],
        ["room shutdown", "c shutdown", "bad shutdown", "a shutdown"],
    ];
    assert_eq!(log, [&begun[..], &ended.concat()].concat());
    assert_eq!(error.to_string(), "AfterInit of the module `bad` failed: on purpose");
}

#[tokio::test]
async fn a_component_that_fails_stops_the_modules_too() {
    struct Bad;
    #[handler]
    impl Bad {
        pub fn nothing(&self) -> u8 {
            0
        }
        #[on(init)]
        fn init(&self) -> Result<()> {
            Err(Error::internal("on purpose"))
        }
    }
    let log = Log::default();
    let app = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).module("a", Part::new("a", &log)).handlers(Bad);
    app.build().expect("valid").start().await.expect_err("it fails");
    assert_eq!(log.all(), ["a init", "a before_shutdown", "a shutdown"]);
}

#[tokio::test]
async fn they_are_found_by_name_and_type() {
    struct Other;
    impl Module for Other {
        async fn init(&self, app: &App) -> Result<()> {
            // Those before it are ready.
            let part = app.module::<Part>("part").ok_or_else(|| Error::internal("no part"))?;
            part.log.push("found");
            Ok(())
        }
    }
    let log = Log::default();
    let builder = Builder::new("game").handlers(Room(log.clone()));
    let app = serve(builder.module("part", Part::new("part", &log)).module("other", Other)).await;
    assert_eq!(log.all()[..2], ["part init", "found"]);
    assert_eq!(app.module::<Part>("part").map(|part| part.name), Some("part"));
    assert!(app.module::<Other>("part").is_none() && app.module::<Part>("nobody").is_none());
    app.shutdown().await;
    assert!(app.module::<Part>("part").is_none(), "a stopped app has none");
}

#[tokio::test]
async fn an_app_and_its_modules_do_not_keep_each_other() {
    struct Keeps(parking_lot::Mutex<Option<App>>);
    impl Module for Keeps {
        async fn init(&self, app: &App) -> Result<()> {
            *self.0.lock() = Some(app.clone());
            Ok(())
        }
    }
    let log = Log::default();
    let app = serve(game(&log).module("keeps", Keeps(parking_lot::Mutex::default()))).await;
    let held = Arc::downgrade(&app.module::<Keeps>("keeps").expect("registered"));
    app.shutdown().await;
    drop(app);
    crate::support::eventually("it is gone", || held.strong_count() == 0).await;
}

#[test]
fn a_name_stands_for_one() {
    let log = Log::default();
    let part = || Part::new("a", &log);
    let builder = Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0"));
    let error = builder.module("a", part()).module("b", part()).module("a", part()).build().expect_err("twice");
    let [Problem::Module(name)] = error.problems() else { panic!("{error}") };
    assert_eq!(name, "a");
    assert!(error.to_string().ends_with("there is more than one module `a`: give each its own name"), "{error}");
}
