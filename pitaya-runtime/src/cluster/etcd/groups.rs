//! Groups in etcd, that all servers see: Go's keys and transactions (`pkg/groups/etcd_group_service.go`).
//!
//! A group is the key `groups/<name>`, a member the key `groups/<name>/uids/<uid>`. A time to live is a lease that the group
//! and its members hang on together. Go writes both keys empty and reads neither value; here the member's says who holds
//! the membership, and is changed only as it was read (`mod_revision`).

mod keys;
mod lost;
mod members;
mod release;

use super::address::{AddressError, normalised};
use super::client::Client;
use super::fault::Fault;
use super::lease::seconds;
use super::login::Login;
use super::messages::{Compare, KeyValue, Op, TxnRequest, TxnResponse};
use crate::config;
use crate::groups::holders::Holders;
use keys::{Keys, UIDS};
use parking_lot::Mutex;
use pitaya_core::cluster::GroupStore;
use pitaya_core::cluster::groups::{
    Answer, ETCD_LEASE_NOT_FOUND, GroupError, Holder, IfMissing, Lost, MAX_NAME, UserMembership, check_name, check_uid,
};
use release::{Release, Who};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Groups that a uid leaves with one transaction, of three steps each; etcd takes 128 steps (`--max-txn-ops`).
const STEPS: usize = 40;
/// How often a change is tried that others come before: of those that compete for one membership one succeeds each time.
const TRIES: usize = 64;
/// Keys that are read, or deleted, with one transaction.
const READS: usize = 100;
/// The value of a group that ends with its last member.
const TRANSIENT: &str = "transient";
/// Memberships of a frontend that is gone, read with one question.
const PAGE: i64 = 500;

/// A [`GroupStore`] that all servers of a cluster share, Go's included. A cheap handle.
///
/// Every operation is one transaction of etcd or a few, each of which may take `transactiontimeout`. etcd counts a time to
/// live in whole seconds, grants about two at least, and ends it up to a second late.
///
/// Memberships of sessions, and those of users where [`indexed_by_user`](Self::indexed_by_user) was called, are listed for
/// their holder in keys of ours beside Go's, so that the end of a session costs what it has joined and not what there is.
/// A Go server knows nothing of holders: a member that it adds is the user's; one that it adds although a session holds it
/// is told `member already exists in group` and ends with the session; one that it removes is gone, whoever holds it.
///
/// `list` and `remove_everywhere` read the keys of all groups and members, because Go's keys are found by group, not by
/// member: with 64,000 members that is most of a second. `docs/groups.md` has the figures.
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
    keys: Arc<Keys>,
    identity: Arc<str>,
    /// Whether what users hold is listed by user.
    indexed: bool,
    /// Starts of frontends that were listed since `frontends` was asked last.
    listed: Arc<Mutex<HashSet<Start>>>,
    deadline: Duration,
}

/// One start of a frontend: id and epoch.
type Start = (Arc<str>, u64);
type Outcome<T> = Result<T, GroupError>;

impl EtcdGroups {
    /// Groups with the settings `pitaya.groups.etcd`. It connects when it is first used.
    ///
    /// # Errors
    /// When an address of etcd is none.
    pub fn new(config: &config::EtcdGroups) -> Result<Self, AddressError> {
        let login = Login::of(&config.user, &config.pass);
        let client = Arc::new(Client::new(&config.endpoints, login, config.dialtimeout, &config.tls.files())?);
        let identity = format!("etcd:{}:{}", normalised(&config.endpoints), config.prefix).into();
        let (keys, listed) = (Arc::new(Keys::new(&config.prefix)), Arc::default());
        Ok(Self { client, keys, identity, indexed: false, listed, deadline: config.transactiontimeout })
    }

    /// Lists what each user holds, so that [`user_memberships`](GroupStore::user_memberships) can tell. Members that were
    /// added without it, or by Go servers, are not listed. [`leave_groups_on_close`](crate::Builder::leave_groups_on_close)
    /// does it for [`etcd_groups`](crate::Builder::etcd_groups).
    #[must_use]
    pub fn indexed_by_user(self) -> Self {
        Self { indexed: true, ..self }
    }

    async fn make(&self, group: &str, value: &str, lease: i64) -> Outcome<()> {
        let key = self.keys.group(group)?;
        let question = TxnRequest::when(vec![Compare::is_missing(&key)], vec![Op::put(&key, value, lease)], Vec::new());
        let made = self.client.txn(question, self.deadline).await?;
        if made.succeeded { Ok(()) } else { Err(GroupError::AlreadyExists) }
    }

    /// Does this if the group is there.
    async fn within(&self, group: &str, steps: impl FnOnce(&str, &str) -> Vec<Op>) -> Outcome<TxnResponse> {
        let key = self.keys.group(group)?;
        let steps = steps(&key, &format!("{key}{UIDS}"));
        let question = TxnRequest::when(vec![Compare::exists(&key)], steps, Vec::new());
        let done = self.client.txn(question, self.deadline).await?;
        if done.succeeded { Ok(done) } else { Err(GroupError::NotFound) }
    }

    async fn find(&self, group: &str) -> Outcome<KeyValue> {
        let found = self.client.get(&self.keys.group(group)?, self.deadline).await?;
        found.ok_or(GroupError::NotFound)
    }

    /// What stands behind the folder in all keys.
    async fn names(&self) -> Outcome<Vec<String>> {
        let folder = &self.keys.groups;
        let listing = self.client.list(folder, true, self.deadline).await?;
        Ok(listing.kvs.iter().filter_map(|kv| behind(folder, &kv.key)).map(str::to_owned).collect())
    }
}

