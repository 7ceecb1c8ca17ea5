//! Memberships of sessions whose frontend seemed to be gone, kept for a while in case that it is back.

use super::keys::{Keys, UIDS};
use super::release::{Release, Who};
use super::{EtcdGroups, Outcome, PAGE, READS, TRANSIENT, behind};
use crate::cluster::etcd::messages::{Compare, KeyValue, Op, TxnRequest};
use pitaya_core::cluster::groups::{Holder, Lost};
use std::sync::Arc;

/// How long they are kept, in seconds: a frontend that is back later has lost its clients anyway.
const KEPT: i64 = 3600;

impl EtcdGroups {
    /// Takes all sessions of one start of a frontend from their memberships, a page at a time.
    pub(super) async fn forget(&self, frontend: &str, epoch: u64) -> Outcome<usize> {
        let (folder, id) = (self.keys.sessions_of(frontend, epoch), Arc::<str>::from(frontend));
        let (mut forgotten, mut lease) = (0, None);
        loop {
            let found = self.client.first(&folder, PAGE, self.deadline).await?;
            let rests: Vec<_> = found.iter().filter_map(|kv| behind(&folder, &kv.key)).collect();
            let release = |rest: &&str| {
                let (session, group, uid) = Keys::parse_session(rest)?;
                let holder = Holder { frontend: id.clone(), epoch, session };
                Some(Release { group: group.into(), uid: uid.into(), who: Who::Session(holder) })
            };
            let releases: Vec<_> = rests.iter().filter_map(release).collect();
            if releases.is_empty() {
                break;
            }
            let lease = match lease {
                Some(lease) => lease,
                None => *lease.insert(self.client.grant(KEPT, self.deadline).await?.id),
            };
            // Before they are taken out: who stops half-way has lost nothing.
            self.keep(&self.keys.lost_of(frontend, epoch), &rests, lease).await?;
            // Each takes its entry away, so the next page has others.
            self.release(&releases).await?;
            forgotten += releases.len();
        }
        let listed = self.keys.frontend(frontend, epoch);
        let gone = TxnRequest::when(vec![Compare::none_below(&folder)], vec![Op::delete(&listed)], Vec::new());
        self.client.txn(gone, self.deadline).await?;
        Ok(forgotten)
    }

    async fn keep(&self, lost: &str, rests: &[&str], lease: i64) -> Outcome<()> {
        for some in rests.chunks(READS) {
            let group = |rest: &&str| {
                let (_, group, _) = Keys::parse_session(rest).unwrap_or_default();
                Op::get(&format!("{}{group}", self.keys.groups))
            };
            let question = TxnRequest::when(Vec::new(), some.iter().map(group).collect(), Vec::new());
            let groups = self.client.txn(question, self.deadline).await?;
            let put = |(step, rest): (usize, &&str)| {
                let value = groups.found(step).first().map_or(&[][..], |group| &group.value);
                let value = if value == TRANSIENT.as_bytes() { TRANSIENT } else { "" };
                Op::put(&format!("{lost}{rest}"), value, lease)
            };
            let steps = some.iter().enumerate().map(put).collect();
            self.client.txn(TxnRequest::when(Vec::new(), steps, Vec::new()), self.deadline).await?;
        }
        Ok(())
    }

    /// A page of what was kept.
    pub(super) async fn kept(&self, frontend: &str, epoch: u64) -> Outcome<Vec<Lost>> {
        let folder = self.keys.lost_of(frontend, epoch);
        let found = self.client.first(&folder, PAGE, self.deadline).await?;
        let lost = |kv: &KeyValue| {
            let (session, group, uid) = Keys::parse_session(behind(&folder, &kv.key)?)?;
            let transient = kv.value == TRANSIENT.as_bytes();
            Some(Lost { session, group: group.into(), uid: uid.into(), transient })
        };
        Ok(found.iter().filter_map(lost).collect())
    }

    pub(super) async fn forget_kept(&self, frontend: &str, epoch: u64, lost: &[Lost]) -> Outcome<()> {
        let folder = self.keys.lost_of(frontend, epoch);
        for some in lost.chunks(READS) {
            let delete = |lost: &Lost| {
                let Lost { session, group, uid, .. } = lost;
                Op::delete(&format!("{folder}{session}/{group}{UIDS}{uid}"))
            };
            let question = TxnRequest::when(Vec::new(), some.iter().map(delete).collect(), Vec::new());
            self.client.txn(question, self.deadline).await?;
        }
        Ok(())
    }
}
