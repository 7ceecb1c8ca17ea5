//! Messages of one session reach the handlers in the order in which they were sent.

use crate::support::{SOON, connect, serve};
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::Notify;

const SESSIONS: u64 = 100;
const MESSAGES: u64 = 10_000;

/// Counts what it is told; each session's numbers must rise by one.
struct Counter {
    /// The last number of each session, by its id.
    last: Vec<AtomicU64>,
    total: AtomicU64,
    wrong: AtomicU64,
    done: Notify,
}

impl Counter {
    fn take(&self, session: &Session, raw: &Raw) -> Result<()> {
        let number = u64::from_be_bytes(raw.0[..8].try_into()?);
        let last = &self.last[usize::try_from(session.id())?];
        if last.swap(number, Relaxed) + 1 != number {
            self.wrong.fetch_add(1, Relaxed);
        }
        if self.total.fetch_add(1, Relaxed) + 1 == SESSIONS * MESSAGES {
            self.done.notify_one();
        }
        Ok(())
    }
}

#[handler]
impl Counter {
    /// Ready at once.
    #[route(notify)]
    pub fn now(&self, session: &Session, raw: Raw) -> Result<()> {
        self.take(session, &raw)
    }

    /// Pending at its first poll, now and then for longer.
    #[route(notify)]
    pub async fn later(&self, session: &Session, raw: Raw) -> Result<()> {
        tokio::task::yield_now().await;
        if raw.0[7] == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        self.take(session, &raw)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_million_numbered_messages_on_100_sessions_rise_strictly() {
    let last = (0..=SESSIONS).map(|_| AtomicU64::new(0)).collect();
    let (total, wrong, done) = (AtomicU64::new(0), AtomicU64::new(0), Notify::new());
    let counter = Arc::new(Counter { last, total, wrong, done });
    let app = serve(Builder::new("game").shared_handlers(counter.clone())).await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SESSIONS {
        let client = connect(&app).await;
        senders.spawn(async move {
            for number in 1..=MESSAGES {
                // Mixed, so that a pending turn would be overtaken by a ready one if it could be.
                let route = if number % 3 == 0 { "game.counter.later" } else { "game.counter.now" };
                client.notify_raw(route, number.to_be_bytes().to_vec()).await.expect("sent");
            }
            client
        });
    }
    let _clients = senders.join_all().await;
    tokio::time::timeout(SOON * 6, counter.done.notified()).await.expect("all messages arrive");
    assert_eq!(counter.wrong.load(Relaxed), 0, "messages out of order");
    // Counted when a read is done with, which may be a little after its last handler.
    app.shutdown().await;
    assert_eq!(app.counts().messages, SESSIONS * MESSAGES);
}
