//! A start that fails is told, every time, however the app was started.

use crate::support::{SOON, eventually};
use pitaya_runtime::StartError;
use pitaya_runtime::prelude::*;
use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::Semaphore;
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
    let failed = |error: &StartError| matches!(error, StartError::Component(text) if text.contains("no table"));
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
    always_fails(build, |error| matches!(error, StartError::Bind { acceptor, .. } if acceptor.starts_with("http")))
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
    let away = |error: &StartError| matches!(error, StartError::Cluster(text) if text.contains("NATS"));
    always_fails(build, away).await;
}

/// Asked to end while a component initialises, which then fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_after_its_app_was_asked_to_end() {
    #[derive(Clone)]
    struct Slow {
        begun: Arc<Semaphore>,
        gate: Arc<Semaphore>,
    }
    #[handler]
    impl Slow {
        #[on(init)]
        async fn init(&self) -> Result<()> {
            self.begun.add_permits(1);
            self.gate.acquire().await.expect("open").forget();
            Err(Error::new("GAME-2", "too late"))
        }
    }
    for _ in 0..RUNS {
        let slow = Slow { begun: Arc::new(Semaphore::new(0)), gate: Arc::new(Semaphore::new(0)) };
        let app = free().handlers(slow.clone()).build().expect("valid");
        let run = tokio::spawn({
            let (app, begun) = (app.clone(), slow.begun.clone());
            async move { app.run_until(async move { drop(begun.acquire().await) }).await }
        });
        eventually("it was asked to end", || app.health().problem("app") == Some("stopping")).await;
        slow.gate.add_permits(1);
        let error = timeout(SOON, run).await.expect("in time").expect("no panic").expect_err("the start failed");
        assert!(error.to_string().contains("too late"), "{error}");
    }
}
