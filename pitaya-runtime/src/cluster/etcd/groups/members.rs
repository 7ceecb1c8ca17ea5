//! Memberships: how they begin, and how they end for everybody who holds them.

use super::{EtcdGroups, Outcome, READS, TRANSIENT, behind};
use crate::cluster::etcd::fault::Kind;
use crate::cluster::etcd::messages::{Compare, KeyValue, Op, TxnRequest, TxnResponse};
use crate::groups::holders::Holders;
use pitaya_core::cluster::groups::{GroupError, Holder, IfMissing};
use std::sync::Arc;

impl EtcdGroups {
    /// A group and a member as they are at one moment.
    pub(super) async fn look(&self, group: &str, uid: &str) -> Outcome<(Option<KeyValue>, Option<KeyValue>)> {
        let steps = vec![Op::get(&self.keys.group(group)?), Op::get(&self.keys.member(group, uid))];
        let done = self.client.txn(TxnRequest::when(Vec::new(), steps, Vec::new()), self.deadline).await?;
        Ok((done.found(0).first().cloned(), done.found(1).first().cloned()))
    }

    /// A transaction that writes keys of a group, which may have ended with its lease: then there is no answer.
    pub(super) async fn txn_of_group(&self, question: TxnRequest) -> Outcome<Option<TxnResponse>> {
        match self.client.txn(question, self.deadline).await {
            Err(fault) if fault.kind == Kind::LeaseGone => Ok(None),
            done => Ok(Some(done?)),
        }
    }

    /// One try to make a membership the user's; nothing when others were faster.
    pub(super) async fn add(&self, group: &str, uid: &str) -> Outcome<Option<()>> {
        let (found, known) = self.look(group, uid).await?;
        let found = found.ok_or(GroupError::NotFound)?;
        let mut holders = known.as_ref().map(|known| Holders::read(&known.value)).unwrap_or_default();
        let was_user = std::mem::replace(&mut holders.user, true);
        if was_user && !self.indexed {
            return Err(GroupError::MemberAlreadyExists);
        }
        let (key, member) = (self.keys.group(group)?, self.keys.member(group, uid));
        let revision = known.map_or(0, |known| known.mod_revision);
        let same = vec![Compare::created_at(&key, found.create_revision), Compare::written_at(&member, revision)];
        let mut steps = vec![Op::put(&member, &holders.write(), found.lease)];
        if self.indexed {
            // Written again each time: whoever is about to release it for an ended session sees that it is wanted.
            steps.push(Op::put(&format!("{}{group}", self.keys.user_folder(uid)), "", found.lease));
        }
        let done = self.txn_of_group(TxnRequest::when(same, steps, Vec::new())).await?;
        match done.ok_or(GroupError::NotFound)? {
            done if !done.succeeded => Ok(None),
            _ if was_user => Err(GroupError::MemberAlreadyExists),
            _ => Ok(Some(())),
        }
    }

    /// One try to make a session a holder; nothing when others were faster. Whether the uid was no member before.
    pub(super) async fn try_join(
        &self,
        group: &str,
        uid: &str,
        holder: &Holder,
        if_missing: IfMissing,
    ) -> Outcome<Option<bool>> {
        let (found, known) = self.look(group, uid).await?;
        let key = self.keys.group(group)?;
        let (there, lease, mut steps) = match (&found, if_missing) {
            (Some(found), _) => (Compare::created_at(&key, found.create_revision), found.lease, Vec::new()),
            (None, IfMissing::Create) => (Compare::is_missing(&key), 0, vec![Op::put(&key, TRANSIENT, 0)]),
            (None, IfMissing::Fail) => return Err(GroupError::NotFound),
        };
        let mut holders = known.as_ref().map(|known| Holders::read(&known.value)).unwrap_or_default();
        if !holders.join(holder)? {
            return Ok(Some(false));
        }
        let member = self.keys.member(group, uid);
        let same = Compare::written_at(&member, known.as_ref().map_or(0, |known| known.mod_revision));
        steps.push(Op::put(&member, &holders.write(), lease));
        steps.push(Op::put(&self.keys.session(holder, group, uid), "", lease));
        let start = (holder.frontend.clone(), holder.epoch);
        if !self.listed.lock().contains(&start) {
            steps.push(Op::put(&self.keys.frontend(&start.0, start.1), "", 0));
        }
        let done = self.txn_of_group(TxnRequest::when(vec![there, same], steps, Vec::new())).await?;
        if !done.ok_or(GroupError::NotFound)?.succeeded {
            return Ok(None);
        }
        self.listed.lock().insert(start);
        Ok(Some(known.is_none()))
    }

