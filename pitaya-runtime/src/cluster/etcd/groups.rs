//! Groups in etcd, that all servers see: Go's keys and transactions (`pkg/groups/etcd_group_service.go`).
//!
//! A group is the empty key `groups/<name>`, a member the empty key `groups/<name>/uids/<uid>`. A time to live is a lease
//! that the group and its members hang on together.

use super::address::AddressError;
use super::client::Client;
use super::fault::{Fault, Kind};
use super::lease::seconds;
use super::login::Login;
use super::messages::{Compare, KeyValue, Op, TxnRequest, TxnResponse};
use crate::config;
use pitaya_core::cluster::GroupStore;
use pitaya_core::cluster::groups::{Answer, ETCD_LEASE_NOT_FOUND, GroupError, MAX_NAME, check_name, check_uid};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Between the name of a group and the uid of a member. No name can hold it: see [`check_name`].
const UIDS: &str = "/uids/";
/// Keys that are deleted with one transaction; etcd takes 128 steps (`--max-txn-ops`).
const STEPS: usize = 100;
/// How often a member is added to a group that others make anew at the same time.
const TRIES: usize = 3;

/// A [`GroupStore`] that all servers of a cluster share, Go's included. A cheap handle.
///
/// Every operation is one transaction of etcd, and may take `transactiontimeout`. etcd counts a time to live in whole
/// seconds, grants about two at least, and ends it up to a second late.
///
/// `list` and `remove_everywhere` read the keys of all groups and members, because Go's keys are found by group, not by
/// member, and an index of ours would not know what Go servers do. With many members `remove_everywhere` is not for each
/// session that closes: remove the uid from the groups that your game put it in.
///
/// ```no_run
/// use pitaya_runtime::cluster::{EtcdGroups, GroupStore};
/// use pitaya_runtime::config::Config;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let groups = EtcdGroups::new(&Config::default().groups.etcd)?;
/// groups.create("lobby").await?;
/// groups.add_member("lobby", "zoe").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EtcdGroups {
    client: Arc<Client>,
    /// `<prefix>groups/`
    folder: Arc<str>,
    deadline: Duration,
}

type Outcome<T> = Result<T, GroupError>;

impl EtcdGroups {
    /// Groups with the settings `pitaya.groups.etcd`. It connects when it is first used.
    ///
    /// # Errors
    /// When an address of etcd is none.
    pub fn new(config: &config::EtcdGroups) -> Result<Self, AddressError> {
        let login = Login::of(&config.user, &config.pass);
        let client = Arc::new(Client::new(&config.endpoints, login, config.dialtimeout)?);
        let folder = format!("{}groups/", config.prefix).into();
        Ok(Self { client, folder, deadline: config.transactiontimeout })
    }

    /// The key of a group that there may be. Go does not check names: `a/uids/b` would be the member `b` of `a`.
    fn key(&self, group: &str) -> Outcome<String> {
        check_name(group).map_err(|_| GroupError::NotFound)?;
        Ok(format!("{}{group}", self.folder))
    }

    async fn make(&self, group: &str, lease: i64) -> Outcome<()> {
        let key = self.key(group)?;
        let question = TxnRequest::when(vec![Compare::is_missing(&key)], vec![Op::put(&key, "", lease)], Vec::new());
        let made = self.client.txn(question, self.deadline).await?;
        if made.succeeded { Ok(()) } else { Err(GroupError::AlreadyExists) }
    }

    /// Does this if the group is there.
    async fn within(&self, group: &str, steps: impl FnOnce(&str, &str) -> Vec<Op>) -> Outcome<TxnResponse> {
        let key = self.key(group)?;
        let steps = steps(&key, &format!("{key}{UIDS}"));
        let question = TxnRequest::when(vec![Compare::exists(&key)], steps, Vec::new());
        let done = self.client.txn(question, self.deadline).await?;
        if done.succeeded { Ok(done) } else { Err(GroupError::NotFound) }
    }

    async fn find(&self, group: &str) -> Outcome<KeyValue> {
        let found = self.client.get(&self.key(group)?, self.deadline).await?;
        found.ok_or(GroupError::NotFound)
    }

    /// One try; nothing when the group was made anew in the meantime.
    async fn add(&self, group: &str, uid: &str) -> Outcome<Option<()>> {
        let found = self.find(group).await?;
        let key = self.key(group)?;
        let member = format!("{key}{UIDS}{uid}");
        let both = vec![Compare::created_at(&key, found.create_revision), Compare::is_missing(&member)];
        let otherwise = vec![Op::count(&key), Op::count(&member)];
        let question = TxnRequest::when(both, vec![Op::put(&member, "", found.lease)], otherwise);
        let done = match self.client.txn(question, self.deadline).await {
            Err(fault) if fault.kind == Kind::LeaseGone => return Err(GroupError::NotFound),
            done => done?,
        };
        match done {
            _ if done.succeeded => Ok(Some(())),
            _ if done.count(0) == 0 => Err(GroupError::NotFound),
            _ if done.count(1) > 0 => Err(GroupError::MemberAlreadyExists),
            _ => Ok(None),
        }
    }

