//! Memberships that belong to sessions: how they begin, and how they end with the session.
//!
//! A join is recorded at the frontend that has the session before it is written to the store. When the session ends, the
//! frontend has each writer take out what it wrote: it looks at its records, and at no key that is not its own. A frontend
//! that dies leaves its sessions in the store; the others take them out when it has been gone from discovery for long
//! enough (`sweep`).

mod departure;
mod records;
mod turns;

use crate::cluster::Cluster;
use crate::quota::Quota;
use crate::sessions::Sessions;
use departure::Departures;
use pitaya_core::Session;
use pitaya_core::cluster::groups::{GroupError, GroupStore, Holder, IfMissing};
use records::{Record, Records, Writer};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turns::Turns;

/// What one app knows of the memberships of sessions: of its own, and of those that joined here.
pub(crate) struct Memberships {
    store: Arc<dyn GroupStore>,
    sessions: Arc<Sessions>,
    cluster: Arc<Cluster>,
    /// Tells this start of the server from others: see [`Holder::epoch`].
    epoch: u64,
    /// `pitaya.groups.persession`
    most: usize,
    /// Whether users leave their groups with their last session.
    users_leave: bool,
    records: Records,
    turns: Turns,
    departures: Departures,
    tasks: TaskTracker,
    stopping: CancellationToken,
    quota: Quota,
}

/// What the memberships of an app are made of.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn GroupStore>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) config: crate::config::Groups,
    pub(crate) users_leave: bool,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

type Outcome<T> = Result<T, GroupError>;

impl Memberships {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, sessions, cluster, config, users_leave, tasks, stopping } = parts;
        Self {
            store,
            sessions,
            cluster,
            // 53 bits: readers of JSON keep it exact.
            epoch: uuid::Uuid::new_v4().as_u64_pair().0 >> 11,
            most: config.persession,
            users_leave,
            records: Records::default(),
            turns: Turns::default(),
            departures: Departures::new(config.departures),
            tasks,
            stopping,
            quota: Quota::default(),
        }
    }

    /// Makes a session hold a membership. Whether its uid was no member before.
    pub(super) async fn join(self: &Arc<Self>, group: &str, session: &Session, if_missing: IfMissing) -> Outcome<bool> {
        let uid = session.uid().ok_or(GroupError::NotBound)?;
        let (this, group, session): (_, Arc<str>, _) = (self.clone(), group.into(), session.clone());
        // A task of its own: a handler that is given up half-way leaves no membership without a record.
        let task = self.tasks.spawn(async move { this.join_now(group, uid, &session, if_missing).await });
        task.await.unwrap_or_else(|ended| Err(GroupError::Unavailable(ended.to_string())))
    }

    async fn join_now(
        &self,
        group: Arc<str>,
        uid: Arc<str>,
        session: &Session,
        if_missing: IfMissing,
    ) -> Outcome<bool> {
        let _turn = self.turns.of(&self.cluster.own.id, session.id()).await;
        if self.sessions.get(session.id()).is_none_or(|known| known != *session) {
            return Err(GroupError::SessionEnded);
        }
        let record = Record { group: group.clone(), uid: uid.clone(), writer: Writer::Own };
        self.records.add(session, record, self.most)?;
        let joined = self.store.join(&group, &uid, &self.holder(session.id()), if_missing).await;
        match joined {
            // Its end has the record, and takes the membership out when this turn is over.
            Ok(_) if session.is_closed() => Err(GroupError::SessionEnded),
            // It may have been written.
            Ok(_) | Err(GroupError::Unavailable(_)) => joined,
            Err(_) => {
                self.records.remove(session.id(), &group, None);
                joined
            }
        }
    }

    /// Takes a session from the holders of a membership. Whether its uid has left the group by that.
    pub(super) async fn leave(self: &Arc<Self>, group: &str, session: &Session) -> Outcome<bool> {
        let uid = session.uid().ok_or(GroupError::NotBound)?;
        let (this, group, session): (_, Arc<str>, _) = (self.clone(), group.into(), session.clone());
        let task = self.tasks.spawn(async move { this.leave_now(group, &uid, &session).await });
        task.await.unwrap_or_else(|ended| Err(GroupError::Unavailable(ended.to_string())))
    }

    async fn leave_now(&self, group: Arc<str>, uid: &str, session: &Session) -> Outcome<bool> {
        let _turn = self.turns.of(&self.cluster.own.id, session.id()).await;
        let left = self.store.leave(std::slice::from_ref(&group), uid, &self.holder(session.id())).await?;
        self.records.remove(session.id(), &group, None);
        Ok(!left.is_empty())
    }

    fn holder(&self, session: i64) -> Holder {
        Holder { frontend: self.cluster.own.id.clone(), epoch: self.epoch, session }
    }
}
