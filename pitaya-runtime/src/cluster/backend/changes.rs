//! What turns did to sessions, told to messages that were sent before their frontend knew of it.
//!
//! A frontend sends the session along as it is when it sends. A message that was on its way while an earlier one bound the
//! session, or replaced its data, shows it as it was; it is handled after that one, so it has to see what that one did.

use super::shard::Key;
use bytes::Bytes;
use pitaya_core::cluster::IncomingMessage;
use pitaya_core::maps::KeyedMap;
use std::time::{Duration, Instant};

/// How long a message can be on its way, for this purpose: the frontend knew of the change before its turn was over.
const WAY: Duration = Duration::from_millis(250);
/// So many states of the data are known as old.
const STATES: usize = 4;
/// So many sessions are kept in mind: those beyond are changed too often to be waited for.
const SESSIONS: usize = 4096;

/// What one turn did.
#[derive(Debug)]
pub(super) struct Change {
    /// Whom it bound the session to.
    pub(super) uid: Option<Bytes>,
    /// The data it sent to the frontend, and those they took the place of.
    pub(super) data: Option<(Bytes, Bytes)>,
}

impl Change {
    pub(super) fn tell(&self, message: &mut IncomingMessage) {
        if let Some(uid) = self.uid.as_ref().filter(|_| message.letter.uid.is_empty()) {
            message.letter.uid = uid.clone();
        }
        if let Some((new, old)) = &self.data
            && message.letter.data == old
        {
            message.letter.data = new.clone();
        }
    }
}

/// The changes of a moment ago.
#[derive(Debug, Default)]
pub(super) struct Changes(KeyedMap<Key, Recent>);

#[derive(Debug)]
struct Recent {
    uid: Option<Bytes>,
    data: Option<Bytes>,
    old: Vec<Bytes>,
    until: Instant,
}

impl Changes {
    pub(super) fn add(&mut self, key: Key, change: &Change, now: Instant) {
        if self.0.len() >= SESSIONS && !self.0.contains_key(&key) {
            self.forget(now);
            if self.0.len() >= SESSIONS {
                return;
            }
        }
        let fresh = || Recent { uid: None, data: None, old: Vec::new(), until: now };
        let recent = self.0.entry(key).or_insert_with(fresh);
        recent.until = now + WAY;
        recent.uid = change.uid.clone().or(recent.uid.take());
        if let Some((new, old)) = &change.data {
            recent.data = Some(new.clone());
            if recent.old.len() == STATES {
                recent.old.remove(0);
            }
            recent.old.push(old.clone());
        }
    }

    #[inline]
    pub(super) fn tell(&self, key: &Key, message: &mut IncomingMessage, now: impl FnOnce() -> Instant) {
        if self.0.is_empty() {
            return;
        }
        let Some(recent) = self.0.get(key) else { return };
        if recent.until < now() {
            return;
        }
        if let Some(uid) = recent.uid.as_ref().filter(|_| message.letter.uid.is_empty()) {
            message.letter.uid = uid.clone();
        }
        if let Some(data) = recent.data.as_ref().filter(|_| recent.old.contains(&message.letter.data)) {
            message.letter.data = data.clone();
        }
    }

    pub(super) fn forget(&mut self, now: Instant) {
        self.0.retain(|_, recent| recent.until >= now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
