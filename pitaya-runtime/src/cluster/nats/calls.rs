//! Who waits for the answer of one message: calls of remotes, and messages forwarded to servers without a lane.
//!
//! All answers of a connection come by one subscription; the last part of their subject is the key in here, and in bundles
//! the number of each answer. All deadlines are in one queue.

use super::outcome::Failure;
use bytes::Bytes;
use parking_lot::Mutex;
use pitaya_core::Result;
use pitaya_core::cluster::lane::Number;
use rustc_hash::FxHashSet;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// One who waits: place (32 bits) and which of those that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    const fn new(place: u32, generation: u32) -> Self {
        Self((place as u64) << 32 | generation as u64)
    }

    const fn place(self) -> usize {
        (self.0 >> 32) as usize
    }

    const fn generation(self) -> u32 {
        self.0 as u32
    }

    /// As the number of a call in a bundle. Never 0: generations begin with 1, and go round past 0.
    pub(super) const fn number(self) -> Number {
        Number(self.0)
    }

    /// Whose answer this is.
    pub(super) const fn of(number: Number) -> Self {
        Self(number.0)
    }

    /// As a part of a subject.
    pub(super) fn token(self) -> String {
        format!("{:x}", self.0)
    }

    pub(super) fn parse(token: &str) -> Option<Self> {
        u64::from_str_radix(token, 16).ok().map(Self)
    }
}

/// What a server said, or why it said nothing.
pub(super) type Answer = std::result::Result<Result<Bytes>, Failure>;

/// Whom an answer is for.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A task.
    Call(oneshot::Sender<Answer>),
    /// A session.
    Message(Told),
}

/// Whose message it is.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) session: Number,
    /// The client's number.
    pub(super) id: u64,
    /// Who is to answer.
    pub(super) server: Arc<str>,
    pub(super) route: Arc<str>,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    waiter: Option<Waiter>,
    /// Whether it went to the library, so that it may have reached its server.
    handed: bool,
    /// The bundle it went in.
    bundle: Option<u32>,
}

/// Calls that went as one message of the broker.
#[derive(Debug, Default)]
struct Bundle {
    generation: u32,
    members: Vec<Key>,
    /// How many of them are still waited for.
    left: usize,
}

/// What became of calls that go to the library now.
pub(super) struct Handed {
    /// What the broker's word about all of them is known by.
    pub(super) bundle: Key,
    /// Those nobody waits for any more, so that they must not go.
    pub(super) gone: FxHashSet<Number>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    entries: Vec<Entry>,
    free: Vec<u32>,
    bundles: Vec<Bundle>,
    idle: Vec<u32>,
    due: BinaryHeap<Reverse<(Instant, Key)>>,
}

#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<State>);

impl Calls {
    /// One more; nobody once the connection is lost.
    pub(super) fn open(&self, waiter: Waiter, deadline: Instant) -> Option<Key> {
        let mut state = self.0.lock();
        if state.closed {
            return None;
        }
        let place = match state.free.pop() {
            Some(place) => place,
            None => {
                state.entries.push(Entry { generation: 0, waiter: None, handed: false, bundle: None });
                u32::try_from(state.entries.len() - 1).ok()?
            }
        };
        let entry = &mut state.entries[place as usize];
        entry.generation = entry.generation.checked_add(1).unwrap_or(1);
        (entry.waiter, entry.handed) = (Some(waiter), false);
        let key = Key::new(place, entry.generation);
        state.due.push(Reverse((deadline, key)));
        // Most are answered long before: their deadlines are thrown out when they have become the larger part.
        if state.due.len() > 1024 && state.due.len() > 4 * (state.entries.len() - state.free.len()) {
            let State { due, entries, .. } = &mut *state;
            due.retain(|Reverse((_, key))| entries.get(key.place()).is_some_and(|entry| entry.is(*key)));
        }
        Some(key)
    }

    /// It goes to the library now; false when nobody waits for it any more, so that it must not.
    pub(super) fn hand(&self, key: Key) -> bool {
        let mut state = self.0.lock();
        let entry = state.entries.get_mut(key.place()).filter(|entry| entry.is(key));
        entry.map(|entry| entry.handed = true).is_some()
    }

    /// These go to the library now, as one bundle; `None` when nobody waits for any of them any more.
    pub(super) fn hand_all(&self, members: Vec<Key>) -> Option<Handed> {
        let mut state = self.0.lock();
        let State { entries, bundles, idle, .. } = &mut *state;
        let place = idle.last().copied().unwrap_or(bundles.len() as u32);
        let (mut gone, mut left) = (FxHashSet::default(), 0);
        for key in &members {
            match entries.get_mut(key.place()).filter(|entry| entry.is(*key)) {
                Some(entry) => {
                    (entry.handed, entry.bundle) = (true, Some(place));
                    left += 1;
                }
                None => _ = gone.insert(key.number()),
            }
        }
        if left == 0 {
            return None;
        }
        if idle.pop().is_none() {
            bundles.push(Bundle::default());
        }
        let bundle = bundles.get_mut(place as usize)?;
        *bundle = Bundle { generation: bundle.generation.wrapping_add(1), members, left };
        Some(Handed { bundle: Key::new(place, bundle.generation), gone })
    }

