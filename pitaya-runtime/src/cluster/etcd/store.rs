//! What etcd can do, as far as it is used here: each operation with its service, its path and its shape.

use super::client::{Answers, Client};
use super::fault::{Fault, Kind};
use super::messages::*;
use std::time::Duration;

/// Keys that are read with one question.
const PAGE: i64 = 1_000;

/// All keys with a prefix, at one moment.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) revision: i64,
    pub(super) kvs: Vec<KeyValue>,
}

impl Client {
    /// The value of a key.
    pub(super) async fn get(&self, key: &str, within: Duration) -> Result<Option<KeyValue>, Fault> {
        let question = RangeRequest { key: key.into(), ..Default::default() };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", question, within).await?;
        Ok(answer.kvs.into_iter().next())
    }

    /// All keys with this prefix as they were at one moment. `within` is for each page.
    pub(super) async fn list(&self, prefix: &str, keys_only: bool, within: Duration) -> Result<Listing, Fault> {
        let range_end = end(prefix);
        let mut question = RangeRequest { key: prefix.into(), range_end, limit: PAGE, keys_only, ..Default::default() };
        let mut listing = Listing { revision: 0, kvs: Vec::new() };
        loop {
            let page: RangeResponse = self.call("/etcdserverpb.KV/Range", question.clone(), within).await?;
            if question.revision == 0 {
                listing.revision = page.header.map_or(0, |header| header.revision);
                question.revision = listing.revision;
            }
            listing.kvs.extend(page.kvs);
            match listing.kvs.last() {
                // The first key after the last one of the page.
                Some(last) if page.more => question.key = [&last.key[..], &[0]].concat(),
                _ => return Ok(listing),
            }
        }
    }

    /// The first keys with this prefix.
    pub(super) async fn first(&self, prefix: &str, limit: i64, within: Duration) -> Result<Vec<KeyValue>, Fault> {
        let question = RangeRequest { key: prefix.into(), range_end: end(prefix), limit, ..Default::default() };
        let page: RangeResponse = self.call("/etcdserverpb.KV/Range", question, within).await?;
        Ok(page.kvs)
    }

    pub(super) async fn txn(&self, question: TxnRequest, within: Duration) -> Result<TxnResponse, Fault> {
        self.call("/etcdserverpb.KV/Txn", question, within).await
    }

