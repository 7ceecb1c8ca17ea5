//! Clients that never stop asking, and what became of each request.

use parking_lot::Mutex;
use pitaya_client::{Client, RequestError};
use pitaya_runtime::prelude::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// One request: when it was resolved, and with which code if not with an answer.
pub type Resolved = (Instant, Option<String>);

#[derive(Default)]
struct Log {
    resolved: Mutex<Vec<Resolved>>,
    over: AtomicBool,
}

pub struct Load {
    log: Arc<Log>,
    clients: JoinSet<Client>,
}

impl Load {
    /// So many clients ask for this route, each again after a pause.
    pub async fn start(front: &App, clients: usize, pause: Duration, route: &'static str) -> Self {
        Self::start_at(front.addresses()[0], clients, pause, route).await
    }

    /// The same with the address of a frontend, which may be another process.
    pub async fn start_at(front: SocketAddr, clients: usize, pause: Duration, route: &'static str) -> Self {
        let log = Arc::new(Log::default());
        let mut tasks = JoinSet::new();
        for n in 0..clients {
            let client = Client::connect(&format!("tcp://{front}")).await.expect("the frontend accepts");
            // It is the servers that say what becomes of a request, however long one of them stands still.
            let client = client.with_timeout(Duration::from_secs(60));
            let log = log.clone();
            tasks.spawn(async move {
                let mut beat = tokio::time::interval(pause);
                let mut number = 0_u64;
                while !log.over.load(Relaxed) {
                    beat.tick().await;
                    number += 1;
                    let body = format!("{n}-{number}");
                    let code = match client.request_raw(route, body.clone()).await {
                        Ok(answer) => {
                            assert_eq!(&answer[..], body.as_bytes(), "its own answer");
                            None
                        }
                        Err(RequestError::Server(error)) => Some(error.code().to_owned()),
                        Err(error) => panic!("a request of client {n} has no outcome: {error}"),
                    };
                    log.resolved.lock().push((Instant::now(), code));
                }
                client
            });
        }
        Self { log, clients: tasks }
    }

    /// Waits for an answer to a request that is resolved after `then`; how long it took.
    pub async fn first_success_after(&self, then: Instant) -> Duration {
        loop {
            let first = self
                .log
                .resolved
                .lock()
                .iter()
                .rev()
                .take_while(|(at, _)| *at >= then)
                .filter(|(_, code)| code.is_none())
                .map(|(at, _)| *at)
                .last();
            if let Some(first) = first {
                return first - then;
            }
            assert!(then.elapsed() < Duration::from_secs(20), "no answer since");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn answered(&self) -> usize {
        self.log.resolved.lock().iter().filter(|(_, code)| code.is_none()).count()
    }

    /// Stops, when the last request of each client has its outcome. Nobody was disconnected, and all were told once.
    pub async fn stop(self) -> Vec<Resolved> {
        self.log.over.store(true, Relaxed);
        for client in self.clients.join_all().await {
            assert!(client.close_reason().is_none(), "no client is disconnected: {:?}", client.close_reason());
            assert_eq!(client.counters().late_answers, 0, "no answer comes twice");
        }
        std::mem::take(&mut *self.log.resolved.lock())
    }
}

/// How many requests had each code.
pub fn codes(resolved: &[Resolved]) -> BTreeMap<&str, usize> {
    let mut codes = BTreeMap::new();
    for code in resolved.iter().filter_map(|(_, code)| code.as_deref()) {
        *codes.entry(code).or_default() += 1;
    }
    codes
}
