//! The record of this server.

use super::client::Client;
use super::fault::{Fault, Kind};
use super::lease::{Held, Lease};
use super::messages::TxnRequest;
use super::messages::{Compare, Op};
use super::outage::{Outage, Part};
use parking_lot::Mutex;
use pitaya_core::cluster::ServerInfo;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// In the metadata of a server that leaves of its own will: others need not wait whether it comes back. A Go server does
/// not read a record again, and hears of the end as ever.
const LEAVING: &str = "pitaya.leaving";

pub(super) fn is_leaving(server: &ServerInfo) -> bool {
    server.metadata.contains_key(LEAVING)
}

/// Leases that are remembered as ours.
const OURS: usize = 16;

/// This server, as the watcher sees it: whether it is announced, and how to say that its record is missing.
#[derive(Default)]
pub(super) struct Own(Mutex<Option<Announced>>);

struct Announced {
    id: Arc<str>,
    /// None until the record has been written.
    held: Option<(Arc<Record>, Lease)>,
}

impl Own {
    /// Its id, while it is announced.
    pub(super) fn id(&self) -> Option<Arc<str>> {
        self.0.lock().as_ref().map(|announced| announced.id.clone())
    }

    pub(super) fn begin(&self, id: Arc<str>) {
        *self.0.lock() = Some(Announced { id, held: None });
    }

    pub(super) fn hold(&self, record: Arc<Record>, lease: Lease) {
        if let Some(announced) = &mut *self.0.lock() {
            announced.held = Some((record, lease));
        }
    }

    /// It is announced no longer. The record and its lease, if it was written.
    pub(super) fn end(&self) -> Option<(Arc<Record>, Lease)> {
        self.0.lock().take().and_then(|announced| announced.held)
    }

    /// The record is not in etcd, and should be.
    pub(super) fn is_missing(&self) {
        if let Some((_, lease)) = self.0.lock().as_ref().and_then(|announced| announced.held.as_ref()) {
            lease.check();
        }
    }
}

/// The record of this server, to be written.
pub(super) struct Record {
    client: Arc<Client>,
    outage: Arc<Outage>,
    key: String,
    server: ServerInfo,
    deadline: Duration,
    /// Whether renewals are logged.
    log: bool,
    /// Leases under which it may have been written: the newest last.
    ours: Mutex<VecDeque<i64>>,
}

impl Record {
    pub(super) fn new(
        client: Arc<Client>,
        outage: Arc<Outage>,
        key: String,
        server: ServerInfo,
        deadline: Duration,
        log: bool,
    ) -> Self {
        Self { client, outage, key, server, deadline, log, ours: Mutex::default() }
    }

    /// The last words of the record, before the lease is given back.
    pub(super) async fn say_goodbye(&self, lease: i64, within: Duration) -> Result<(), Fault> {
        let mut last = self.server.clone();
        last.metadata.insert(LEAVING.to_owned(), "1".to_owned());
        // Only while it is ours: nothing else has been written under this lease.
        let ours = Compare::leased(&self.key, lease);
        let put = Op::put(&self.key, &last.to_json(), lease);
        self.client.txn(TxnRequest::when(vec![ours], vec![put], Vec::new()), within).await.map(drop)
    }

    /// Nobody asks etcd for the lease any more.
    pub(super) fn is_over(&self) {
        self.outage.ends(Part::Lease);
    }

    /// A record without a lease is no server's: all write theirs with one.
    fn is_anothers(&self, lease: i64) -> bool {
        lease != 0 && !self.ours.lock().contains(&lease)
    }

    fn remember(&self, lease: i64) {
        let mut ours = self.ours.lock();
        if !ours.contains(&lease) {
            ours.push_back(lease);
        }
        if ours.len() > OURS {
            ours.pop_front();
        }
    }
}

impl Held for Record {
    /// Writes it unless the key is another server's, which is found out in the same step.
    async fn write(&self, lease: i64) -> Result<(), Fault> {
        self.remember(lease);
        let found = self.client.get(&self.key, self.deadline).await?;
        let unchanged = match found {
            None => Compare::is_missing(&self.key),
            Some(kv) if self.is_anothers(kv.lease) => return Err(self.taken(kv.lease)),
            Some(kv) => Compare::written_at(&self.key, kv.mod_revision),
        };
        let put = Op::put(&self.key, &self.server.to_json(), lease);
        let done = self.client.txn(TxnRequest::when(vec![unchanged], vec![put], Vec::new()), self.deadline).await?;
        // Somebody was faster; who, is seen by the next try.
        if done.succeeded { Ok(()) } else { Err(self.taken(0)) }
    }

    fn answered(&self, lease: i64) {
        self.outage.ends(Part::Lease);
        if self.log {
            tracing::debug!(id = &*self.server.id, lease, "the lease of this server was renewed");
        }
    }

    fn failed(&self, fault: &Fault) {
        self.outage.begins(Part::Lease, fault);
    }
}

impl Record {
    fn taken(&self, lease: i64) -> Fault {
        Fault::new(Kind::Taken(lease), format!("another server has the id `{}`", self.server.id))
    }
}
