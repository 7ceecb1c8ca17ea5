//! Who is here, by id and by uid.

mod users;

pub(crate) use users::{Heard, Older};

use parking_lot::RwLock;
use pitaya_core::cluster::LoginOrder;
use pitaya_core::maps::NumberMap;
use pitaya_core::{CloseReason, Error, Result, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The sessions of one app.
#[derive(Debug)]
pub struct Sessions {
    next: AtomicI64,
    by_id: RwLock<NumberMap<i64, Session>>,
    users: RwLock<users::Users>,
    emptied: Notify,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { next: AtomicI64::new(1), by_id: RwLock::default(), users: RwLock::default(), emptied: Notify::new() }
    }

    /// The session with this id.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<Session> {
        self.by_id.read().get(&id).cloned()
    }

    /// The session bound to this uid.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<Session> {
        self.users.read().session(uid).cloned()
    }

    /// Tells of each of these uids, by its place, the session bound to it.
    pub(crate) fn find(&self, uids: &[&str], mut tell: impl FnMut(usize, Option<&Session>)) {
        let users = self.users.read();
        uids.iter().enumerate().for_each(|(place, uid)| tell(place, users.session(uid)));
    }

    /// How many there are, from the moment their connection was accepted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.read().len()
    }

    /// How many are bound to a uid.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.users.read().count()
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

    /// Makes a session the one of its uid; the older one is kicked. Gives when it was bound by the clock `time`, which is
    /// read when no other session can be bound, and what is to be waited for until no older one's hooks run any more.
    ///
    /// # Errors
    /// PIT-499 when the session was closed meanwhile; the uid is then free.
    pub(crate) fn bind(&self, session: &Session, uid: &Arc<str>, time: impl FnOnce() -> u64) -> Result<(u64, Older)> {
        let mut users = self.users.write();
        let time = time();
        let old = users.bind(session, uid, time);
        let older = users.wait(uid, session);
        drop(users);
        if let Some(old) = old {
            old.close_for(CloseReason::Replaced);
        }
        // Whoever closed it may have looked before it was in the map.
        if session.is_closed() {
            self.undo(session, uid);
            return Err(Error::closed());
        }
        Ok((time, older))
    }

    /// Takes a uid back that was not bound to the end: nobody waits for such a session.
    pub(crate) fn undo(&self, session: &Session, uid: &str) {
        let mut users = self.users.write();
        users.unbind(session, uid);
        users.ended(session, uid);
    }

    /// Takes the uid away, unless it belongs to another session by now, because the session closes; true when it was this
    /// session's. Whoever binds the uid from now on waits until it has [ended](Self::ended).
    pub(crate) fn unbind(&self, session: &Session, uid: &str) -> bool {
        self.users.write().unbind(session, uid)
    }

    /// The hooks of a closed session have run.
    pub(crate) fn ended(&self, session: &Session, uid: &str) {
        self.users.write().ended(session, uid);
    }

    /// Another frontend has bound the uid.
    pub(crate) fn hear(&self, uid: &str, order: &LoginOrder, own: &Arc<str>) -> Heard {
        if self.users.read().knows(uid) { self.users.write().hear(uid, order, own) } else { Heard::Unknown }
    }
}