/// The rest of a key in a folder.
fn behind<'a>(folder: &str, key: &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(key.strip_prefix(folder.as_bytes())?).ok()
}

fn contended(group: &str) -> GroupError {
    GroupError::Unavailable(format!("others change the group `{group}` or this member of it all the time"))
}

impl GroupStore for EtcdGroups {
    fn create<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            check_name(group)?;
            self.make(group, "", 0).await
        })
    }

    fn create_with_ttl<'a>(&'a self, group: &'a str, ttl: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            check_name(group)?;
            if ttl.is_zero() {
                return Err(GroupError::ZeroTtl);
            }
            let lease = self.client.grant(seconds(ttl), self.deadline).await?.id;
            let made = self.make(group, "", lease).await;
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
            let steps = |key: &str, members: &str| vec![Op::take_below(members), Op::delete(key)];
            let done = self.within(group, steps).await?;
            self.forget_entries(group, done.taken(0), done.revision()).await
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
            Err(contended(group))
        })
    }

    fn remove_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(self.remove(group, uid))
    }

    fn remove_all<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let done = self.within(group, |key, members| vec![Op::take_below(members), Op::get(key)]).await?;
            self.forget_entries(group, done.taken(0), done.revision()).await?;
            self.end_transient(group, done.found(1).first()).await
        })
    }

    /// Reads the keys of all groups and members, then deletes with one transaction for every 40 groups of the uid.
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
            let folder = self.keys.member(group, "");
            Ok(done.found(0).iter().filter_map(|kv| behind(&folder, &kv.key)).map(Into::into).collect())
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

    fn identity(&self) -> Option<Arc<str>> {
        Some(self.identity.clone())
    }

    fn create_transient<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            check_name(group)?;
            self.make(group, TRANSIENT, 0).await
        })
    }

    fn join<'a>(&'a self, group: &'a str, uid: &'a str, holder: &'a Holder, if_missing: IfMissing) -> Answer<'a, bool> {
        Box::pin(async move {
            check_uid(uid)?;
            if if_missing == IfMissing::Create {
                check_name(group)?;
            }
            for _ in 0..TRIES {
                if let Some(is_new) = self.try_join(group, uid, holder, if_missing).await? {
                    return Ok(is_new);
                }
            }
            Err(contended(group))
        })
    }

    /// One transaction for every 50 groups, and one more for each membership that others hold too.
    fn leave<'a>(&'a self, groups: &'a [Arc<str>], uid: &'a str, holder: &'a Holder) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let uid: Arc<str> = uid.into();
            let release = |group: &Arc<str>| Release {
                group: group.clone(),
                uid: uid.clone(),
                who: Who::Session(holder.clone()),
            };
            self.release(&groups.iter().map(release).collect::<Vec<_>>()).await
        })
    }

    /// One transaction for every 100 groups, which only reads.
    fn held<'a>(&'a self, groups: &'a [Arc<str>], uid: &'a str, holder: &'a Holder) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let mut held = Vec::new();
            for some in groups.chunks(READS) {
                let steps = some.iter().map(|group| Op::get(&self.keys.member(group, uid))).collect();
                let question = TxnRequest::when(Vec::new(), steps, Vec::new());
                let done = self.client.txn(question, self.deadline).await?;
                let holds = |known: &KeyValue| Holders::read(&known.value).sessions.contains(holder);
                let theirs = some.iter().enumerate().filter(|(step, _)| done.found(*step).first().is_some_and(holds));
                held.extend(theirs.map(|(_, group)| group.clone()));
            }
            Ok(held)
        })
    }

    fn user_memberships<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<UserMembership>> {
        Box::pin(async move {
            if !self.indexed {
                return Err(GroupError::Unsupported);
            }
            let folder = self.keys.user_folder(uid);
            let found = self.client.list(&folder, true, self.deadline).await?.kvs;
            let membership = |kv: &KeyValue| {
                Some(UserMembership { group: behind(&folder, &kv.key)?.into(), version: kv.mod_revision })
            };
            Ok(found.iter().filter_map(membership).collect())
        })
    }

    fn release_user<'a>(&'a self, uid: &'a str, memberships: &'a [UserMembership]) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let uid: Arc<str> = uid.into();
            let release = |known: &UserMembership| Release {
                group: known.group.clone(),
                uid: uid.clone(),
                who: Who::User(known.version),
            };
            self.release(&memberships.iter().map(release).collect::<Vec<_>>()).await
        })
    }

    fn frontends(&self) -> Answer<'_, Vec<(Arc<str>, u64)>> {
        Box::pin(async move {
            // Should somebody have taken a living frontend for a dead one, its next join lists it again.
            self.listed.lock().clear();
            let folder = &self.keys.frontends;
            let found = self.client.list(folder, true, self.deadline).await?.kvs;
            Ok(found.iter().filter_map(|kv| Keys::parse_frontend(behind(folder, &kv.key)?)).collect())
        })
    }

    fn forget_frontend<'a>(&'a self, frontend: &'a str, epoch: u64) -> Answer<'a, usize> {
        Box::pin(self.forget(frontend, epoch))
    }

    /// Kept for an hour.
    fn lost<'a>(&'a self, frontend: &'a str, epoch: u64) -> Answer<'a, Vec<Lost>> {
        Box::pin(self.kept(frontend, epoch))
    }

    fn forget_lost<'a>(&'a self, frontend: &'a str, epoch: u64, lost: &'a [Lost]) -> Answer<'a, ()> {
        Box::pin(self.forget_kept(frontend, epoch, lost))
    }
}

impl From<Fault> for GroupError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}

impl fmt::Debug for EtcdGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdGroups").field("keys", &self.keys).field("indexed", &self.indexed).finish_non_exhaustive()
    }
}
