//! Groups in etcd, that all servers see: Go's keys and transactions (`pkg/groups/etcd_group_service.go`).
//!
//! A group is the empty key `groups/<name>`, a member the empty key `groups/<name>/uids/<uid>`. A time to live is a lease
//! that the group and its members hang on together; etcd counts it in whole seconds, and may grant more than asked.

use super::client::{Client, cause, prefixed};
use super::messages::{
    Compare, Comparison, DeleteRange, KeyValue, Op, OpDone, Put, Range, RequestOp, Target, Txn, TxnDone, With,
};
use crate::config::EtcdGroups as Settings;
use bytes::Bytes;
use pitaya_core::cluster::GroupStore;
use pitaya_core::cluster::groups::{Answer, ETCD_LEASE_NOT_FOUND, GroupError, check_name, check_uid};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Status;

/// A [`GroupStore`] that all servers of a cluster share. A cheap handle.
#[derive(Clone)]
pub struct EtcdGroups {
    client: Client,
    /// The prefix of all keys, and `groups/`.
    prefix: Arc<str>,
    limit: Duration,
}

type Outcome<T> = Result<T, GroupError>;

impl EtcdGroups {
    /// Groups by these settings. Connects when it is first used.
    ///
    /// # Errors
    /// A text when an endpoint is no address.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let client = Client::new(&settings.endpoints, settings.dialtimeout, "", "")?;
        let prefix = format!("{}groups/", settings.prefix).into();
        Ok(Self { client, prefix, limit: settings.transactiontimeout })
    }

    fn group(&self, group: &str) -> Outcome<Bytes> {
        check_name(group)?;
        Ok(format!("{}{group}", self.prefix).into())
    }

    fn members_of(&self, group: &str) -> String {
        format!("{}{group}/uids/", self.prefix)
    }

    fn member(&self, group: &str, uid: &str) -> Outcome<Bytes> {
        check_uid(uid)?;
        Ok((self.members_of(group) + uid).into())
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Outcome<T> {
        match timeout(self.limit, call).await {
            Ok(outcome) => outcome.map_err(|status| GroupError::Unavailable(cause(&status))),
            Err(_) => Err(GroupError::Unavailable(format!("no answer within {:?}", self.limit))),
        }
    }

    /// Does this if all of that is so.
    async fn when(&self, compare: Vec<Compare>, then: Vec<Op>) -> Outcome<TxnDone> {
        let success = then.into_iter().map(|op| RequestOp { op: Some(op) }).collect();
        self.within(self.client.txn(Txn { compare, success, failure: vec![] })).await
    }

    async fn make(&self, group: &str, lease: i64) -> Outcome<()> {
        let key = self.group(group)?;
        let put = Op::Put(Put { key: key.clone(), value: Bytes::new(), lease });
        let made = self.when(vec![absent(key)], vec![put]).await?;
        if made.succeeded { Ok(()) } else { Err(GroupError::AlreadyExists) }
    }

    /// The group's own key.
    async fn find(&self, group: &str) -> Outcome<KeyValue> {
        let key = self.group(group)?;
        let found = self.within(self.client.range(Range { key, ..Range::default() })).await?;
        found.kvs.into_iter().next().ok_or(GroupError::NotFound)
    }

    /// Reads from a group that is there.
    async fn read(&self, group: &str, range: Range) -> Outcome<(Vec<KeyValue>, i64)> {
        let done = self.when(vec![present(self.group(group)?)], vec![Op::Range(range)]).await?;
        if !done.succeeded {
            return Err(GroupError::NotFound);
        }
        match done.responses.into_iter().next().and_then(|response| response.op) {
            Some(OpDone::Range(ranged)) => Ok((ranged.kvs, ranged.count)),
            _ => Err(GroupError::Unavailable("etcd gave an answer that was not asked for".to_owned())),
        }
    }
}

fn created(key: Bytes, result: Comparison) -> Compare {
    let (result, target) = (result.into(), Target::Create.into());
    Compare { result, target, key, with: Some(With::CreateRevision(0)) }
}

fn absent(key: Bytes) -> Compare {
    created(key, Comparison::Equal)
}

fn present(key: Bytes) -> Compare {
    created(key, Comparison::Greater)
}

fn delete(key: Bytes) -> Op {
    Op::Delete(DeleteRange { key, range_end: Bytes::new() })
}

fn delete_all(prefix: &str) -> Op {
    let (key, range_end) = prefixed(prefix);
    Op::Delete(DeleteRange { key, range_end })
}

