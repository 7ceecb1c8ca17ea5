//! Messages that were forwarded within the process, until they are answered or overdue.

use crate::cluster::now;
use parking_lot::Mutex;
use pitaya_core::cluster::{Back, Sink};
use pitaya_core::{Error, KickReason, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A message that was forwarded, and whose it is.
pub(super) struct Waiting {
    session: Weak<dyn Sink>,
    id: u64,
    route: Box<str>,
    done: AtomicBool,
}

impl Waiting {
    pub(super) fn new(session: &Arc<dyn Sink>, id: u64, route: &str) -> Arc<Self> {
        let done = AtomicBool::new(false);
        Arc::new(Self { session: Arc::downgrade(session), id, route: route.into(), done })
    }
}

impl Back for Waiting {
    fn answer(&self, _: u64, outcome: Result<&[u8], &Error>) {
        if !self.done.swap(true, AcqRel)
            && let Some(session) = self.session.upgrade()
        {
            session.answered(self.id, outcome);
        }
    }

    fn push(&self, _: u64, _: Option<&str>, route: &str, body: &[u8]) -> Result<()> {
        self.session.upgrade().map(|session| session.pushed(route, body)).ok_or_else(Error::closed)
    }

    fn kick(&self, _: u64, _: Option<&str>, reason: Option<&KickReason>) -> Result<()> {
        self.session.upgrade().map(|session| session.kicked(reason)).ok_or_else(Error::closed)
    }
}

/// Let go of without an answer: its time had passed before its turn, or its server was cut off. It may have run.
impl Drop for Waiting {
    fn drop(&mut self) {
        if !*self.done.get_mut() {
            self.answer(0, Err(&Error::rpc_timeout(&self.route)));
        }
    }
}

/// Forwarded messages in the order of their deadlines.
#[derive(Default)]
pub(super) struct Overdue {
    /// By how long they are waited for, so that each queue is in order. Most messages are in one; a few routes have a time-out
    /// of their own.
    queues: Mutex<Vec<(Duration, Queue)>>,
    first: Notify,
}

type Queue = VecDeque<(Instant, Weak<Waiting>)>;

impl Overdue {
    /// How late a time-out may come.
    const GRAIN: Duration = Duration::from_millis(20);
    /// A queue up to this long is not looked through.
    const FEW: usize = 1024;

    pub(super) fn add(&self, timeout: Duration, deadline: Instant, waiting: &Arc<Waiting>) {
        let mut queues = self.queues.lock();
        let is_first = queues.iter().all(|(_, queue)| queue.is_empty());
        let place = queues.iter().position(|(known, _)| *known == timeout);
        let place = place.unwrap_or_else(|| {
            queues.push((timeout, Queue::new()));
            queues.len() - 1
        });
        let queue = &mut queues[place].1;
        // Those behind one that takes long are done and not taken out yet: room is made before more is taken.
        if queue.len() == queue.capacity() && queue.len() > Self::FEW {
            queue.retain(|(_, waiting)| waiting.strong_count() > 0);
            let room = queue.len().max(Self::FEW);
            queue.reserve(room);
        }
        queue.push_back((deadline, Arc::downgrade(waiting)));
        if is_first {
            self.first.notify_one();
        }
    }

    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            self.first.notified().await;
            while !self.is_over() {
                tokio::time::sleep(Self::GRAIN).await;
            }
        }
    }

    /// Ends what is overdue and forgets what is done; true when nothing is left.
    fn is_over(&self) -> bool {
        let now = now();
        let mut overdue = Vec::new();
        let mut queues = self.queues.lock();
        for (_, queue) in &mut *queues {
            while let Some((deadline, waiting)) = queue.front() {
                let open = waiting.upgrade().filter(|waiting| !waiting.done.load(Acquire));
                if open.is_some() && *deadline > now {
                    break;
                }
                overdue.extend(open);
                queue.pop_front();
            }
        }
        let over = queues.iter().all(|(_, queue)| queue.is_empty());
        drop(queues);
        for waiting in overdue {
            waiting.answer(0, Err(&Error::rpc_timeout(&waiting.route)));
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its answers.
    #[derive(Default)]
    struct Probe(Mutex<Vec<(u64, String)>>);

    impl Sink for Probe {
        fn answered(&self, id: u64, outcome: Result<&[u8], &Error>) {
            let code = outcome.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned());
            self.0.lock().push((id, code));
        }
        fn pushed(&self, _: &str, _: &[u8]) {}
        fn kicked(&self, _: Option<&KickReason>) {}
    }

    fn waiting(session: &Arc<Probe>, id: u64) -> Arc<Waiting> {
        let session: Arc<dyn Sink> = session.clone();
        Waiting::new(&session, id, "room.room.x")
    }

    #[test]
    fn each_message_is_answered_once_whatever_becomes_of_it() {
        let session = Arc::new(Probe::default());
        let answered = waiting(&session, 1);
        answered.answer(0, Ok(b""));
        answered.answer(0, Ok(b""));
        drop(answered);
        drop(waiting(&session, 2));
        let (overdue, late) = (Overdue::default(), waiting(&session, 3));
        overdue.add(Duration::ZERO, now(), &late);
        assert!(overdue.is_over());
        late.answer(0, Ok(b""));
        drop(late);
        let seen = session.0.lock();
        let codes: Vec<_> = seen.iter().map(|(id, code)| (*id, &**code)).collect();
        assert_eq!(codes, [(1, "ok"), (2, "PIT-408"), (3, "PIT-408")]);
    }

    #[test]
    fn what_is_done_behind_one_that_takes_long_is_forgotten() {
        let (session, overdue) = (Arc::new(Probe::default()), Overdue::default());
        let deadline = now() + Duration::from_secs(60);
        let long = waiting(&session, 1);
        overdue.add(Duration::from_secs(60), deadline, &long);
        for id in 2..100_000 {
            let quick = waiting(&session, id);
            overdue.add(Duration::from_secs(60), deadline, &quick);
            quick.answer(0, Ok(b""));
        }
        assert!(!overdue.is_over() && overdue.queues.lock()[0].1.len() < 10_000);
    }

    #[test]
    fn one_that_takes_long_does_not_hold_up_those_that_do_not() {
        let (session, overdue) = (Arc::new(Probe::default()), Overdue::default());
        let (long, short) = (waiting(&session, 1), waiting(&session, 2));
        let minute = Duration::from_secs(60);
        overdue.add(minute, now() + minute, &long);
        overdue.add(Duration::ZERO, now(), &short);
        assert!(!overdue.is_over(), "the first is waited for");
        assert_eq!(session.0.lock().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
        long.answer(0, Ok(b""));
        assert!(overdue.is_over());
    }
}
