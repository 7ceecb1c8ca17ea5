//! Memberships that belong to sessions: how they begin, and how they end with the session.
//!
//! A join is recorded at the frontend that has the session before it is written to the store. When the session ends, the
//! frontend has each writer take out what it wrote: it looks at its records, and at no key that is not its own. A frontend
//! that dies leaves its sessions in the store; the others take them out when it has been gone from discovery for long
//! enough (`sweep`).

mod departure;
mod limit;
mod messages;
mod places;
mod records;
mod remote;
mod restore;
mod sweep;
mod turns;

pub(crate) use remote::Question;

use crate::cluster::Cluster;
use crate::quota::Quota;
use crate::sessions::Sessions;
use departure::Departures;
use pitaya_core::Session;
use pitaya_core::cluster::EPOCH;
use pitaya_core::cluster::groups::{GroupError, GroupStore, Holder, IfMissing};
use records::{Record, Records, Writer};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turns::Turns;

/// Memberships of sessions known to one app: of its own sessions, and of those that joined here.
pub(crate) struct Memberships {
    store: Arc<dyn GroupStore>,
    sessions: Arc<Sessions>,
    cluster: Arc<Cluster>,
    /// Tells this start of the server from others: see [`Holder::epoch`].
    epoch: u64,
    /// `pitaya.groups.persession`
    most: usize,
    /// `pitaya.groups.hookwait`
    hooks: Duration,
    /// Whether users leave their groups with their last session.
    users_leave: bool,
    /// How long a frontend may be missing in discovery before its sessions are taken for ended.
    ttl: Duration,
    sweeps: bool,
    records: Records,
    turns: Turns,
    departures: Departures,
    tasks: TaskTracker,
    stopping: CancellationToken,
    quota: Quota,
    /// Operations that failed, in the log.
    failed: Quota,
}

/// Dependencies of the memberships of an app.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn GroupStore>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) config: crate::config::Groups,
    pub(crate) users_leave: bool,
    pub(crate) epoch: u64,
    pub(crate) ttl: Duration,
    /// Whether discovery knows all frontends whose sessions may be in the store.
    pub(crate) sweeps: bool,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

type Outcome<T> = Result<T, GroupError>;

impl Memberships {
    /// An epoch for one start of a server. 53 bits: readers of JSON keep it exact.
    pub(crate) fn new_epoch() -> u64 {
        uuid::Uuid::new_v4().as_u64_pair().0 >> 11
    }

    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, sessions, cluster, config, users_leave, epoch, ttl, sweeps, tasks, stopping } = parts;
        Self {
            store,
            sessions,
            cluster,
            epoch,
            ttl,
            sweeps,
            most: config.persession,
            hooks: config.hookwait,
            users_leave,
            records: Records::default(),
            turns: Turns::default(),
            departures: Departures::new(config.departures),
            tasks,
            stopping,
            quota: Quota::default(),
            failed: Quota::default(),
        }
    }

    /// How long memberships of an ended session wait for its close hooks.
    pub(crate) fn hooks(&self) -> Duration {
        self.hooks
    }

    /// Logs that an operation on a group failed.
    #[cold]
    pub(super) fn note(&self, operation: &str, group: &str, error: &impl std::fmt::Display) {
        if let Some(missed) = self.failed.admit() {
            tracing::warn!(operation, group, %error, missed, "groups failed");
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
        let id = session.id();
        let Some(frontend) = session.frontend() else {
            let turn = self.turns.of(&self.cluster.own.id, id).await;
            if self.sessions.get(id).is_none_or(|known| known != *session) {
                return Err(GroupError::SessionEnded);
            }
            turn.joins(&group);
            let place = self.identity().map_or_else(|| self.cluster.own.id.clone(), Arc::from);
            self.record(session, Record::new(group.clone(), uid.clone(), Writer::Own, place)).await?;
            let joined = self.store.join(&group, &uid, &self.holder(id), if_missing).await;
            if is_refused(&joined) {
                self.records.remove(id, &group, None);
            }
            // Its end has the record, and takes the membership out when this turn is over.
            return if session.is_closed() { Err(GroupError::SessionEnded) } else { joined };
        };
        let turn = self.turns.of(&frontend.id, id).await;
        turn.joins(&group);
        let epoch = self.record_at(frontend, id, &uid, &group).await?;
        let holder = Holder { frontend: frontend.id.clone(), epoch, session: id };
        let joined = self.store.join(&group, &uid, &holder, if_missing).await;
        if is_refused(&joined) {
            // A record too many does no harm.
            let _ = self.forget_at(frontend, id, &uid, &group).await;
        }
        joined
    }

    /// Takes a session from the holders of a membership. Whether its uid has left the group by that.
    pub(super) async fn leave(self: &Arc<Self>, group: &str, session: &Session) -> Outcome<bool> {
        let uid = session.uid().ok_or(GroupError::NotBound)?;
        let (this, group, session): (_, Arc<str>, _) = (self.clone(), group.into(), session.clone());
        let task = self.tasks.spawn(async move { this.leave_now(group, &uid, &session).await });
        task.await.unwrap_or_else(|ended| Err(GroupError::Unavailable(ended.to_string())))
    }

    async fn leave_now(&self, group: Arc<str>, uid: &str, session: &Session) -> Outcome<bool> {
        let (id, groups) = (session.id(), std::slice::from_ref(&group));
        let Some(frontend) = session.frontend() else {
            let _turn = self.turns.of(&self.cluster.own.id, id).await;
            let left = self.store.leave(groups, uid, &self.holder(id)).await?;
            self.records.remove(id, &group, None);
            return Ok(!left.is_empty());
        };
        let server = self.reporting(frontend)?;
        let _turn = self.turns.of(&frontend.id, id).await;
        // The store first: should this end half-way, the frontend has its record still.
        let known = server.metadata.get(EPOCH).and_then(|epoch| u64::from_str_radix(epoch, 16).ok());
        let holder = Holder { frontend: frontend.id.clone(), epoch: known.unwrap_or_default(), session: id };
        let mut left = self.store.leave(groups, uid, &holder).await?;
        if let Some(epoch) = self.forget_at(frontend, id, uid, &group).await?
            && epoch != holder.epoch
        {
            // Discovery is late: the frontend has started again under its id.
            left = self.store.leave(groups, uid, &Holder { epoch, ..holder }).await?;
        }
        Ok(!left.is_empty())
    }

    fn holder(&self, session: i64) -> Holder {
        Holder { frontend: self.cluster.own.id.clone(), epoch: self.epoch, session }
    }
}

/// Whether a join has certainly not been written.
fn is_refused(joined: &Outcome<bool>) -> bool {
    matches!(joined, Err(error) if !matches!(error, GroupError::Unavailable(_)))
}
