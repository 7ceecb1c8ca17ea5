//! Bytes that this process holds for its clients, and the sessions that end when there are too many.
//!
//! Sessions that hold little are not in here. The others report what they hold whenever that has changed. Once the sum exceeds
//! `pitaya.limits.buffers`, sessions end until a sixteenth of the budget is free: the next look at all of them costs a client
//! that many bytes. First those that hold more than an equal share of the budget, so that an honest client which reads slowly is
//! not taken for one that takes much; among them and among the others those with the highest product of bytes and age.

use crate::agent::Agent;
use crate::quota::Quota;
use parking_lot::Mutex;
use pitaya_core::CloseReason;
use pitaya_core::maps::NumberMap;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes from which on a session is counted: below, it holds less than it costs by itself.
pub(crate) const LEAST: usize = 1024;
/// Part of the budget that is free after sessions were ended.
const RELIEF: usize = 16;
/// Age that all holders have from the beginning: among new ones the size decides alone.
const YOUTH: Duration = Duration::from_secs(1);
/// Number of places that the table keeps when it is nearly empty.
const PLACES: usize = 1024;

/// Budget of one process.
pub(crate) struct Budget {
    limit: usize,
    ledger: Mutex<Ledger<Arc<Agent>>>,
    log: Quota,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ledger: Mutex::default(), log: Quota::default() }
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> usize {
        self.ledger.lock().held
    }

    /// Notes what a session holds, and since when. Ends sessions if that is too much in all.
    pub(crate) fn charge(&self, session: i64, agent: &Arc<Agent>, bytes: usize, since: Instant) {
        let mut ledger = self.ledger.lock();
        ledger.charge(session, bytes, since, agent);
        if ledger.stays() <= self.limit {
            return;
        }
        let held = ledger.held;
        let ended = ledger.relieve(self.limit - self.limit / RELIEF, Instant::now());
        // An outbox has a lock of its own.
        drop(ledger);
        if let Some(missed) = self.log.admit() {
            let (limit, ended) = (self.limit, ended.len());
            tracing::warn!(held, limit, ended, missed, "sessions ended: clients' buffers exceed pitaya.limits.buffers");
        }
        for agent in ended {
            agent.outbox.end(CloseReason::OverBudget, |_| {});
        }
    }

    /// Notes that a session holds nothing any more.
    pub(crate) fn release(&self, session: i64) {
        self.ledger.lock().release(session);
    }
}

/// Bytes by session; `T` leads to the session.
struct Ledger<T> {
    held: usize,
    /// Part of `held` that belongs to sessions which have been told to end.
    leaving: usize,
    holders: NumberMap<i64, Holder<T>>,
}

struct Holder<T> {
    bytes: usize,
    since: Instant,
    leaves: bool,
    session: T,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self { held: 0, leaving: 0, holders: NumberMap::<i64, _>::default() }
    }
}

impl<T: Clone> Ledger<T> {
    fn charge(&mut self, id: i64, bytes: usize, since: Instant, session: &T) {
        let new = || Holder { bytes: 0, since, leaves: false, session: session.clone() };
        let holder = self.holders.entry(id).or_insert_with(new);
        self.held = self.held - holder.bytes + bytes;
        if holder.leaves {
            self.leaving = self.leaving - holder.bytes + bytes;
        }
        (holder.bytes, holder.since) = (bytes, since);
    }

    fn release(&mut self, id: i64) {
        let Some(holder) = self.holders.remove(&id) else { return };
        self.held -= holder.bytes;
        if holder.leaves {
            self.leaving -= holder.bytes;
        }
        if self.holders.capacity() > PLACES && self.holders.len() < self.holders.capacity() / 8 {
            self.holders.shrink_to_fit();
        }
    }

    /// Bytes that will be held when those have ended that have to.
    fn stays(&self) -> usize {
        self.held - self.leaving
    }

