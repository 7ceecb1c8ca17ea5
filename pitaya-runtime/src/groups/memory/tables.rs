//! The groups of one store, their members, and who holds each membership.

use crate::config;
use crate::groups::holders::Holders;
use pitaya_core::cluster::groups::{GroupError, Holder, IfMissing, MEMORY_TTL_NOT_FOUND, UserMembership, check_name};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The first two tables say the same: a uid is in a group's members if and only if the group is among the uid's. Clients
/// choose names and uids, hence the maps of std, whose hashes they cannot make collide.
pub(super) struct Tables {
    /// See `GroupStore::identity`.
    pub(super) identity: Arc<str>,
    pub(super) groups: HashMap<Arc<str>, Group>,
    pub(super) by_uid: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// How many sessions of each start of a frontend hold a membership.
    pub(super) frontends: HashMap<(Arc<str>, u64), usize>,
    limits: Limits,
    /// The version of the membership that a user got last.
    version: i64,
}

/// Upper bounds of the tables.
pub(super) struct Limits {
    groups: usize,
    members_of_group: usize,
    groups_of_uid: usize,
}

impl Limits {
    pub(super) fn new(config: &config::MemoryGroups) -> Self {
        let limit = |configured| if configured == 0 { usize::MAX } else { configured };
        Self {
            groups: limit(config.total),
            members_of_group: limit(config.pergroup),
            groups_of_uid: limit(config.peruid),
        }
    }
}

pub(super) struct Group {
    name: Arc<str>,
    pub(super) members: HashMap<Arc<str>, Membership>,
    life: Life,
}

#[derive(Default)]
pub(super) struct Membership {
    holders: Holders,
    /// Of the last `add_member`.
    version: i64,
}

/// How long a group lives.
#[derive(Clone, Copy)]
pub(super) enum Life {
    /// Until it is deleted.
    Endless,
    /// Until its last member leaves.
    Transient,
    /// Until `end`, and for `ttl` from when it is renewed. An end that the clock cannot hold is none.
    Limited { ttl: Duration, end: Option<Instant> },
}

impl Life {
    pub(super) fn limited(ttl: Duration) -> Self {
        Self::Limited { ttl, end: Instant::now().checked_add(ttl) }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Limited { end: Some(end), .. } if end <= Instant::now())
    }
}

