//! The end of a session, as its groups see it.

use super::Memberships;
use super::places::{Counterpart, Places};
use super::records::{Record, Writer};
use crate::cluster::chance;
use futures_util::future::join_all;
use pitaya_core::Session;
use pitaya_core::cluster::GroupError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::sleep;

/// Pause before the first repetition of a departure that failed. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Ended sessions on their way out of their groups.
pub(super) struct Departures {
    places: Places,
    waiting: AtomicUsize,
    /// `pitaya.groups.departures`
    most: usize,
}

impl Departures {
    pub(super) fn new(most: usize) -> Self {
        Self { places: Places::default(), waiting: AtomicUsize::new(0), most }
    }
}

/// A part of what an ended session leaves behind. Each is done and repeated by itself: one that waits for a server holds up
/// no other.
enum Part {
    /// Groups that it has joined, by one writer and one uid.
    Records(Vec<Record>),
    /// The user whose last session here it was, where users leave with that.
    User(Arc<str>),
}

impl Part {
    fn counterpart(&self) -> Counterpart {
        match self {
            Self::User(_) => Counterpart::Frontends,
            Self::Records(records) => match records.first().map(|record| &record.writer) {
                Some(Writer::Other { server, .. }) => Counterpart::Writer(server.id.clone()),
                Some(Writer::Own) | None => Counterpart::Store,
            },
        }
    }
}

impl Memberships {
    /// Takes an ended session out of its groups, in a task that the app waits for when it stops. `bound`: it was the
    /// session of its uid on this server until now.
    pub(crate) fn ended(self: &Arc<Self>, session: &Session, bound: bool) {
        let records = self.records.take(session.id());
        let user = session.uid().filter(|_| bound && self.users_leave);
        if records.is_empty() && user.is_none() {
            return;
        }
        if self.departures.waiting.fetch_add(1, Relaxed) >= self.departures.most {
            self.departures.waiting.fetch_sub(1, Relaxed);
            if let Some(missed) = self.quota.admit() {
                let session = session.id();
                tracing::warn!(
                    session,
                    missed,
                    "ended session stays in its groups: `pitaya.groups.departures` wait already"
                );
            }
            return;
        }
        let (this, session) = (self.clone(), session.id());
        let parts = by_writer(records).into_iter().map(Part::Records).chain(user.map(Part::User));
        let parts: Vec<_> = parts.collect();
        self.tasks.spawn(async move {
            join_all(parts.iter().map(|part| this.depart(session, part))).await;
            this.departures.waiting.fetch_sub(1, Relaxed);
        });
    }

    /// Repeats what fails, until the app stops.
    async fn depart(&self, session: i64, part: &Part) {
        let (counterpart, mut pause) = (part.counterpart(), FIRST_PAUSE);
        loop {
            let place = self.departures.places.at(&counterpart).await;
            let outcome = self.try_to_depart(session, part).await;
            drop(place);
            let Err(error) = outcome else { return };
            let again = matches!(error, GroupError::Unavailable(_));
            if let Some(missed) = self.quota.admit() {
                let error = error.to_string();
                tracing::warn!(session, error, again, missed, "ended session could not leave its groups");
            }
            // Servers do not repeat in step.
            let next = sleep(pause.mul_f64(0.75 + chance() / 2.0));
            if !again || self.stopping.run_until_cancelled(next).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_to_depart(&self, session: i64, part: &Part) -> Result<(), GroupError> {
        let records = match part {
            Part::User(uid) => return self.user_left(uid).await,
            Part::Records(records) => records,
        };
        let holder = self.holder(session);
        let groups: Vec<_> = records.iter().map(|record| record.group.clone()).collect();
        let Some(Record { uid, writer, .. }) = records.first() else { return Ok(()) };
        match writer {
            Writer::Own => {
                // Behind a join that is on its way to the store.
                let _turn = self.turns.of(&holder.frontend, holder.session).await;
                self.store.leave(&groups, uid, &holder).await.map(drop)
            }
            Writer::Other { server, store } => self.end_at(server, store.as_deref(), &holder, uid, &groups).await,
        }
    }

    /// Ends the memberships that a user holds, unless it is back in another session.
    async fn user_left(&self, uid: &str) -> Result<(), GroupError> {
        if self.sessions.by_uid(uid).is_some() {
            return Ok(());
        }
        match self.store.user_memberships(uid).await {
            Ok(memberships) if memberships.is_empty() => Ok(()),
            // Looked at before the question: what is added after it stays, whatever the answer was.
            Ok(_) if self.is_back(uid).await? => Ok(()),
            Ok(memberships) => self.store.release_user(uid, &memberships).await.map(drop),
            Err(GroupError::Unsupported) if self.is_back(uid).await? => Ok(()),
            Err(GroupError::Unsupported) => self.store.remove_everywhere(uid).await.map(drop),
            Err(error) => Err(error),
        }
    }

    async fn is_back(&self, uid: &str) -> Result<bool, GroupError> {
        Ok(self.is_elsewhere(uid).await? || self.sessions.by_uid(uid).is_some())
    }
}

/// The records of one writer and one uid each.
pub(super) fn by_writer(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut all: Vec<Vec<Record>> = Vec::new();
    for record in records {
        let same = |some: &&mut Vec<Record>| {
            some.first().is_some_and(|first| first.uid == record.uid && first.writer.id() == record.writer.id())
        };
        match all.iter_mut().find(same) {
            Some(some) => some.push(record),
            None => all.push(vec![record]),
        }
    }
    all
}