    /// Chooses sessions that have to end, so that no more than `target` bytes stay.
    fn relieve(&mut self, target: usize, now: Instant) -> Vec<T> {
        let staying = || self.holders.iter().filter(|(_, holder)| !holder.leaves);
        let share = target / staying().count().max(1);
        let rank = |holder: &Holder<T>| (holder.bytes > share, holder.weight(now));
        let mut worst: BinaryHeap<_> = staying().map(|(id, holder)| (rank(holder), *id)).collect();
        let mut chosen = Vec::new();
        while self.stays() > target
            && let Some(holder) = worst.pop().and_then(|(_, id)| self.holders.get_mut(&id))
        {
            holder.leaves = true;
            self.leaving += holder.bytes;
            chosen.push(holder.session.clone());
        }
        chosen
    }
}

impl<T> Holder<T> {
    /// Bytes times age, in milliseconds.
    fn weight(&self, now: Instant) -> u128 {
        self.bytes as u128 * (now.saturating_duration_since(self.since) + YOUTH).as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sessions with so many bytes for so many seconds, numbered from 0.
    fn ledger(now: Instant, holders: &[(usize, u32)]) -> Ledger<i64> {
        let mut ledger = Ledger::default();
        for (id, (bytes, age)) in (0..).zip(holders) {
            ledger.charge(id, *bytes, now - SECOND * *age, &id);
        }
        ledger
    }

    fn now() -> Instant {
        Instant::now() + SECOND * 1000
    }

    #[test]
    fn of_one_age_the_largest_end_and_of_one_size_the_slowest() {
        let now = now();
        assert_eq!(ledger(now, &[(10, 5), (40, 5), (20, 5), (30, 5)]).relieve(35, now), [1, 3]);
        assert_eq!(ledger(now, &[(10, 3), (10, 9), (10, 1), (10, 7)]).relieve(25, now), [1, 3]);
        // One beyond its share is worse than one that has been there for long.
        assert_eq!(ledger(now, &[(1000, 0), (60, 60), (50, 60)]).relieve(1080, now), [0]);
        let mut phones_and_floods = vec![(120, 10); 20];
        phones_and_floods.extend([(900, 0); 25]);
        assert!(ledger(now, &phones_and_floods).relieve(16_000, now).iter().all(|ended| *ended >= 20), "no phone");
    }

    #[test]
    fn no_more_end_than_have_to_and_none_twice() {
        let now = now();
        let mut ledger = ledger(now, &[(10, 1); 10]);
        assert_eq!(ledger.relieve(100, now), [0; 0]);
        assert_eq!(ledger.relieve(75, now).len(), 3);
        assert_eq!((ledger.held, ledger.stays()), (100, 70));
        assert_eq!(ledger.relieve(70, now), [0; 0]);
        assert_eq!(ledger.relieve(0, now).len(), 7);
        assert_eq!(ledger.relieve(0, now), [0; 0]);
    }

    #[test]
    fn what_is_released_is_counted_no_more() {
        let now = now();
        let mut ledger = ledger(now, &[(10, 1), (20, 1), (30, 1)]);
        assert_eq!(ledger.relieve(40, now), [2]);
        ledger.charge(2, 35, now, &2);
        assert_eq!((ledger.held, ledger.stays()), (65, 30));
        ledger.charge(0, 5, now, &0);
        assert_eq!((ledger.held, ledger.stays()), (60, 25));
        for id in 0..4 {
            ledger.release(id);
        }
        assert_eq!((ledger.held, ledger.leaving, ledger.holders.len()), (0, 0, 0));
    }

    #[test]
    fn the_table_of_a_flood_is_given_back() {
        let now = now();
        let mut ledger = ledger(now, &[(1, 1); 50_000]);
        for id in 0..50_000 {
            ledger.release(id);
        }
        assert!(ledger.holders.capacity() <= 8 * PLACES, "{}", ledger.holders.capacity());
    }
}
