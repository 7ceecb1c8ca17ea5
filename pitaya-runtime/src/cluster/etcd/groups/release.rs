//! Taking holders from memberships: many with one transaction where nobody else holds them, each on its own where others
//! do.

use super::{EtcdGroups, Outcome, TRANSIENT, TRIES, contended};
use crate::cluster::etcd::messages::{Compare, KeyValue, Op, TxnRequest, TxnResponse};
use crate::groups::holders::Holders;
use pitaya_core::cluster::groups::Holder;
use std::sync::Arc;

/// Memberships that are released with one transaction: each is a transaction in it of two steps. etcd takes 128 of both
/// levels together (`--max-txn-ops`).
const AT_ONCE: usize = 50;

/// One holder that lets one membership go.
pub(super) struct Release {
    pub(super) group: Arc<str>,
    pub(super) uid: Arc<str>,
    pub(super) who: Who,
}

/// Who lets go.
pub(super) enum Who {
    Session(Holder),
    /// The user, unless the membership was added again since this revision of its entry.
    User(i64),
}

/// Keys and conditions of one release.
struct Plan {
    member: String,
    /// The key that lists the membership for its holder.
    entry: String,
    guard: Option<Compare>,
    /// The value when nobody else holds the membership.
    alone: String,
}

impl Release {
    fn plan(&self, groups: &EtcdGroups) -> Plan {
        let keys = &groups.keys;
        let member = keys.member(&self.group, &self.uid);
        match &self.who {
            Who::Session(holder) => {
                let alone = Holders { user: false, sessions: vec![holder.clone()] }.write();
                Plan { member, entry: keys.session(holder, &self.group, &self.uid), guard: None, alone }
            }
            Who::User(version) => {
                let entry = format!("{}{}", keys.user_folder(&self.uid), self.group);
                let guard = Some(Compare::written_at(&entry, *version));
                Plan { member, entry, guard, alone: Holders::user().write() }
            }
        }
    }

    /// Takes the holder away; false when it is none.
    fn from(&self, holders: &mut Holders) -> bool {
        match &self.who {
            Who::Session(holder) => holders.leave(holder),
            Who::User(_) => std::mem::take(&mut holders.user),
        }
    }
}

impl EtcdGroups {
    /// Releases these, and gives the groups whose memberships have ended by that.
    pub(super) async fn release(&self, releases: &[Release]) -> Outcome<Vec<Arc<str>>> {
        let mut left = Vec::new();
        for some in releases.chunks(AT_ONCE) {
            let plans: Vec<_> = some.iter().map(|release| release.plan(self)).collect();
            let steps = some.iter().zip(&plans).map(|(release, plan)| {
                let conditions = plan.guard.iter().cloned().chain([Compare::has(&plan.member, &plan.alone)]).collect();
                let group = Op::get(&format!("{}{}", self.keys.groups, release.group));
                let release = vec![Op::delete(&plan.member), Op::delete(&plan.entry), group];
                Op::Txn(TxnRequest::when(conditions, release, vec![Op::get(&plan.member), Op::get(&plan.entry)]))
            });
            let question = TxnRequest::when(Vec::new(), steps.collect(), Vec::new());
            let done = self.client.txn(question, self.deadline).await?;
            for ((release, plan), done) in some.iter().zip(&plans).zip(done.into_inner()) {
                let ended = if done.succeeded {
                    self.end_transient(&release.group, done.found(2).first()).await?;
                    true
                } else {
                    self.release_shared(release, plan, done).await?
                };
                if ended {
                    left.push(release.group.clone());
                }
            }
        }
        Ok(left)
    }

    /// Releases a membership that others hold as well, or that is not there. Whether it has ended by that.
    async fn release_shared(&self, release: &Release, plan: &Plan, mut seen: TxnResponse) -> Outcome<bool> {
        for _ in 0..TRIES {
            let (member, entry) = (seen.found(0).first(), seen.found(1).first());
            if let Who::User(version) = release.who
                && entry.is_none_or(|entry| entry.mod_revision != version)
            {
                return Ok(false);
            }
            let Some(member) = member else {
                self.forget_entry(plan).await?;
                return Ok(false);
            };
            let mut holders = Holders::read(&member.value);
            if !release.from(&mut holders) {
                self.forget_entry(plan).await?;
                return Ok(false);
            }
            let ends = holders.is_empty();
            let change =
                if ends { Op::delete(&plan.member) } else { Op::put(&plan.member, &holders.write(), member.lease) };
            let same = Compare::written_at(&plan.member, member.mod_revision);
            let conditions = plan.guard.iter().cloned().chain([same]).collect();
            let group = Op::get(&format!("{}{}", self.keys.groups, release.group));
            let otherwise = vec![Op::get(&plan.member), Op::get(&plan.entry)];
            let question = TxnRequest::when(conditions, vec![change, Op::delete(&plan.entry), group], otherwise);
            let Some(done) = self.txn_of_group(question).await? else {
                // The group ended with its lease, and its members with it.
                return Ok(false);
            };
            if done.succeeded {
                if ends {
                    self.end_transient(&release.group, done.found(2).first()).await?;
                }
                return Ok(ends);
            }
            seen = done;
        }
        Err(contended(&release.group))
    }

    async fn forget_entry(&self, plan: &Plan) -> Outcome<()> {
        let question = TxnRequest::when(Vec::new(), vec![Op::delete(&plan.entry)], Vec::new());
        self.client.txn(question, self.deadline).await?;
        Ok(())
    }

    /// Deletes a transient group if nobody is left in it. Others pay nothing for the look.
    pub(super) async fn end_transient(&self, group: &str, found: Option<&KeyValue>) -> Outcome<()> {
        let Some(found) = found.filter(|found| found.value == TRANSIENT.as_bytes()) else { return Ok(()) };
        let key = self.keys.group(group)?;
        let members = self.keys.member(group, "");
        let count = TxnRequest::when(Vec::new(), vec![Op::count_below(&members)], Vec::new());
        if self.client.txn(count, self.deadline).await?.count(0) > 0 {
            return Ok(());
        }
        // Whoever joins in between keeps it; the condition reads no more than the members that there are.
        let empty = vec![Compare::created_at(&key, found.create_revision), Compare::none_below(&members)];
        let question = TxnRequest::when(empty, vec![Op::delete(&key)], Vec::new());
        self.client.txn(question, self.deadline).await?;
        Ok(())
    }
}
