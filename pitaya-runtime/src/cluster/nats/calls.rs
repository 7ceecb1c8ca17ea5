//! Who waits for the answer of one message: calls of remotes, and messages forwarded to servers without a lane.
//!
//! All answers of a connection come by one subscription; the last part of their subject is the key in here, and in bundles
//! the number of each answer. All deadlines are in one queue.

mod key;
#[cfg(test)]
mod tests;
mod waits;

pub(super) use key::Key;
pub(super) use waits::Waits;

use super::outcome::Failure;
use async_nats::Subject;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use pitaya_core::Result;
use pitaya_core::cluster::lane::Number;
use pitaya_core::maps::NumberSet;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What a server said, or why it said nothing.
pub(super) type Answer = std::result::Result<Result<Bytes>, Failure>;

/// Whom an answer is for.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A task, which asks for it.
    Call,
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
    /// How long the answer is waited for.
    pub(super) timeout: Duration,
}

/// What is at a place.
#[derive(Debug, Default)]
enum Of {
    #[default]
    Nobody,
    /// A task waits; whom to wake, once it has asked.
    Call(Option<Waker>),
    /// What a task has not fetched yet.
    Answered(Answer),
    /// A session waits.
    Message(Told),
}

#[derive(Debug, Default)]
struct Entry {
    generation: u32,
    of: Of,
    /// Whether it went to the library, so that it may have reached its server, and an answer may still come.
    handed: bool,
    /// The bundle it went in.
    bundle: Option<u32>,
    /// Whether the server that is to answer need not sign.
    unsigned: bool,
}

/// Those who are to be told what became of what they sent.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The tasks.
    pub(super) wakers: Vec<Waker>,
    /// The sessions.
    pub(super) messages: Vec<(Told, Answer)>,
    /// What there is no answer to, of both.
    pub(super) failures: Vec<Failure>,
    /// Answers that nobody waited for.
    pub(super) stray: u64,
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
    pub(super) gone: NumberSet<Number>,
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

/// All who wait for an answer over one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Mutex<State>>);

impl Calls {
    /// One more, whose answer comes in a bundle; nobody once the connection is lost.
    pub(super) fn open(&self, waiter: Waiter, deadline: Instant) -> Option<Key> {
        self.0.lock().open(waiter, deadline)
    }

    /// One more, whose answer comes alone, and the subject that it comes by. Each has one of its own, though it costs the broker
    /// 0.7 µs to see where it leads: where two servers answer as one, what the second says must find nobody.
    pub(super) fn open_alone(
        &self,
        waiter: Waiter,
        deadline: Instant,
        inbox: &str,
        unsigned: bool,
    ) -> Option<(Key, Subject)> {
        let mut state = self.0.lock();
        let key = state.open(waiter, deadline)?;
        if let Some(entry) = state.entries.get_mut(key.place()) {
            entry.unsigned = unsigned;
        }
        Some((key, key.below(inbox)))
    }

    /// Whether an answer without a signature is taken.
    pub(super) fn is_unsigned(&self, key: Key) -> bool {
        let state = self.0.lock();
        state.entries.get(key.place()).is_some_and(|entry| entry.is(key) && entry.unsigned)
    }

    /// The answer to a call, once.
    pub(super) fn poll(&self, key: Key, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.0.lock();
        let entry = state.entries.get_mut(key.place()).filter(|entry| entry.generation == key.generation());
        match entry.map(|entry| &mut entry.of) {
            Some(Of::Call(waker)) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            Some(of @ Of::Answered(_)) => {
                let Of::Answered(answer) = std::mem::take(of) else { return Poll::Ready(Err(Failure::Gone)) };
                state.free.push(key.place() as u32);
                Poll::Ready(answer)
            }
            _ => Poll::Ready(Err(Failure::Gone)),
        }
    }

    /// Nobody waits for this any more. Whether somebody did.
    pub(super) fn give_up(&self, key: Key) -> bool {
        let mut state = self.0.lock();
        let given = state.take(key).is_some();
        let entry = state.entries.get_mut(key.place()).filter(|entry| entry.generation == key.generation());
        if let Some(entry) = entry
            && (given || matches!(entry.of, Of::Answered(_)))
        {
            entry.of = Of::Nobody;
            state.free.push(key.place() as u32);
        }
        given
    }