    /// A lease of this many seconds, or more.
    pub(super) async fn grant(&self, ttl: i64, within: Duration) -> Result<LeaseGrantResponse, Fault> {
        self.call("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest { ttl }, within).await
    }

    /// Ends a lease and what hangs on it. One that is gone already is fine.
    pub(super) async fn revoke(&self, id: i64, within: Duration) -> Result<(), Fault> {
        let answer = self.call("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest { id }, within).await;
        match answer {
            Ok(LeaseRevokeResponse {}) => Ok(()),
            Err(fault) if fault.kind == Kind::LeaseGone => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Lets a lease live for its whole time again; false when there is no such lease any more.
    ///
    /// A stream in etcd's API. One of its own each time, it finds its way around a lost connection like any call.
    pub(super) async fn keep_alive(&self, id: i64, within: Duration) -> Result<bool, Fault> {
        let question = LeaseKeepAliveRequest { id };
        let answer: LeaseKeepAliveResponse = self.call("/etcdserverpb.Lease/LeaseKeepAlive", question, within).await?;
        Ok(answer.ttl > 0)
    }

    /// The seconds that are left of a lease; none when there is no such lease.
    pub(super) async fn time_to_live(&self, id: i64, within: Duration) -> Result<Option<i64>, Fault> {
        let question = LeaseTimeToLiveRequest { id };
        let answer: LeaseTimeToLiveResponse =
            self.call("/etcdserverpb.Lease/LeaseTimeToLive", question, within).await?;
        Ok(Some(answer.ttl).filter(|ttl| *ttl >= 0))
    }

    /// All changes of keys with this prefix, from a revision on.
    pub(super) async fn watch(
        &self,
        prefix: &str,
        from: i64,
        within: Duration,
    ) -> Result<Answers<WatchResponse>, Fault> {
        let create = WatchCreateRequest {
            key: prefix.into(),
            range_end: end(prefix),
            start_revision: from,
            progress_notify: true,
        };
        self.stream("/etcdserverpb.Watch/Watch", WatchRequest { create_request: Some(create) }, within).await
    }
}

impl TxnRequest {
    /// `then` if all of these hold, else `otherwise`.
    pub(super) fn when(compare: Vec<Compare>, then: Vec<Op>, otherwise: Vec<Op>) -> Self {
        let steps = |ops: Vec<Op>| ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect();
        Self { compare, success: steps(then), failure: steps(otherwise) }
    }
}

impl TxnResponse {
    /// How many keys its step with this number found or deleted.
    pub(super) fn count(&self, step: usize) -> i64 {
        match self.responses.get(step).and_then(|step| step.response.as_ref()) {
            Some(OpResponse::Range(range)) => range.count,
            Some(OpResponse::Delete(delete)) => delete.deleted,
            _ => 0,
        }
    }

    /// The keys that its step with this number found.
    pub(super) fn found(&self, step: usize) -> &[KeyValue] {
        match self.responses.get(step).and_then(|step| step.response.as_ref()) {
            Some(OpResponse::Range(range)) => &range.kvs,
            _ => &[],
        }
    }

    /// The keys, as they were, that its step with this number deleted.
    pub(super) fn taken(&self, step: usize) -> &[KeyValue] {
        match self.responses.get(step).and_then(|step| step.response.as_ref()) {
            Some(OpResponse::Delete(delete)) => &delete.prev_kvs,
            _ => &[],
        }
    }

    /// The state of the store behind it.
    pub(super) fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// What its steps came to that are transactions themselves.
    pub(super) fn into_inner(self) -> impl Iterator<Item = Self> {
        self.responses.into_iter().map(|step| match step.response {
            Some(OpResponse::Txn(inner)) => inner,
            _ => Self::default(),
        })
    }
}

impl Op {
    pub(super) fn put(key: &str, value: &str, lease: i64) -> Self {
        Self::Put(PutRequest { key: key.into(), value: value.into(), lease })
    }

    pub(super) fn get(key: &str) -> Self {
        Self::Range(RangeRequest { key: key.into(), ..Default::default() })
    }

    pub(super) fn count(key: &str) -> Self {
        Self::Range(RangeRequest { key: key.into(), count_only: true, ..Default::default() })
    }

    pub(super) fn count_below(prefix: &str) -> Self {
        let range_end = end(prefix);
        Self::Range(RangeRequest { key: prefix.into(), range_end, count_only: true, ..Default::default() })
    }

    pub(super) fn keys_below(prefix: &str) -> Self {
        let range_end = end(prefix);
        Self::Range(RangeRequest { key: prefix.into(), range_end, keys_only: true, ..Default::default() })
    }

    pub(super) fn delete(key: &str) -> Self {
        Self::Delete(DeleteRangeRequest { key: key.into(), ..Default::default() })
    }

    /// Deletes a key, and gives it as it was.
    pub(super) fn take(key: &str) -> Self {
        Self::Delete(DeleteRangeRequest { key: key.into(), prev_kv: true, ..Default::default() })
    }

    /// Deletes the keys with this prefix, and gives them as they were.
    pub(super) fn take_below(prefix: &str) -> Self {
        Self::Delete(DeleteRangeRequest { key: prefix.into(), range_end: end(prefix), prev_kv: true })
    }
}

impl Compare {
    /// The key is there.
    pub(super) fn exists(key: &str) -> Self {
        Self { result: Self::GREATER, ..Self::created_at(key, 0) }
    }

    /// The key is not there.
    pub(super) fn is_missing(key: &str) -> Self {
        Self::created_at(key, 0)
    }

    /// No key with this prefix is there.
    pub(super) fn none_below(prefix: &str) -> Self {
        Self { range_end: end(prefix), ..Self::is_missing(prefix) }
    }

    /// The targets, as all numbers: `Compare.CompareTarget` in etcd's `rpc.proto`.
    fn equal(target: i32, key: &str, against: Against) -> Self {
        Self { result: Self::EQUAL, target, key: key.into(), against: Some(against), range_end: Vec::new() }
    }

    /// The key has not been deleted since it was made at this revision.
    pub(super) fn created_at(key: &str, revision: i64) -> Self {
        Self::equal(1, key, Against::CreateRevision(revision))
    }

    /// Nobody has written the key since this revision.
    pub(super) fn written_at(key: &str, revision: i64) -> Self {
        Self::equal(2, key, Against::ModRevision(revision))
    }

    /// The key has not been written after this revision; it may be missing.
    pub(super) fn is_from(key: &str, revision: i64) -> Self {
        let after = revision.saturating_add(1);
        Self { result: Self::LESS, ..Self::equal(2, key, Against::ModRevision(after)) }
    }

    /// The key hangs on this lease.
    pub(super) fn leased(key: &str, lease: i64) -> Self {
        Self::equal(4, key, Against::Lease(lease))
    }

    /// The key has this value.
    pub(super) fn has(key: &str, value: &str) -> Self {
        Self::equal(3, key, Against::Value(value.into()))
    }
}

/// The first key behind all with this prefix, which is a text: it never consists of the byte 255 alone.
fn end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // An empty prefix: all keys.
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::end;

    #[test]
    fn a_range_ends_behind_its_prefix() {
        assert_eq!(end("pitaya/servers/"), b"pitaya/servers0");
        assert_eq!(end(""), [0]);
    }
}