impl Tables {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            identity: format!("memory:{}", uuid::Uuid::new_v4()).into(),
            groups: HashMap::new(),
            by_uid: HashMap::new(),
            frontends: HashMap::new(),
            limits,
            version: 0,
        }
    }

    pub(super) fn make(&mut self, name: &str, life: Life) -> Result<(), GroupError> {
        check_name(name)?;
        self.bury(name);
        if self.groups.contains_key(name) {
            return Err(GroupError::AlreadyExists);
        }
        if self.groups.len() >= self.limits.groups {
            return Err(GroupError::StoreFull(self.limits.groups));
        }
        let name: Arc<str> = name.into();
        self.groups.insert(name.clone(), Group { name, members: HashMap::new(), life });
        Ok(())
    }

    pub(super) fn group(&self, name: &str) -> Result<&Group, GroupError> {
        self.groups.get(name).filter(|group| !group.life.is_over()).ok_or(GroupError::NotFound)
    }

    fn group_mut(&mut self, name: &str) -> Result<&mut Group, GroupError> {
        self.groups.get_mut(name).filter(|group| !group.life.is_over()).ok_or(GroupError::NotFound)
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.groups.values().filter(|group| !group.life.is_over()).map(|group| group.name.clone()).collect()
    }

    /// Groups whose time is over.
    pub(super) fn overdue(&self) -> Vec<Arc<str>> {
        self.groups.values().filter(|group| group.life.is_over()).map(|group| group.name.clone()).collect()
    }

    pub(super) fn renew(&mut self, name: &str) -> Result<(), GroupError> {
        let group = self.group_mut(name)?;
        match group.life {
            Life::Endless | Life::Transient => Err(GroupError::TtlNotFound(MEMORY_TTL_NOT_FOUND)),
            Life::Limited { ttl, .. } => {
                group.life = Life::limited(ttl);
                Ok(())
            }
        }
    }

    /// The membership of a uid, made if there is none.
    fn membership(&mut self, name: &str, uid: &str) -> Result<&mut Membership, GroupError> {
        // The text of a uid is kept once for all groups it is in.
        let (known, count) = match self.by_uid.get_key_value(uid) {
            Some((known, groups)) => (Some(known.clone()), groups.len()),
            None => (None, 0),
        };
        let group = self.groups.get_mut(name).filter(|group| !group.life.is_over()).ok_or(GroupError::NotFound)?;
        let (members, limits) = (group.members.len(), &self.limits);
        match group.members.entry(known.unwrap_or_else(|| uid.into())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(_) if members >= limits.members_of_group => {
                Err(GroupError::GroupFull(limits.members_of_group))
            }
            Entry::Vacant(_) if count >= limits.groups_of_uid => Err(GroupError::UidFull(limits.groups_of_uid)),
            Entry::Vacant(place) => {
                self.by_uid.entry(place.key().clone()).or_default().insert(group.name.clone());
                Ok(place.insert(Membership::default()))
            }
        }
    }

    pub(super) fn add(&mut self, name: &str, uid: &str) -> Result<(), GroupError> {
        self.version += 1;
        let version = self.version;
        let membership = self.membership(name, uid)?;
        // Added again counts, too: whoever is about to release it for an ended session sees that it is wanted.
        membership.version = version;
        if std::mem::replace(&mut membership.holders.user, true) {
            return Err(GroupError::MemberAlreadyExists);
        }
        Ok(())
    }

    /// Whether the uid was no member before.
    pub(super) fn join(
        &mut self,
        name: &str,
        uid: &str,
        holder: &Holder,
        if_missing: IfMissing,
    ) -> Result<bool, GroupError> {
        if if_missing == IfMissing::Create && self.group(name).is_err() {
            self.make(name, Life::Transient)?;
        }
        let holders = match self.membership(name, uid) {
            Ok(membership) => &mut membership.holders,
            Err(error) => {
                // Made for a member that it does not get.
                self.end_transient(name);
                return Err(error);
            }
        };
        let is_new = holders.is_empty();
        if holders.join(holder)? {
            *self.frontends.entry((holder.frontend.clone(), holder.epoch)).or_default() += 1;
        }
        Ok(is_new)
    }

    /// Whether the uid has left the group by that.
    pub(super) fn leave(&mut self, name: &str, uid: &str, holder: &Holder) -> bool {
        let left = self.change(name, uid, |membership| membership.holders.leave(holder));
        if left.is_some() {
            self.count_down(holder);
        }
        left == Some(true)
    }

    pub(super) fn holds(&self, name: &str, uid: &str, holder: &Holder) -> bool {
        let membership = self.group(name).ok().and_then(|group| group.members.get(uid));
        membership.is_some_and(|membership| membership.holders.sessions.contains(holder))
    }

    pub(super) fn user_memberships(&self, uid: &str) -> Vec<UserMembership> {
        let membership = |name: &Arc<str>| {
            let membership = self.group(name).ok()?.members.get(uid)?;
            let group = name.clone();
            membership.holders.user.then_some(UserMembership { group, version: membership.version })
        };
        self.by_uid.get(uid).into_iter().flatten().filter_map(membership).collect()
    }

    /// Whether the uid has left the group by that.
    pub(super) fn release_user(&mut self, name: &str, uid: &str, version: i64) -> bool {
        let left = self.change(name, uid, |membership| {
            membership.version == version && std::mem::replace(&mut membership.holders.user, false)
        });
        left == Some(true)
    }

    /// Changes a membership, which is over when nobody holds it any more. `None` when nothing was changed, else whether it
    /// is over.
    fn change(&mut self, name: &str, uid: &str, change: impl FnOnce(&mut Membership) -> bool) -> Option<bool> {
        let membership = self.group_mut(name).ok()?.members.get_mut(uid)?;
        if !change(membership) {
            return None;
        }
        if !membership.holders.is_empty() {
            return Some(false);
        }
        let _ = self.remove(name, uid);
        Some(true)
    }

    pub(super) fn remove(&mut self, name: &str, uid: &str) -> Result<(), GroupError> {
        let ended = self.group_mut(name)?.members.remove(uid).ok_or(GroupError::MemberNotFound)?;
        self.unlink(name, uid, &ended);
        self.end_transient(name);
        Ok(())
    }

    pub(super) fn remove_all(&mut self, name: &str) -> Result<(), GroupError> {
        let members = std::mem::take(&mut self.group_mut(name)?.members);
        members.iter().for_each(|(uid, ended)| self.unlink(name, uid, ended));
        self.end_transient(name);
        Ok(())
    }

    pub(super) fn remove_everywhere(&mut self, uid: &str) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.by_uid.get(uid).into_iter().flatten().cloned().collect();
        names.retain(|name| self.remove(name, uid).is_ok());
        names
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<(), GroupError> {
        self.remove_all(name)?;
        self.groups.remove(name);
        Ok(())
    }

    /// Removes a group if its time is over.
    pub(super) fn bury(&mut self, name: &str) -> bool {
        if !self.groups.get(name).is_some_and(|group| group.life.is_over()) {
            return false;
        }
        let members = self.groups.remove(name).map(|group| group.members).unwrap_or_default();
        members.iter().for_each(|(uid, ended)| self.unlink(name, uid, ended));
        true
    }

    /// Takes the sessions of a frontend out of a group; how many those were.
    pub(super) fn forget_frontend(&mut self, name: &str, frontend: &str, epoch: u64) -> usize {
        let Ok(group) = self.group(name) else { return 0 };
        let theirs = |holder: &&Holder| *holder.frontend == *frontend && holder.epoch == epoch;
        let held = group.members.iter().flat_map(|(uid, membership)| {
            membership.holders.sessions.iter().filter(theirs).map(|holder| (uid.clone(), holder.clone()))
        });
        let held: Vec<_> = held.collect();
        for (uid, holder) in &held {
            self.leave(name, uid, holder);
        }
        held.len()
    }

    fn end_transient(&mut self, name: &str) {
        if self.groups.get(name).is_some_and(|group| matches!(group.life, Life::Transient) && group.members.is_empty())
        {
            self.groups.remove(name);
        }
    }

    /// Takes a group from those of a uid whose membership in it has ended.
    fn unlink(&mut self, name: &str, uid: &str, ended: &Membership) {
        ended.holders.sessions.iter().for_each(|holder| self.count_down(holder));
        if let Some(names) = self.by_uid.get_mut(uid) {
            names.remove(name);
            if names.is_empty() {
                self.by_uid.remove(uid);
            }
        }
    }

    fn count_down(&mut self, holder: &Holder) {
        let key = (holder.frontend.clone(), holder.epoch);
        if let Entry::Occupied(mut held) = self.frontends.entry(key) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}
