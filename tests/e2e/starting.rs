//! A start that fails is told, every time, however the app was started.

use crate::support::{SOON, eventually};
use pitaya_runtime::StartError;
use pitaya_runtime::prelude::*;
use std::future::pending;
use std::net::TcpListener;
use tokio::time::timeout;

/// Runs of each fault: one that is told in half of the cases is found in all of a thousand billion test runs but one.
const RUNS: usize = 50;

struct Fails;

#[handler]
impl Fails {
    #[on(init)]
    fn init(&self) -> Result<()> {
        Err(Error::new("GAME-1", "no table"))
    }
}

fn free() -> Builder {
    Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0"))
}

/// Runs the app in both ways, again and again.
async fn always_fails(build: impl Fn() -> Builder, expected: impl Fn(&StartError) -> bool) {
    for run in 0..RUNS {
        let app = build().build().expect("a valid app");
        let ran = match run % 2 {
            0 => timeout(SOON, app.run()).await,
            _ => timeout(SOON, app.run_until(pending())).await,
        };
        let error = ran.expect("in time").expect_err("the start failed");
        assert!(expected(&error), "run {run}: {error}");
        assert_eq!(format!("{error:?}"), error.to_string(), "`main` prints the one, people read the other");
        timeout(SOON, app.stopped()).await.expect("nothing keeps running");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_fails() {
    let failed =
        |error: &StartError| matches!(error, StartError::Component(text) if text == "Init of Fails failed: no table");
    always_fails(|| free().handlers(Fails), failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let build = || Builder::new("game").acceptor(Tcp::bind(&address));
    always_fails(build, |error| matches!(error, StartError::Bind { .. })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_admin_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let build = || {
        free().configure(|config| {
            config.health.enabled = true;
            config.metrics.prometheus.host = "127.0.0.1".to_owned();
            config.metrics.prometheus.port = port;
        })
    };
    always_fails(build, |error| matches!(error, StartError::Admin { .. } if error.to_string().contains("set pitaya.metrics.prometheus.host and")))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_away() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("nats://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let build = || {
        free().clustered().configure(|config| {
            for nats in [&mut config.cluster.rpc.client.nats.connect, &mut config.cluster.rpc.server.nats.connect] {
                nats.clone_from(&address);
            }
            config.cluster.rpc.client.nats.maxreconnectionretries = 0;
        })
    };
    let away =
        |error: &StartError| matches!(error, StartError::Cluster(text) if text.starts_with("cannot connect to NATS"));
    always_fails(build, away).await;
}

/// Components of which the second does not come to an end of its `init`.
mod hanging {
    use super::*;
    use crate::log::Log;

    pub struct First(pub Log);
    #[handler]
    impl First {
        #[on(init)]
        fn init(&self) {
            self.0.push("first init");
        }
        #[on(before_shutdown)]
        fn prepare(&self) {
            self.0.push("first before_shutdown");
        }
        #[on(shutdown)]
        fn end(&self) {
            self.0.push("first shutdown");
        }
    }

    pub struct Hangs(pub Log);
    #[handler]
    impl Hangs {
        #[on(init)]
        async fn init(&self) {
            self.0.push("hangs");
            eprintln!("hangs");
            pending().await
        }
        #[on(shutdown)]
        fn end(&self) {
            self.0.push("never: its init has not completed");
        }
    }

    /// Mounted behind the one that hangs.
    pub struct Last(pub Log);
    #[handler]
    impl Last {
        #[on(shutdown)]
        fn end(&self) {
            self.0.push("never: it was not reached");
        }
    }

    pub fn app(log: &Log) -> App {
        let builder = free().handlers(First(log.clone())).handlers(Hangs(log.clone())).handlers(Last(log.clone()));
        builder.build().expect("valid")
    }
}

/// What had started is stopped, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_interrupted() {
    for by_end in [true, false] {
        let log = crate::log::Log::default();
        let app = hanging::app(&log);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let run = tokio::spawn({
            let app = app.clone();
            async move { app.run_until(async move { drop(ended.await) }).await }
        });
        eventually("it hangs", || log.all().last().is_some_and(|line| line == "hangs")).await;
        if by_end {
            drop(end);
        } else {
            timeout(SOON, app.shutdown()).await.expect("in time");
        }
        let error = timeout(SOON, run).await.expect("in time").expect("no panic").expect_err("it has not started");
        assert!(matches!(&error, StartError::Interrupted { step } if step == "Init of Hangs"), "{error}");
        assert_eq!(error.to_string(), "asked to stop before it had started, while waiting for Init of Hangs");
        assert_eq!(log.all(), ["first init", "hangs", "first before_shutdown", "first shutdown"]);
    }
}

/// A failure of `init` is told with its causes, and without codes for clients.
#[tokio::test]
async fn an_init_that_fails_or_panics_ends_what_had_begun_and_nothing_else() {
    #[derive(Debug)]
    struct NoTable(std::io::Error);
    impl std::fmt::Display for NoTable {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no table")
        }
    }
    impl std::error::Error for NoTable {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    struct Bad(crate::log::Log, bool);
    #[handler]
    impl Bad {
        #[on(init)]
        fn init(&self) -> Result<(), NoTable> {
            assert!(!self.1, "on purpose");
            Err(NoTable(std::io::Error::other("connection refused")))
        }
        #[on(before_shutdown)]
        fn prepare(&self) {
            self.0.push("never: it had no init");
        }
        #[on(shutdown)]
        fn end(&self) {
            self.0.push("never: it had no init");
        }
    }
    for panics in [false, true] {
        let log = crate::log::Log::default();
        let app = free().handlers(hanging::First(log.clone())).handlers(Bad(log.clone(), panics));
        let app = app.handlers(hanging::Last(log.clone())).build().expect("valid");
        let error = timeout(SOON, app.run()).await.expect("in time").expect_err("it failed").to_string();
        let expected = if panics { "it panicked" } else { "no table: connection refused" };
        assert_eq!(error, format!("Init of Bad failed: {expected}"));
        assert_eq!(log.all(), ["first init", "first before_shutdown", "first shutdown"]);
    }
}

/// The program of the test below, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below"]
async fn program() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let app = match std::env::var("STARTS").as_deref() {
        Ok("hangs") => hanging::app(&crate::log::Log::default()),
        _ => {
            let away = "nats://127.0.0.1:1".to_owned();
            let builder = free().clustered().configure(|config| {
                config.cluster.rpc.client.nats.connect.clone_from(&away);
                config.cluster.rpc.server.nats.connect.clone_from(&away);
            });
            builder.build().expect("valid")
        }
    };
    match app.run().await {
        Ok(()) => eprintln!("it has run"),
        Err(error) => eprintln!("no start: {error}"),
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_start_at_once() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    for (starts, waits, step) in
        [("hangs", "hangs", "Init of Hangs"), ("nats", "waiting for NATS", "the transport between servers")]
    {
        for signal in ["-INT", "-TERM"] {
            let mut command = Command::new(std::env::current_exe().expect("this test"));
            command.args(["starting::program", "--exact", "--ignored", "--nocapture"]).env("STARTS", starts);
            command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("it starts");
            let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
            assert!(said.any(|line| line.contains(waits)), "{starts}: it does not wait");
            let killed =
                Command::new("kill").args([signal, &child.id().to_string()]).status().expect("there is a kill");
            assert!(killed.success());
            let rest: Vec<String> = said.collect();
            child.wait().expect("it ends");
            let has = |text: &str| assert!(rest.iter().any(|line| line.contains(text)), "no `{text}` in {rest:#?}");
            has("start interrupted");
            has(&format!("no start: asked to stop before it had started, while waiting for {step}"));
            assert!(rest.iter().filter(|line| line.contains("waiting for NATS")).count() < 2, "{rest:#?}");
        }
    }
}