impl GroupStore for EtcdGroups {
    fn create<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(self.make(group, 0))
    }

    fn create_with_ttl<'a>(&'a self, group: &'a str, ttl: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            if ttl.is_zero() {
                return Err(GroupError::ZeroTtl);
            }
            check_name(group)?;
            // Never early: a part of a second counts as a whole one.
            let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
            let lease = self.within(self.client.grant(Duration::from_secs(seconds))).await?;
            let made = self.make(group, lease).await;
            if made.is_err() {
                let _ = self.within(self.client.revoke(lease)).await;
            }
            made
        })
    }

    fn renew_ttl<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.find(group).await?.lease {
                0 => Err(GroupError::TtlNotFound(ETCD_LEASE_NOT_FOUND)),
                lease => self.within(self.client.renew(lease)).await?.map(drop).ok_or(GroupError::NotFound),
            }
        })
    }

    fn delete<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let key = self.group(group)?;
            let both = vec![delete_all(&self.members_of(group)), delete(key.clone())];
            let done = self.when(vec![present(key)], both).await?;
            if done.succeeded { Ok(()) } else { Err(GroupError::NotFound) }
        })
    }

    fn exists<'a>(&'a self, group: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            match self.find(group).await {
                Ok(_) => Ok(true),
                Err(GroupError::NotFound | GroupError::InvalidName) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn list(&self) -> Answer<'_, Vec<Arc<str>>> {
        Box::pin(async move {
            let (key, range_end) = prefixed(&self.prefix);
            let all =
                self.within(self.client.range(Range { key, range_end, keys_only: true, ..Range::default() })).await?;
            let names = all.kvs.iter().filter_map(|kv| std::str::from_utf8(&kv.key).ok()?.strip_prefix(&*self.prefix));
            Ok(names.filter(|name| check_name(name).is_ok()).map(Into::into).collect())
        })
    }

    fn add_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let member = self.member(group, uid)?;
            let found = self.find(group).await?;
            let put = Op::Put(Put { key: member.clone(), value: Bytes::new(), lease: found.lease });
            let added = self.when(vec![present(found.key), absent(member)], vec![put]).await?;
            if added.succeeded {
                return Ok(());
            }
            // Which of the two it was is not told.
            self.find(group).await.and(Err(GroupError::MemberAlreadyExists))
        })
    }

    fn remove_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            check_name(group)?;
            // A uid that no member can have is no member.
            let member: Bytes = (self.members_of(group) + uid).into();
            let removed = self.when(vec![present(member.clone())], vec![delete(member)]).await?;
            if removed.succeeded {
                return Ok(());
            }
            self.find(group).await.and(Err(GroupError::MemberNotFound))
        })
    }

    fn remove_all<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let compare = vec![present(self.group(group)?)];
            let done = self.when(compare, vec![delete_all(&self.members_of(group))]).await?;
            if done.succeeded { Ok(()) } else { Err(GroupError::NotFound) }
        })
    }

    /// Reads the keys of all groups: Go's keys are found by group, not by member.
    fn remove_everywhere<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            if check_uid(uid).is_err() {
                return Ok(Vec::new());
            }
            let (key, range_end) = prefixed(&self.prefix);
            let all =
                self.within(self.client.range(Range { key, range_end, keys_only: true, ..Range::default() })).await?;
            let mut left = Vec::new();
            for kv in all.kvs {
                let key = std::str::from_utf8(&kv.key).ok().and_then(|key| key.strip_prefix(&*self.prefix));
                let Some((group, member)) = key.and_then(|key| key.split_once("/uids/")) else { continue };
                if member == uid
                    && self.when(vec![present(kv.key.clone())], vec![delete(kv.key.clone())]).await?.succeeded
                {
                    left.push(group.into());
                }
            }
            Ok(left)
        })
    }

    fn members<'a>(&'a self, group: &'a str) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let prefix = self.members_of(group);
            let (key, range_end) = prefixed(&prefix);
            let (kvs, _) = self.read(group, Range { key, range_end, keys_only: true, ..Range::default() }).await?;
            let uids = kvs.iter().filter_map(|kv| std::str::from_utf8(&kv.key).ok()?.strip_prefix(&*prefix));
            Ok(uids.map(Into::into).collect())
        })
    }

    fn contains_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            let key = self.member(group, uid)?;
            let (_, count) = self.read(group, Range { key, count_only: true, ..Range::default() }).await?;
            Ok(count > 0)
        })
    }

    fn count_members<'a>(&'a self, group: &'a str) -> Answer<'a, usize> {
        Box::pin(async move {
            let (key, range_end) = prefixed(&self.members_of(group));
            let range = Range { key, range_end, count_only: true, ..Range::default() };
            let (_, count) = self.read(group, range).await?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
    }
}

impl std::fmt::Debug for EtcdGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdGroups").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