    pub(super) async fn remove(&self, group: &str, uid: &str) -> Outcome<()> {
        let (key, member) = (self.keys.group(group)?, self.keys.member(group, uid));
        // The user's entry may be there although this server lists none.
        let entry = format!("{}{group}", self.keys.user_folder(uid));
        let steps = vec![Op::take(&member), Op::get(&key), Op::delete(&entry)];
        let question = TxnRequest::when(vec![Compare::exists(&member)], steps, vec![Op::count(&key)]);
        let done = self.client.txn(question, self.deadline).await?;
        match done {
            _ if done.succeeded => {
                self.forget_entries(group, done.taken(0), done.revision()).await?;
                self.end_transient(group, done.found(1).first()).await
            }
            // Go says so of a group that is not there, too.
            _ if done.count(0) > 0 => Err(GroupError::MemberNotFound),
            _ => Err(GroupError::NotFound),
        }
    }

    /// Deletes these memberships; gives the groups of those that were still there.
    pub(super) async fn remove_from(&self, groups: &[&str], uid: &str) -> Outcome<Vec<Arc<str>>> {
        let users = self.keys.user_folder(uid);
        let steps = groups.iter().flat_map(|group| {
            let key = format!("{}{group}", self.keys.groups);
            [Op::take(&self.keys.member(group, uid)), Op::get(&key), Op::delete(&format!("{users}{group}"))]
        });
        let question = TxnRequest::when(Vec::new(), steps.collect(), Vec::new());
        let done = self.client.txn(question, self.deadline).await?;
        let mut left = Vec::new();
        for (place, group) in groups.iter().enumerate().filter(|(place, _)| done.count(3 * place) > 0) {
            self.forget_entries(group, done.taken(3 * place), done.revision()).await?;
            self.end_transient(group, done.found(3 * place + 1).first()).await?;
            left.push(Arc::from(*group));
        }
        Ok(left)
    }

    /// Deletes what is listed of memberships that were taken at this revision, for their holders. Entries of memberships
    /// that have begun since stay.
    pub(super) async fn forget_entries(&self, group: &str, taken: &[KeyValue], revision: i64) -> Outcome<()> {
        let folder = self.keys.member(group, "");
        let entries = taken.iter().filter_map(|kv| Some((behind(&folder, &kv.key)?, Holders::read(&kv.value))));
        let entries: Vec<String> = entries
            .flat_map(|(uid, holders)| {
                let user = holders.user.then(|| format!("{}{group}", self.keys.user_folder(uid)));
                let sessions = holders.sessions.iter().map(|holder| self.keys.session(holder, group, uid));
                user.into_iter().chain(sessions).collect::<Vec<_>>()
            })
            .collect();
        for some in entries.chunks(READS / 2) {
            let step = |entry: &String| {
                let old = vec![Compare::is_from(entry, revision)];
                Op::Txn(TxnRequest::when(old, vec![Op::delete(entry)], Vec::new()))
            };
            let question = TxnRequest::when(Vec::new(), some.iter().map(step).collect(), Vec::new());
            self.client.txn(question, self.deadline).await?;
        }
        Ok(())
    }
}
