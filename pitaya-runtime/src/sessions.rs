//! Who is here, by id and by uid.

use parking_lot::RwLock;
use pitaya_core::{CloseReason, Error, Result, Session};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The sessions of one app.
#[derive(Debug)]
pub struct Sessions {
    next: AtomicI64,
    by_id: RwLock<FxHashMap<i64, Session>>,
    /// Uids are the clients' words: a hash with a secret.
    by_uid: RwLock<HashMap<Arc<str>, Session>>,
    emptied: Notify,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { next: AtomicI64::new(1), by_id: RwLock::default(), by_uid: RwLock::default(), emptied: Notify::new() }
    }

    /// The session with this id.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<Session> {
        self.by_id.read().get(&id).cloned()
    }

    /// The session bound to this uid.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<Session> {
        self.by_uid.read().get(uid).cloned()
    }

    /// Tells of each of these uids, by its place, the session bound to it.
    pub(crate) fn find(&self, uids: &[&str], mut tell: impl FnMut(usize, Option<&Session>)) {
        let by_uid = self.by_uid.read();
        uids.iter().enumerate().for_each(|(place, uid)| tell(place, by_uid.get(*uid)));
    }

    /// How many there are, from the moment their connection was accepted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.read().len()
    }

    /// How many are bound to a uid.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.by_uid.read().len()
    }

    /// All there are now. Sessions that come and go while the list is read do no harm.
    #[must_use]
    pub fn all(&self) -> Vec<Session> {
        self.by_id.read().values().cloned().collect()
    }

    pub(crate) fn next_id(&self) -> i64 {
        self.next.fetch_add(1, Relaxed)
    }

    pub(crate) fn insert(&self, session: &Session) {
        self.by_id.write().insert(session.id(), session.clone());
    }

    pub(crate) fn remove(&self, session: &Session) {
        let mut by_id = self.by_id.write();
        let last = by_id.remove(&session.id()).is_some() && by_id.is_empty();
        drop(by_id);
        if last {
            self.emptied.notify_waiters();
        }
    }

    /// Ends when the last session goes, from this call on.
    pub(crate) fn emptied(&self) -> Notified<'_> {
        self.emptied.notified()
    }

    /// Makes a session the one of its uid; the older one is kicked.
    ///
    /// # Errors
    /// PIT-499 when the session was closed meanwhile; the uid is then free.
    pub(crate) fn bind(&self, session: &Session, uid: &Arc<str>) -> Result<()> {
        let old = self.by_uid.write().insert(uid.clone(), session.clone());
        if let Some(old) = old.filter(|old| old != session) {
            old.close_for(CloseReason::Replaced);
        }
        // Whoever closed it may have looked before it was in the map.
        if session.is_closed() {
            self.unbind(session, uid);
            return Err(Error::closed());
        }
        Ok(())
    }

    /// Takes the uid away unless it belongs to another session by now; true when it was this session's.
    pub(crate) fn unbind(&self, session: &Session, uid: &str) -> bool {
        let mut by_uid = self.by_uid.write();
        let own = by_uid.get(uid).is_some_and(|owner| owner == session);
        if own {
            by_uid.remove(uid);
        }
        own
    }
}
