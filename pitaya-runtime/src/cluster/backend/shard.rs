//! Some of the sessions of other servers: their messages, and the turns that are pending.

use super::changes::Changes;
use super::load::Over;
use super::outlets::Outlets;
use super::turn::{Begun, Ended, Pending, Workplace, begin};
use crate::cluster::now;
use crate::server::Server;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use pitaya_core::BoxFuture;
use pitaya_core::cluster::{Delivery, IncomingMessage, Letter, Source};
use pitaya_core::maps::KeyedMap;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A session: its frontend's id, hashed, and its number there. Two that fall together wait for each other, no more.
pub(super) type Key = (u64, i64);

/// So many messages begin in one poll: other tasks have their turn too.
const BATCH: usize = 256;

/// So many messages begin between two looks at the clock, and their answers go out together.
const CLOCK: usize = 16;

/// What takes longer than this between two looks is slow: the next ones begin in polls of their own.
const LONG: Duration = Duration::from_micros(300);

/// How often messages that nobody waits for any more are looked for behind turns that take long.
const SWEEP: Duration = Duration::from_secs(1);

/// Messages that came together.
struct Batch {
    /// Their frontend's id, hashed.
    front: u64,
    /// Where they come from, with this shard's way back.
    from: Arc<Source>,
    delivery: Delivery,
    next: usize,
}

#[derive(Default)]
pub(super) struct Shard {
    queue: Mutex<Queue>,
    /// Something is in the queue that the task has not seen.
    filled: AtomicBool,
    waker: AtomicWaker,
    started: AtomicBool,
}

#[derive(Default)]
struct Queue {
    batches: Vec<Batch>,
    /// Held while there are any: the app waits for it when it stops.
    token: Option<TaskTrackerToken>,
}

impl Shard {
    /// Queues messages; true when the task has to be started first.
    pub(super) fn push(&self, tasks: &TaskTracker, front: u64, delivery: Delivery) -> bool {
        let mut queue = self.queue.lock();
        queue.batches.push(Batch { front, from: delivery.from().clone(), delivery, next: 0 });
        queue.token.get_or_insert_with(|| tasks.token());
        drop(queue);
        if !self.filled.swap(true, AcqRel) {
            self.waker.wake();
        }
        !self.started.load(Relaxed) && !self.started.swap(true, AcqRel)
    }

    /// Starts the task, which ends with the app.
    pub(super) fn start(self: &Arc<Self>, server: &Arc<Server>) {
        let mut work = Work {
            shard: self.clone(),
            server: server.clone(),
            arrived: VecDeque::new(),
            waiting: KeyedMap::default(),
            pending: FuturesUnordered::new(),
            changes: Changes::default(),
            ended: None,
            workplace: Workplace::default(),
            outlets: Outlets::default(),
            begun: 0,
            done: Vec::new(),
            slow: false,
            now: now(),
            token: None,
            sweep: interval_at(Instant::now() + SWEEP, SWEEP),
        };
        work.sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(async move {
            let aborting = work.server.aborting.clone();
            let all = async {
                loop {
                    poll_fn(|cx| work.poll(cx)).await;
                    // Behind all others on this thread, and a look at the sockets.
                    tokio::task::yield_now().await;
                }
            };
            aborting.run_until_cancelled(all).await;
        });
    }
}

struct Work {
    shard: Arc<Shard>,
    server: Arc<Server>,
    arrived: VecDeque<Batch>,
    /// What waits behind the pending turn of its session.
    waiting: KeyedMap<Key, VecDeque<IncomingMessage>>,
    pending: FuturesUnordered<BoxFuture<'static, (Key, Ended)>>,
    changes: Changes,
    /// A turn that is over, whose session has not gone on yet.
    ended: Option<(Key, Ended)>,
    workplace: Workplace,
    outlets: Outlets,
    /// How many messages began in this poll, those that are over, and the time, a few messages ago at most.
    begun: usize,
    done: Vec<Over>,
    now: std::time::Instant,
    /// Whether the last of them took long.
    slow: bool,
    /// Held while there is something to do: the app waits for it when it stops.
    token: Option<TaskTrackerToken>,
    sweep: Interval,
}

