//! How many groups a session may be in.
//!
//! Records count joins. A membership may also end where no record is kept: by `delete` or `remove_member`, with the time of
//! its group, by `leave` at another server. So at the limit the stores are asked which of the recorded memberships are there.

use super::departure::by_writer;
use super::messages::{Ended, Held};
use super::records::{Added, Record, Writer};
use super::{Memberships, Outcome};
use crate::cluster::sys;
use futures_util::future::join_all;
use pitaya_core::Session;
use pitaya_core::cluster::groups::{GroupError, Holder};
use std::sync::Arc;

impl Memberships {
    /// Records a join of a session of this server.
    ///
    /// # Errors
    /// [`GroupError::SessionEnded`], [`GroupError::TooManyGroups`].
    pub(super) async fn record(&self, session: &Session, record: Record) -> Outcome<()> {
        let mut added = self.records.add(session, record.clone(), self.most);
        if let Added::Full(known) = added {
            self.records.end(session.id(), &self.over(session.id(), known).await);
            added = self.records.add(session, record, self.most);
        }
        match added {
            Added::Done => Ok(()),
            Added::Full(_) => Err(GroupError::TooManyGroups(self.most)),
            Added::Ended => Err(GroupError::SessionEnded),
        }
    }

    /// The records of a session whose memberships are over. One question to each server that has written some.
    async fn over(&self, session: i64, known: Vec<Record>) -> Vec<Record> {
        let holder = self.holder(session);
        let parts = by_writer(known).into_iter().map(|part| async {
            let held = self.held_at(&part, &holder).await;
            (part, held)
        });
        let mut over = Vec::new();
        for (part, held) in join_all(parts).await {
            match held {
                Ok(held) => over.extend(part.into_iter().filter(|record| !held.contains(&record.group))),
                // Whoever cannot say may have them.
                Err(error) => {
                    let error = error.to_string();
                    tracing::debug!(session, error, "groups of a session could not be looked at");
                }
            }
        }
        over
    }

    /// Groups of these records, of one writer and one uid, that the session is in or about to join.
    async fn held_at(&self, records: &[Record], holder: &Holder) -> Outcome<Vec<Arc<str>>> {
        let Some(Record { uid, writer, .. }) = records.first() else { return Ok(Vec::new()) };
        let groups: Vec<_> = records.iter().map(|record| record.group.clone()).collect();
        let to = match writer {
            Writer::Own => None,
            Writer::Other { server, store } => self.stand_in(server, store.as_deref())?,
        };
        let Some(to) = to else { return self.held(&groups, uid, holder).await };
        let question = Ended::new(holder, uid, &groups);
        let held: Held = self.ask(&to, sys::HELD_GROUPS, &question).await?;
        Ok(held.groups.into_iter().map(Arc::from).collect())
    }

    /// The same at this server.
    pub(super) async fn held(&self, groups: &[Arc<str>], uid: &str, holder: &Holder) -> Outcome<Vec<Arc<str>>> {
        // Before the store is asked: a join that ends in between is seen there.
        let joining = self.turns.joining(&holder.frontend, holder.session);
        let mut held = self.store.held(groups, uid, holder).await?;
        held.extend(joining);
        Ok(held)
    }
}
