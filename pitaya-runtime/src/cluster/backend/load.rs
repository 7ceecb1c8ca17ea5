//! Messages of other servers' clients that wait or run here, by count and by bytes, and who may add how many more.
//!
//! Two budgets bound them: `pitaya.limits.forwarded` and `pitaya.limits.forwarding.bytes`. Once half of a budget is used, the
//! rule of dynamic thresholds (Choudhury and Hahne, 1998) divides the rest: a frontend, a route or a session may hold no more
//! than a fixed part of what is still free. The more it holds, the less it may add, and some room is always left for those
//! that hold nothing yet.

use crate::cluster::route_load::RouteLoad;
use parking_lot::Mutex;
use pitaya_core::cluster::Delivery;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A session may have one message here for each so many that would still fit.
const SESSION_MESSAGES: usize = 256;
/// A session may have one byte here for each so many that would still fit.
const SESSION_BYTES: usize = 16;
/// Counters for sessions. Two sessions that share one share their part, no more: exact counters would be a map entry for each
/// message.
const SESSIONS: usize = 4096;

/// Messages and the bytes they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn sub(&mut self, other: Self) {
        self.messages = self.messages.saturating_sub(other.messages);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    fn plus(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    fn minus(mut self, other: Self) -> Self {
        self.sub(other);
        self
    }

    fn fits(self, limit: Self) -> bool {
        self.messages <= limit.messages && self.bytes <= limit.bytes
    }
}

/// A message that is over: its frontend's id, hashed, its session's number there, and the bytes it held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Over {
    pub(super) frontend: u64,
    pub(super) session: i64,
    pub(super) weight: usize,
}

/// The load of one server.
#[derive(Debug)]
pub(crate) struct Load {
    limit: Amount,
    routes: RouteLoad,
    state: Mutex<State>,
    /// A copy of what is free, for readers that need no exact answer.
    free_messages: AtomicUsize,
}

#[derive(Debug)]
struct State {
    used: Amount,
    /// By frontend, those that have something here.
    frontends: HashMap<u64, Amount>,
    sessions: Box<[Amount]>,
}

/// The counter of a session: neighbours do not meet.
fn counter(frontend: u64, session: i64) -> usize {
    (frontend as usize).wrapping_add(session as usize) % SESSIONS
}

impl Load {
    pub(crate) fn new(limit: Amount, routes: usize) -> Self {
        let sessions = vec![Amount::default(); SESSIONS].into();
        Self {
            limit,
            routes: RouteLoad::new(limit.messages, routes),
            state: Mutex::new(State { used: Amount::default(), frontends: HashMap::new(), sessions }),
            free_messages: AtomicUsize::new(limit.messages),
        }
    }

    /// Messages that wait or run now, and their bytes.
    pub(crate) fn used(&self) -> Amount {
        self.state.lock().used
    }

    /// Pending calls by route.
    pub(super) fn routes(&self) -> &RouteLoad {
        &self.routes
    }

    /// Whether another call of this route may begin.
    #[inline]
    pub(super) fn may_begin(&self, route: u32) -> bool {
        self.routes.may_begin(route, self.free_messages.load(Relaxed))
    }

    /// Takes in messages of a frontend as far as there is room, and returns the others.
    pub(super) fn admit(&self, frontend: u64, delivery: &mut Delivery) -> Delivery {
        let mut state = self.state.lock();
        let State { used, frontends, sessions } = &mut *state;
        let before = *used;
        let own = frontends.get(&frontend).copied().unwrap_or_default();
        let refused = delivery.extract(|session, weight| {
            let one = Amount { messages: 1, bytes: weight };
            let of_session = &mut sessions[counter(frontend, session)];
            let free = self.limit.minus(*used);
            let fits = one.fits(free)
                && (!self.is_crowded(free) || {
                    let own = own.plus(used.minus(before));
                    // A frontend alone has all of it.
                    let frontend_fits = own == *used || own.plus(one).fits(free);
                    let share =
                        Amount { messages: free.messages / SESSION_MESSAGES, bytes: free.bytes / SESSION_BYTES };
                    // One that holds nothing finds room in any case.
                    frontend_fits && (of_session.messages == 0 || of_session.plus(one).fits(share))
                });
            if fits {
                used.add(one);
                of_session.add(one);
            }
            !fits
        });
        let more = used.minus(before);
        if more.messages > 0 {
            frontends.entry(frontend).or_default().add(more);
        }
        self.free_messages.store(self.limit.minus(*used).messages, Relaxed);
        refused
    }

    /// Adds the bytes by which the body of a message of this session grows when it is inflated, if there is room for them. They
    /// leave with [`shrink`](Self::shrink), or with the message.
    pub(super) fn grow(&self, frontend: u64, session: i64, bytes: usize) -> bool {
        let more = Amount { messages: 0, bytes };
        let mut state = self.state.lock();
        let State { used, frontends, sessions } = &mut *state;
        let (free, of_session) = (self.limit.minus(*used).bytes, &mut sessions[counter(frontend, session)]);
        let own = frontends.entry(frontend).or_default();
        let has_share = free >= self.limit.bytes / 2
            || ((own == used || own.bytes.saturating_add(bytes) <= free)
                && of_session.bytes.saturating_add(bytes) <= free / SESSION_BYTES);
        if bytes > free || !has_share {
            return false;
        }
        used.add(more);
        own.add(more);
        of_session.add(more);
        true
    }