    /// Nobody took this bundle: those in it who still wait.
    pub(super) fn nobody(&self, bundle: Key, lost: &mut Vec<(Waiter, Failure)>) {
        let mut state = self.0.lock();
        let known = state.bundles.get_mut(bundle.place()).filter(|known| known.generation == bundle.generation());
        let members = known.map(|bundle| std::mem::take(&mut bundle.members)).unwrap_or_default();
        lost.extend(members.into_iter().filter_map(|key| Some((state.take(key)?.0, Failure::Nobody))));
    }

    /// Those who wait under these keys, once each.
    pub(super) fn take_all(&self, keys: impl Iterator<Item = Key>, waiters: &mut Vec<Option<Waiter>>) {
        let mut state = self.0.lock();
        waiters.extend(keys.map(|key| state.take(key).map(|(waiter, _)| waiter)));
    }

    /// The one who waits under this key, once.
    pub(super) fn take(&self, key: Key) -> Option<Waiter> {
        self.0.lock().take(key).map(|(waiter, _)| waiter)
    }

    /// Those who have waited long enough. Says whether anybody is left.
    pub(super) fn expire(&self, now: Instant, lost: &mut Vec<(Waiter, Failure)>) -> bool {
        let mut state = self.0.lock();
        while let Some(Reverse((deadline, key))) = state.due.peek().copied() {
            if deadline > now {
                break;
            }
            state.due.pop();
            // What was not handed out by now is not sent any more.
            let late = |(waiter, handed)| (waiter, if handed { Failure::Timeout } else { Failure::Unsent });
            lost.extend(state.take(key).map(late));
        }
        state.entries.len() > state.free.len()
    }

    /// Takes nobody any more, and gives all who wait.
    pub(super) fn close(&self, lost: &mut Vec<(Waiter, Failure)>) {
        let mut state = self.0.lock();
        state.closed = true;
        let gone = |entry: Entry| Some((entry.waiter?, if entry.handed { Failure::Gone } else { Failure::Unsent }));
        lost.extend(std::mem::take(&mut state.entries).into_iter().filter_map(gone));
        *state = State { closed: true, ..State::default() };
    }

    /// Whether anybody waits.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.0.lock();
        state.entries.len() == state.free.len()
    }
}

impl Entry {
    fn is(&self, key: Key) -> bool {
        self.generation == key.generation() && self.waiter.is_some()
    }
}

impl State {
    fn take(&mut self, key: Key) -> Option<(Waiter, bool)> {
        let entry = self.entries.get_mut(key.place()).filter(|entry| entry.is(key))?;
        let waiter = entry.waiter.take()?;
        let (handed, bundle) = (entry.handed, entry.bundle.take());
        self.free.push(key.place() as u32);
        if let Some(place) = bundle
            && let Some(bundle) = self.bundles.get_mut(place as usize)
        {
            bundle.left -= 1;
            if bundle.left == 0 {
                bundle.members = Vec::new();
                self.idle.push(place);
            }
        }
        Some((waiter, handed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn waiter(id: u64) -> Waiter {
        Waiter::Message(Told { session: Number::default(), id, server: "x".into(), route: "a.b.c".into() })
    }

    fn ids(lost: &[(Waiter, Failure)]) -> Vec<(u64, Failure)> {
        let id = |(waiter, failure): &(Waiter, Failure)| match waiter {
            Waiter::Message(told) => (told.id, *failure),
            Waiter::Call(_) => unreachable!(),
        };
        lost.iter().map(id).collect()
    }

    #[test]
    fn a_place_is_used_again_under_another_key() {
        let (calls, now) = (Calls::default(), Instant::now());
        let first = calls.open(waiter(1), now).expect("open");
        assert_eq!(Key::parse(&first.token()), Some(first));
        assert!(calls.take(first).is_some() && calls.take(first).is_none());
        let second = calls.open(waiter(2), now).expect("open");
        assert!(!calls.hand(first), "nobody waits for the first");
        assert!(calls.take(first).is_none() && calls.take(second).is_some());
        assert!(calls.is_empty());
    }

    #[test]
    fn those_who_are_late_are_told_once() {
        let (calls, now, mut lost) = (Calls::default(), Instant::now(), Vec::new());
        let later = now + Duration::from_secs(1);
        let sent = calls.open(waiter(1), now).expect("open");
        calls.open(waiter(2), now).expect("open");
        calls.open(waiter(3), later).expect("open");
        assert!(calls.hand(sent));
        assert!(calls.expire(now, &mut lost));
        let mut told = ids(&lost);
        told.sort_by_key(|(id, _)| *id);
        assert_eq!(told, [(1, Failure::Timeout), (2, Failure::Unsent)]);
        lost.clear();
        calls.close(&mut lost);
        assert_eq!(ids(&lost), [(3, Failure::Unsent)]);
        assert!(calls.open(waiter(4), later).is_none());
    }

    #[test]
    fn deadlines_of_the_answered_do_not_pile_up() {
        let (calls, now) = (Calls::default(), Instant::now());
        for id in 0..100_000 {
            let key = calls.open(waiter(id), now).expect("open");
            calls.take(key);
        }
        assert!(calls.0.lock().due.len() <= 1025);
    }
}