    async fn remove(&self, group: &str, uid: &str) -> Outcome<()> {
        let key = self.key(group)?;
        let member = format!("{key}{UIDS}{uid}");
        let otherwise = vec![Op::count(&key)];
        let question = TxnRequest::when(vec![Compare::exists(&member)], vec![Op::delete(&member)], otherwise);
        let done = self.client.txn(question, self.deadline).await?;
        match done {
            _ if done.succeeded => Ok(()),
            // Go says so of a group that is not there, too.
            _ if done.count(0) > 0 => Err(GroupError::MemberNotFound),
            _ => Err(GroupError::NotFound),
        }
    }

    /// What stands behind the folder in all keys.
    async fn names(&self) -> Outcome<Vec<String>> {
        let listing = self.client.list(&self.folder, true, self.deadline).await?;
        Ok(listing.kvs.iter().filter_map(|kv| self.behind(&self.folder, &kv.key)).map(str::to_owned).collect())
    }

    fn behind<'a>(&self, folder: &str, key: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(key.strip_prefix(folder.as_bytes())?).ok()
    }

    /// Deletes these memberships; gives the groups of those that were still there.
    async fn remove_from(&self, groups: &[&str], uid: &str) -> Outcome<Vec<Arc<str>>> {
        let member = |group: &&str| Op::delete(&format!("{}{group}{UIDS}{uid}", self.folder));
        let question = TxnRequest::when(Vec::new(), groups.iter().map(member).collect(), Vec::new());
        let done = self.client.txn(question, self.deadline).await?;
        let left = groups.iter().enumerate().filter(|(step, _)| done.count(*step) > 0);
        Ok(left.map(|(_, group)| Arc::from(*group)).collect())
    }
}

impl GroupStore for EtcdGroups {
    fn create<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            check_name(group)?;
            self.make(group, 0).await
        })
    }

    fn create_with_ttl<'a>(&'a self, group: &'a str, ttl: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            check_name(group)?;
            if ttl.is_zero() {
                return Err(GroupError::ZeroTtl);
            }
            let lease = self.client.grant(seconds(ttl), self.deadline).await?.id;
            let made = self.make(group, lease).await;
            if made.is_err() {
                // In Go it stays until its time is over. Should the group be there although etcd did not say so, it ends.
                let _ = self.client.revoke(lease, self.deadline).await;
            }
            made
        })
    }

    fn renew_ttl<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let lease = self.find(group).await?.lease;
            if lease == 0 {
                return Err(GroupError::TtlNotFound(ETCD_LEASE_NOT_FOUND));
            }
            let renewed = self.client.keep_alive(lease, self.deadline).await?;
            if renewed { Ok(()) } else { Err(GroupError::NotFound) }
        })
    }

    fn delete<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let steps = |key: &str, members: &str| vec![Op::delete_below(members), Op::delete(key)];
            self.within(group, steps).await.map(drop)
        })
    }

    fn exists<'a>(&'a self, group: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            match self.find(group).await {
                Ok(_) => Ok(true),
                Err(GroupError::NotFound) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn list(&self) -> Answer<'_, Vec<Arc<str>>> {
        Box::pin(async move {
            let names = self.names().await?;
            Ok(names.iter().filter(|name| check_name(name).is_ok()).map(|name| name.as_str().into()).collect())
        })
    }

    fn add_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            check_uid(uid)?;
            for _ in 0..TRIES {
                if self.add(group, uid).await?.is_some() {
                    return Ok(());
                }
            }
            Err(GroupError::Unavailable(format!("others delete and make the group `{group}` all the time")))
        })
    }

    fn remove_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(self.remove(group, uid))
    }

    fn remove_all<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.within(group, |_, members| vec![Op::delete_below(members)]).await.map(drop) })
    }

    /// Reads the keys of all groups and members, then deletes with one transaction for every 100 groups of the uid.
    fn remove_everywhere<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let names = self.names().await?;
            let group = |name: &'_ String| {
                let (group, member) = name.split_once(UIDS)?;
                (member == uid).then(|| group.to_owned())
            };
            let groups: Vec<String> = names.iter().filter_map(group).collect();
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            let mut left = Vec::new();
            for some in groups.chunks(STEPS) {
                left.extend(self.remove_from(some, uid).await?);
            }
            Ok(left)
        })
    }

    fn members<'a>(&'a self, group: &'a str) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let done = self.within(group, |_, members| vec![Op::keys_below(members)]).await?;
            let folder = format!("{}{group}{UIDS}", self.folder);
            let found = done.into_found(0);
            Ok(found.iter().filter_map(|kv| self.behind(&folder, &kv.key)).map(Into::into).collect())
        })
    }

    fn contains_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            if uid.is_empty() {
                return Err(GroupError::EmptyUid);
            }
            if uid.len() > MAX_NAME {
                // Nobody has such a uid, and etcd takes no keys of any length.
                return self.find(group).await.map(|_| false);
            }
            let done = self.within(group, |_, members| vec![Op::count(&format!("{members}{uid}"))]).await?;
            Ok(done.count(0) > 0)
        })
    }

    /// In Go a group that is not there has none.
    fn count_members<'a>(&'a self, group: &'a str) -> Answer<'a, usize> {
        Box::pin(async move {
            let done = self.within(group, |_, members| vec![Op::count_below(members)]).await?;
            Ok(usize::try_from(done.count(0)).unwrap_or_default())
        })
    }
}

impl From<Fault> for GroupError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}

impl fmt::Debug for EtcdGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdGroups").field("folder", &self.folder).finish_non_exhaustive()
    }
}
