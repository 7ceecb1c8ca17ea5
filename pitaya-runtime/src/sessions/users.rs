//! Sessions by uid: the one that is bound, and those before it whose hooks still run.

use pitaya_core::Session;
use pitaya_core::cluster::LoginOrder;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Uids are the clients' words: a hash with a secret.
#[derive(Debug, Default)]
pub(super) struct Users {
    bound: HashMap<Arc<str>, Bound>,
    ending: HashMap<Arc<str>, Vec<Ending>>,
}

#[derive(Debug)]
struct Bound {
    session: Session,
    /// When it was bound, by the clock of this frontend.
    time: u64,
    waiting: Vec<Sender<()>>,
}

/// A session that was replaced or closed. The sender is dropped when its hooks have run.
#[derive(Debug)]
struct Ending {
    session: i64,
    waiting: Vec<Sender<()>>,
}

/// Effect of another frontend's login here.
pub(crate) enum Heard {
    /// No session of the user is here, and none ends.
    Unknown,
    /// The session here, bound at this time by the clock of this frontend, is the later one.
    Newer(u64),
    /// The session here, if there is one still, is the older one. Hooks of this one or of one before run.
    Older(Option<Session>, Older),
}

/// Older sessions of a user whose hooks still run.
#[derive(Debug, Default)]
pub(crate) struct Older(Vec<Receiver<()>>);

impl Older {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends when the hooks of all of them have run.
    pub(crate) async fn ended(self) {
        for session in self.0 {
            let _ = session.await;
        }
    }
}

impl Users {
    pub(super) fn session(&self, uid: &str) -> Option<&Session> {
        self.bound.get(uid).map(|bound| &bound.session)
    }

    pub(super) fn count(&self) -> usize {
        self.bound.len()
    }

    pub(super) fn knows(&self, uid: &str) -> bool {
        self.bound.contains_key(uid) || self.ending.contains_key(uid)
    }

    /// Gives the session that was bound before, which is about to end.
    pub(super) fn bind(&mut self, session: &Session, uid: &Arc<str>, time: u64) -> Option<Session> {
        let bound = Bound { session: session.clone(), time, waiting: Vec::new() };
        let old = self.bound.insert(uid.clone(), bound).filter(|old| old.session != *session)?;
        self.end(uid.clone(), old.session.id(), old.waiting);
        Some(old.session)
    }

    fn end(&mut self, uid: Arc<str>, session: i64, waiting: Vec<Sender<()>>) {
        self.ending.entry(uid).or_default().push(Ending { session, waiting });
    }

    pub(super) fn unbind(&mut self, session: &Session, uid: &str) -> bool {
        let own = self.session(uid).is_some_and(|owner| owner == session);
        if own && let Some((uid, bound)) = self.bound.remove_entry(uid) {
            self.end(uid, session.id(), bound.waiting);
        }
        own
    }

    pub(super) fn ended(&mut self, session: &Session, uid: &str) {
        let Some(ending) = self.ending.get_mut(uid) else { return };
        ending.retain(|ending| ending.session != session.id());
        if ending.is_empty() {
            self.ending.remove(uid);
        }
    }

    /// What this session waits for.
    pub(super) fn wait(&mut self, uid: &str, session: &Session) -> Older {
        let ending = self.ending.get_mut(uid).into_iter().flatten();
        Older(
            ending.filter(|ending| ending.session != session.id()).map(|ending| enlist(&mut ending.waiting)).collect(),
        )
    }

    pub(super) fn hear(&mut self, uid: &str, order: &LoginOrder, own: &Arc<str>) -> Heard {
        let bound = self.bound.get_mut(uid);
        if let Some(bound) = &bound
            && (bound.time, own, bound.session.id()) > (order.time, &order.frontend, order.session)
        {
            return Heard::Newer(bound.time);
        }
        let session = bound.as_ref().map(|bound| bound.session.clone());
        let mut older: Vec<_> = bound.map(|bound| enlist(&mut bound.waiting)).into_iter().collect();
        older.extend(self.ending.get_mut(uid).into_iter().flatten().map(|ending| enlist(&mut ending.waiting)));
        if older.is_empty() { Heard::Unknown } else { Heard::Older(session, Older(older)) }
    }
}

/// One more who waits. Those who have stopped are forgotten: hooks may run for ever.
fn enlist(waiting: &mut Vec<Sender<()>>) -> Receiver<()> {
    let (sender, receiver) = channel();
    waiting.retain(|sender| !sender.is_closed());
    waiting.push(sender);
    receiver
}