    /// Takes out what [`grow`](Self::grow) has added: the message is over.
    pub(super) fn shrink(&self, frontend: u64, session: i64, bytes: usize) {
        let less = Amount { messages: 0, bytes };
        let mut state = self.state.lock();
        state.used.sub(less);
        state.sessions[counter(frontend, session)].sub(less);
        if let Some(own) = state.frontends.get_mut(&frontend) {
            own.sub(less);
        }
    }

    /// Whether so little is free that shares count: less than half.
    fn is_crowded(&self, free: Amount) -> bool {
        self.routes.is_crowded(free.messages) || free.bytes < self.limit.bytes / 2
    }

    /// Takes out messages that are over.
    pub(super) fn leave(&self, over: impl Iterator<Item = Over>) {
        let mut state = self.state.lock();
        let State { used, frontends, sessions } = &mut *state;
        for Over { frontend, session, weight } in over {
            let one = Amount { messages: 1, bytes: weight };
            used.sub(one);
            sessions[counter(frontend, session)].sub(one);
            if let Some(own) = frontends.get_mut(&frontend) {
                own.sub(one);
                if own.messages == 0 {
                    frontends.remove(&frontend);
                }
            }
        }
        self.free_messages.store(self.limit.minus(*used).messages, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use pitaya_core::cluster::Letter;
    use std::ops::Range;
    use std::time::Instant;

    /// One message of each of these sessions, with a body of this length.
    fn delivery(sessions: impl IntoIterator<Item = i64>, body: usize) -> Delivery {
        let bytes = bytes::Bytes::from(vec![0; body]);
        let mut delivery = Delivery::new(fake::source(), bytes.clone());
        for session in sessions {
            let mut letter = Letter::new(session, Instant::now(), 0);
            letter.body = &*bytes;
            assert!(delivery.add(&letter));
        }
        delivery
    }

    fn load(messages: usize, bytes: usize) -> Load {
        Load::new(Amount { messages, bytes }, 2)
    }

    /// How many messages of as many sessions are admitted.
    fn admit(load: &Load, frontend: u64, sessions: Range<i64>) -> usize {
        let mut delivery = delivery(sessions, 0);
        drop(load.admit(frontend, &mut delivery));
        delivery.len()
    }

    fn over(frontend: u64, session: i64, weight: usize) -> Over {
        Over { frontend, session, weight }
    }

    #[test]
    fn a_frontend_alone_has_all_and_two_leave_room_for_a_third() {
        let load = load(2000, usize::MAX);
        assert_eq!(admit(&load, 1, 0..3000), 2000);
        load.leave((0..1500).map(|session| over(1, session, 0)));
        assert_eq!(admit(&load, 2, 0..3000), 750, "half of what is free");
        assert_eq!(admit(&load, 1, 3000..4000), 125, "as many as are left then");
        assert_eq!(admit(&load, 900, 3150..3190), 40, "one that has nothing finds room");
    }

    #[test]
    fn bytes_are_a_budget_of_their_own_and_come_back() {
        let load = load(1000, 1 << 20);
        let mut all = delivery(0..100, 100_000);
        let weight = all.weights().next().expect("one");
        assert_eq!((load.admit(1, &mut all).len(), all.len()), (90, 10));
        assert_eq!(load.used(), Amount { messages: 10, bytes: 10 * weight });
        load.leave((0..10).map(|session| over(1, session, weight)));
        assert_eq!(load.used(), Amount::default());
        assert!(load.state.lock().frontends.is_empty());
        assert!(load.state.lock().sessions.iter().all(|amount| *amount == Amount::default()));
    }

    #[test]
    fn what_is_inflated_counts_until_its_message_is_over() {
        let load = load(1000, 1 << 20);
        let mut one = delivery(0..8, 100);
        let weight = one.weights().next().expect("one");
        assert!(load.admit(1, &mut one).is_empty());
        assert!(load.grow(1, 0, 400_000) && load.grow(1, 1, 200_000), "half is anybody's");
        assert!(!load.grow(1, 2, 200_000), "and of the rest a session has a part");
        assert!(load.grow(1, 2, 10_000));
        assert!(!load.grow(2, 2, 1 << 20), "there is not so much");
        load.shrink(1, 2, 10_000);
        load.shrink(1, 1, 200_000);
        load.leave((1..8).map(|session| over(1, session, weight)).chain([over(1, 0, weight + 400_000)]));
        assert_eq!(load.used(), Amount::default());
        assert!(load.state.lock().sessions.iter().all(|amount| *amount == Amount::default()));
    }

    #[test]
    fn a_session_may_have_less_here_the_fuller_it_is() {
        let load = load(65_536, usize::MAX);
        let burst = |load: &Load, session| {
            let mut delivery = delivery([session; 64], 0);
            drop(load.admit(1, &mut delivery));
            delivery.len()
        };
        assert_eq!(burst(&load, 1), 64, "an empty server asks nobody for a share");
        // More sessions than a server takes, each with as many messages as it may send.
        let admitted: usize = (0..1200).map(|session| burst(&load, session)).sum();
        assert!((40_000..64_000).contains(&admitted), "{admitted}");
        assert_eq!(admit(&load, 1, 2000..3000), 1000, "other sessions find room");
    }

    #[test]
    fn what_is_refused_is_in_its_order() {
        let load = load(2, usize::MAX);
        let mut all = delivery([5, 6, 7, 8], 0);
        let refused = load.admit(1, &mut all);
        assert_eq!(all.sessions().chain(refused.sessions()).collect::<Vec<_>>(), [5, 6, 7, 8]);
    }
}
