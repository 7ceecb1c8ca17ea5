//! What one session sends is handled in order, and what it is sent comes in order, across servers too.

use crate::game::Room;
use crate::world::{SOON, World, connect, eventually, long, meet};
use parking_lot::Mutex;
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Each session's numbers must rise by one.
struct Counter {
    last: Mutex<HashMap<(String, i64), u64>>,
    total: AtomicU64,
    wrong: AtomicU64,
    expected: u64,
    done: Notify,
}

impl Counter {
    fn take(&self, session: &Session, raw: &Raw) -> Result<()> {
        let number = u64::from_be_bytes(raw.0[..8].try_into()?);
        let frontend = session.frontend().map(|peer| peer.id.to_string()).unwrap_or_default();
        let last = self.last.lock().insert((frontend, session.id()), number).unwrap_or(0);
        if last + 1 != number {
            self.wrong.fetch_add(1, Relaxed);
        }
        if self.total.fetch_add(1, Relaxed) + 1 == self.expected {
            self.done.notify_one();
        }
        Ok(())
    }
}

#[handler]
impl Counter {
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

async fn numbers_rise(world: World, sessions: u64, messages: u64) {
    let expected = sessions * messages;
    let (last, total, wrong, done) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0), Notify::new());
    let counter = Arc::new(Counter { last, total, wrong, expected, done });
    let back = world.backend("game", "back", |b| b.shared_handlers(counter.clone())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..sessions {
        let client = connect(&front).await;
        senders.spawn(async move {
            for number in 1..=messages {
                let route = if number % 3 == 0 { "game.counter.later" } else { "game.counter.now" };
                client.notify_raw(route, number.to_be_bytes().to_vec()).await.expect("sent");
            }
            client
        });
    }
    let _clients = senders.join_all().await;
    tokio::time::timeout(SOON * 12, counter.done.notified()).await.expect("all messages arrive");
    assert_eq!(counter.wrong.load(Relaxed), 0, "messages out of order");
}

async fn pushes_come_before_answers(world: World, sessions: u64, requests: u64) {
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..sessions {
        let client = connect(&front).await;
        tasks.spawn(async move {
            let mut pushes = client.on("onPush");
            for number in 0..requests {
                let body = number.to_string();
                let answer = client.request_raw("room.room.pushes", body.clone()).await.expect("answered");
                assert_eq!(&answer[..], body.as_bytes());
                for n in 0..3 {
                    // They are here already: an answer that overtook them would find none.
                    let push = futures_util::FutureExt::now_or_never(pushes.recv()).expect("it came before the answer");
                    assert_eq!(&push.expect("open").body[..], format!("{body}{n}").as_bytes());
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Takes its time, and the thread's.
struct Busy {
    begun: AtomicU64,
}

#[handler]
impl Busy {
    pub fn work(&self, raw: Raw) -> Raw {
        self.begun.fetch_add(1, Relaxed);
        std::thread::sleep(Duration::from_millis(5));
        raw
    }
}

/// Answers go out together, but not when that would make somebody wait for what others take.
async fn an_answer_does_not_wait_for_long_handlers_behind_it(world: World) {
    const REQUESTS: u64 = 48;
    let busy = Arc::new(Busy { begun: AtomicU64::new(0) });
    let back = world.backend("game", "back", |b| b.shared_handlers(busy.clone())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let requests = (1..=REQUESTS).map(|number| {
        let (client, busy) = (&client, &busy);
        async move {
            client.request_raw("game.busy.work", number.to_string()).await.expect("answered");
            (number, busy.begun.load(Relaxed))
        }
    });
    let seen = futures_util::future::join_all(requests).await;
    // Each of them has a way to go, with others on the same threads.
    let late = seen.iter().filter(|(number, begun)| (20..28).contains(number) && *begun == REQUESTS);
    assert_eq!(late.count(), 0, "{seen:?}");
}

async fn numbers_rise_strictly(world: World) {
    numbers_rise(world, 100, if long() { 10_000 } else { 1_000 }).await;
}

async fn pushes_come_before_their_answer(world: World) {
    pushes_come_before_answers(world, 20, if long() { 5_000 } else { 100 }).await;
}

/// The median of a session's round trips with so many requests in flight, until it is over.
async fn median(client: &Client, depth: usize, over: &AtomicBool) -> Duration {
    let ask = async || {
        let mut took = Vec::new();
        while !over.load(Relaxed) {
            let asked = Instant::now();
            client.request_raw("room.room.echo", "x").await.expect("answered");
            took.push(asked.elapsed());
        }
        took
    };
    let mut took = futures_util::future::join_all((0..depth).map(|_| ask())).await.concat();
    took.sort_unstable();
    took[took.len() / 2]
}

/// Sixteen in flight do not wait for each other's way there and back: two sessions ask at the same time, one of them for
/// one thing after the other, so that what else the machine does falls on both.
async fn requests_of_a_session_are_pipelined(world: World) {
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let (single, pipelined) = (connect(&front).await, connect(&front).await);
    let bound = if long() { 4.0 } else { 8.0 };
    let over = AtomicBool::new(false);
    let watch = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        over.store(true, Relaxed);
    };
    let (one, sixteen, ()) = tokio::join!(median(&single, 1, &over), median(&pipelined, 16, &over), watch);
    let ratio = sixteen.as_secs_f64() / one.as_secs_f64();
    println!("a round trip takes {one:?} alone, {sixteen:?} among sixteen: {ratio:.2}");
    assert!(ratio <= bound, "a round trip among sixteen takes {ratio:.1} times as long as one alone");
}

/// All that a session has sent has gone on to the backend while the first of it is still worked on.
async fn what_a_session_sends_does_not_wait_for_answers(world: World) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let room = Room { gate: Some(gate.clone()), ..Room::default() };
    let back = world.backend("room", "back", |b| b.handlers(room)).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = connect(&front).await;
    let asked = (0..16).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.request_raw("room.room.wait", "x").await })
    });
    let asked: Vec<_> = asked.collect();
    eventually("all have gone on", || front.counts().forwarded == 16).await;
    assert!(asked.iter().all(|asked| !asked.is_finished()), "nothing is answered");
    gate.add_permits(16);
    for answer in asked {
        assert_eq!(&answer.await.expect("no panic").expect("answered")[..], b"x");
    }
}

crate::world::in_every_world! {
    requests_of_a_session_are_pipelined,
    what_a_session_sends_does_not_wait_for_answers,
    an_answer_does_not_wait_for_long_handlers_behind_it,
    numbers_rise_strictly,
    pushes_come_before_their_answer,
}