impl Work {
    /// Ready when there is more to do, and others should have their turn first.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        self.shard.waker.register(cx.waker());
        let rest = self.work(cx);
        self.server.counters.received.fetch_add(std::mem::take(&mut self.begun) as u64, Relaxed);
        self.outlets.flush();
        if self.arrived.is_empty() && self.pending.is_empty() {
            self.token = None;
        }
        while !(self.waiting.is_empty() && self.changes.is_empty()) && self.sweep.poll_tick(cx).is_ready() {
            self.forget_overdue();
        }
        if !self.done.is_empty() {
            self.server.forwarded.leave(self.done.drain(..));
        }
        if rest { Poll::Ready(()) } else { Poll::Pending }
    }

    /// As much as one poll may do. Whether there is more.
    fn work(&mut self, cx: &mut task::Context<'_>) -> bool {
        let mut budget = BATCH;
        loop {
            if self.ended.is_none()
                && let Poll::Ready(ended) = self.pending.poll_next_unpin(cx)
            {
                self.ended = ended;
            }
            // After a turn has ended and before its session goes on: what was sent before its frontend knew what the turn
            // did to the session is here by now, and has to be told.
            self.collect();
            if self.arrived.is_empty() && self.ended.is_none() {
                return false;
            }
            while let Some(mut batch) = self.arrived.pop_front() {
                if !self.begin_all(cx, &mut batch, &mut budget) {
                    self.arrived.push_front(batch);
                    return true;
                }
            }
            if let Some((key, ended)) = self.ended.take() {
                self.over(key, ended.weight);
                self.next(cx, key, ended);
            }
        }
    }

    /// Begins messages that came together; false when that is enough for one poll.
    fn begin_all(&mut self, cx: &mut task::Context<'_>, batch: &mut Batch, budget: &mut usize) -> bool {
        let from = batch.from.clone();
        while let Some(letter) = batch.delivery.get(batch.next) {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            batch.next += 1;
            let key = (batch.front, letter.session);
            if !self.waiting.is_empty()
                && let Some(behind) = self.waiting.get_mut(&key)
            {
                behind.push_back(IncomingMessage::copy(&from, &letter));
            } else if let Some(ended) = self.run(cx, key, &from, &letter) {
                self.workplace.keep(ended);
            }
            if self.slow {
                // Others on this thread have their turn, whoever carries the answer among them.
                *budget = 0;
            }
        }
        true
    }

    /// Looks at the clock, and sends what is answered. The first look of a poll says nothing of the time between two.
    fn look(&mut self) {
        let before = std::mem::replace(&mut self.now, now());
        self.slow = self.begun > 0 && self.now - before > LONG;
        self.outlets.flush();
    }

    /// Takes over what has arrived.
    fn collect(&mut self) {
        if self.shard.filled.swap(false, AcqRel) {
            let mut queue = self.shard.queue.lock();
            let (batches, token) = (std::mem::take(&mut queue.batches), queue.token.take());
            drop(queue);
            self.token = self.token.take().or(token);
            for mut batch in batches {
                batch.from = self.outlets.own(&batch.from);
                self.arrived.push_back(batch);
            }
        }
    }

    /// What waits behind a turn that never ends must not fill the places of all others.
    fn forget_overdue(&mut self) {
        let now = now();
        self.changes.forget(now);
        let done = &mut self.done;
        let before = done.len();
        for ((frontend, session), behind) in &mut self.waiting {
            behind.retain(|message| {
                let overdue = message.letter.deadline <= now;
                if overdue {
                    done.push(Over { frontend: *frontend, session: *session, weight: message.letter.weight });
                }
                !overdue
            });
        }
        self.server.counters.overdue_messages.fetch_add((done.len() - before) as u64, Relaxed);
    }

    /// Begins a turn; what it became when it is over already.
    fn run(
        &mut self,
        cx: &mut task::Context<'_>,
        key: Key,
        from: &Arc<Source>,
        letter: &Letter<&[u8]>,
    ) -> Option<Ended> {
        if self.changes.is_empty() {
            return self.begin(cx, key, from, letter);
        }
        let mut message = IncomingMessage::copy(from, letter);
        self.changes.tell(&key, &mut message, now);
        self.begin(cx, key, from, &message.letter())
    }

    fn begin(
        &mut self,
        cx: &mut task::Context<'_>,
        key: Key,
        from: &Arc<Source>,
        letter: &Letter<&[u8]>,
    ) -> Option<Ended> {
        if self.begun < 2 || self.begun.is_multiple_of(CLOCK) {
            self.look();
        }
        self.begun += 1;
        match begin(&self.server, &mut self.workplace, cx, (key.0, from), letter, self.now) {
            Begun::Over(ended) => {
                self.over(key, letter.weight);
                self.outlets.touch(&from.back);
                self.remember(key, &ended);
                Some(ended)
            }
            Begun::Pending(turn) => {
                let waits = !turn.is_concurrent();
                if waits {
                    self.waiting.entry(key).or_default();
                }
                self.keep(key, turn, waits);
                None
            }
        }
    }

    fn keep(&mut self, key: Key, turn: Box<Pending>, waits: bool) {
        let server = self.server.clone();
        self.pending.push(Box::pin(async move {
            let mut ended = turn.finish(&server).await;
            ended.concurrent = !waits;
            (key, ended)
        }));
    }

    /// A message of this session holds nothing any more.
    fn over(&mut self, (frontend, session): Key, weight: usize) {
        self.done.push(Over { frontend, session, weight });
    }

    /// Messages of the session may still be on their way that show it as it was.
    fn remember(&mut self, key: Key, ended: &Ended) {
        if let Some(change) = &ended.change {
            self.changes.add(key, change, now());
        }
    }

    /// A pending turn of this session is over: what waited behind it runs.
    fn next(&mut self, cx: &mut task::Context<'_>, key: Key, ended: Ended) {
        self.remember(key, &ended);
        if let Some(from) = ended.from() {
            self.outlets.touch(&from.back);
        }
        let behind = if ended.concurrent { None } else { self.waiting.remove(&key) };
        let mut behind = behind.unwrap_or_default();
        ended.tell(&mut behind);
        self.workplace.keep(ended);
        while let Some(message) = behind.pop_front() {
            match self.run(cx, key, &message.from, &message.letter()) {
                Some(ended) => {
                    ended.tell(&mut behind);
                    self.workplace.keep(ended);
                }
                None if self.waiting.contains_key(&key) => {
                    self.waiting.insert(key, behind);
                    return;
                }
                // It runs beside the others.
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_app_waits_for_messages_that_no_task_has_seen() {
        let (shard, tasks) = (Shard::default(), TaskTracker::new());
        let delivery = Delivery::one(fake::source(), &Letter::new(1, now(), 0));
        assert!(shard.push(&tasks, 0, delivery));
        tasks.close();
        assert!(tasks.wait().now_or_never().is_none());
        drop(shard);
        assert!(tasks.wait().now_or_never().is_some());
    }
}