    /// For those who hand on what is waited for, one after the other.
    pub(super) fn handing(&self) -> Handing<'_> {
        Handing(self.0.lock())
    }

    /// Nobody took this bundle: those in it who still wait.
    pub(super) fn nobody(&self, bundle: Key, heard: &mut Heard) {
        let mut state = self.0.lock();
        let known = state.bundles.get_mut(bundle.place()).filter(|known| known.generation == bundle.generation());
        let members = known.map(|bundle| std::mem::take(&mut bundle.members)).unwrap_or_default();
        for key in members {
            state.settle(key, |_| Err(Failure::Nobody), heard);
        }
    }

    /// Answers came, or the word that there are none.
    pub(super) fn settle(&self, answers: impl Iterator<Item = (Key, Answer)>, heard: &mut Heard) {
        let mut state = self.0.lock();
        for (key, answer) in answers {
            if !state.settle(key, |_| answer, heard) {
                heard.stray += 1;
            }
        }
    }

    /// Those who have waited long enough. Says whether anybody is left.
    pub(super) fn expire(&self, now: Instant, heard: &mut Heard) -> bool {
        let mut state = self.0.lock();
        while let Some(Reverse((deadline, key))) = state.due.peek().copied() {
            if deadline > now {
                break;
            }
            state.due.pop();
            // What was not handed out by now is not sent any more.
            state.settle(key, |handed| Err(if handed { Failure::Timeout } else { Failure::Unsent }), heard);
        }
        state.entries.len() > state.free.len()
    }

    /// Takes nobody any more, and tells all who wait.
    pub(super) fn close(&self, heard: &mut Heard) {
        let mut state = self.0.lock();
        state.closed = true;
        for place in 0..state.entries.len() {
            let key = Key::new(place as u32, state.entries[place].generation);
            state.settle(key, |handed| Err(if handed { Failure::Gone } else { Failure::Unsent }), heard);
        }
        (state.bundles, state.idle, state.due) = Default::default();
    }

    /// Whether anybody waits.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.0.lock();
        state.entries.len() == state.free.len()
    }
}

/// What is waited for goes to the library.
pub(super) struct Handing<'a>(MutexGuard<'a, State>);

impl Handing<'_> {
    /// It goes to the library now; false when nobody waits for it any more, so that it must not.
    pub(super) fn hand(&mut self, key: Key) -> bool {
        let entry = self.0.entries.get_mut(key.place()).filter(|entry| entry.is(key));
        entry.map(|entry| entry.handed = true).is_some()
    }

    /// These go to the library now, as one bundle; `None` when nobody waits for any of them any more.
    pub(super) fn hand_all(&mut self, members: Vec<Key>) -> Option<Handed> {
        let State { entries, bundles, idle, .. } = &mut *self.0;
        let place = idle.last().copied().unwrap_or(bundles.len() as u32);
        let (mut gone, mut left) = (NumberSet::<Number>::default(), 0);
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
}

impl Entry {
    /// Whether somebody waits here under this key.
    fn is(&self, key: Key) -> bool {
        self.generation == key.generation() && matches!(self.of, Of::Call(_) | Of::Message(_))
    }
}

impl State {
    fn open(&mut self, waiter: Waiter, deadline: Instant) -> Option<Key> {
        if self.closed {
            return None;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.entries.push(Entry::default());
                u32::try_from(self.entries.len() - 1).ok()?
            }
        };
        let entry = &mut self.entries[place as usize];
        entry.generation = entry.generation.checked_add(1).unwrap_or(1);
        entry.handed = false;
        entry.of = match waiter {
            Waiter::Call => Of::Call(None),
            Waiter::Message(told) => Of::Message(told),
        };
        let key = Key::new(place, entry.generation);
        self.due.push(Reverse((deadline, key)));
        // Most are answered long before: their deadlines are thrown out when they have become the larger part.
        if self.due.len() > 1024 && self.due.len() > 4 * (self.entries.len() - self.free.len()) {
            let Self { due, entries, .. } = self;
            due.retain(|Reverse((_, key))| entries.get(key.place()).is_some_and(|entry| entry.is(*key)));
        }
        Some(key)
    }

    /// Ends the waiting under a key: who it was, and whether it was handed on. The place is free unless a task has to fetch
    /// its answer there.
    fn take(&mut self, key: Key) -> Option<(Of, bool)> {
        let entry = self.entries.get_mut(key.place()).filter(|entry| entry.is(key))?;
        let (of, handed, bundle) = (std::mem::take(&mut entry.of), entry.handed, entry.bundle.take());
        if let Some(place) = bundle
            && let Some(bundle) = self.bundles.get_mut(place as usize)
        {
            bundle.left -= 1;
            if bundle.left == 0 {
                bundle.members = Vec::new();
                self.idle.push(place);
            }
        }
        Some((of, handed))
    }

    /// What became of it, by whether it was handed on. False when nobody waits.
    fn settle(&mut self, key: Key, answer: impl FnOnce(bool) -> Answer, heard: &mut Heard) -> bool {
        let Some((of, handed)) = self.take(key) else { return false };
        let answer = answer(handed);
        heard.failures.extend(answer.as_ref().err());
        match of {
            Of::Message(told) => {
                heard.messages.push((told, answer));
                self.free.push(key.place() as u32);
            }
            Of::Call(waker) => {
                heard.wakers.extend(waker);
                if let Some(entry) = self.entries.get_mut(key.place()) {
                    entry.of = Of::Answered(answer);
                }
            }
            Of::Nobody | Of::Answered(_) => {}
        }
        true
    }
}
