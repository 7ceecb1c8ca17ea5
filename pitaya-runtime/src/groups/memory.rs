//! Groups in the memory of one server: the default, for servers that share no groups.

mod tables;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::config;
use parking_lot::RwLock;
use pitaya_core::cluster::groups::{Answer, GroupError, GroupStore, Holder, IfMissing, UserMembership, check_uid};
use tables::{Life, Limits, Tables};
use tokio::time::sleep;

/// Groups in the memory of one server. A cheap handle: clones share the groups. Other stores made with `new` share
/// nothing with it, unlike in Go.
///
/// A group whose time is over is gone for every operation at once; its memory is given back when its name is used again
/// or by the [`sweeper`](Self::sweeper). Time is that of tokio's monotonic clock, to the nanosecond.
///
/// ```
/// use pitaya_core::cluster::groups::{GroupError, GroupStore};
/// use pitaya_runtime::groups::memory::MemoryGroups;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), GroupError> {
/// let groups = MemoryGroups::new();
/// groups.create("room").await?;
/// groups.add_member("room", "zoe").await?;
/// assert_eq!(groups.count_members("room").await?, 1);
/// assert_eq!(groups.remove_everywhere("zoe").await?, ["room".into()]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryGroups(Arc<RwLock<Tables>>);

impl MemoryGroups {
    /// A store without groups, with the limits that `pitaya.groups.memory` has by default.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(&config::MemoryGroups::default())
    }

    /// A store without groups, with the limits `total`, `pergroup` and `peruid`. Beyond them a group is refused with
    /// [`GroupError::StoreFull`], and a member with [`GroupError::GroupFull`] or [`GroupError::UidFull`].
    #[must_use]
    pub fn with_limits(config: &config::MemoryGroups) -> Self {
        Self(Arc::new(RwLock::new(Tables::new(Limits::new(config)))))
    }

    /// Gives back the memory of the groups whose time is over and tells how many these were.
    pub fn sweep(&self) -> usize {
        // The look at all groups keeps no reader out, and each removal lets others in between.
        let names = self.0.read().overdue();
        names.iter().filter(|name| self.0.write().bury(name)).count()
    }

    /// Sweeps once per `tick` (the key `pitaya.groups.memory.tickduration`), at most once a millisecond, until the last
    /// handle of the store is dropped. The app runs it in a task of its own.
    pub fn sweeper(&self, tick: Duration) -> impl Future<Output = ()> + Send + use<> {
        let store: Weak<_> = Arc::downgrade(&self.0);
        let tick = tick.max(Duration::from_millis(1));
        async move {
            loop {
                sleep(tick).await;
                let Some(store) = store.upgrade() else { return };
                Self(store).sweep();
            }
        }
    }
}

impl Default for MemoryGroups {
    fn default() -> Self {
        Self::new()
    }
}

impl GroupStore for MemoryGroups {
    fn create<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.0.write().make(group, Life::Endless) })
    }

    fn create_with_ttl<'a>(&'a self, group: &'a str, ttl: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            if ttl.is_zero() {
                return Err(GroupError::ZeroTtl);
            }
            self.0.write().make(group, Life::limited(ttl))
        })
    }

    fn renew_ttl<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.0.write().renew(group) })
    }

    fn delete<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.0.write().delete(group) })
    }

    fn exists<'a>(&'a self, group: &'a str) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.0.read().group(group).is_ok()) })
    }

    fn list(&self) -> Answer<'_, Vec<Arc<str>>> {
        Box::pin(async move { Ok(self.0.read().names()) })
    }

    fn add_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            check_uid(uid)?;
            self.0.write().add(group, uid)
        })
    }

    fn remove_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.0.write().remove(group, uid) })
    }

    fn remove_all<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.0.write().remove_all(group) })
    }

    fn remove_everywhere<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move { Ok(self.0.write().remove_everywhere(uid)) })
    }

    fn members<'a>(&'a self, group: &'a str) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move { Ok(self.0.read().group(group)?.members.keys().cloned().collect()) })
    }

    fn contains_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            if uid.is_empty() {
                return Err(GroupError::EmptyUid);
            }
            Ok(self.0.read().group(group)?.members.contains_key(uid))
        })
    }

    fn count_members<'a>(&'a self, group: &'a str) -> Answer<'a, usize> {
        Box::pin(async move { Ok(self.0.read().group(group)?.members.len()) })
    }

    fn identity(&self) -> Option<Arc<str>> {
        Some(self.0.read().identity.clone())
    }

    fn create_transient<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.0.write().make(group, Life::Transient) })
    }

    fn join<'a>(&'a self, group: &'a str, uid: &'a str, holder: &'a Holder, if_missing: IfMissing) -> Answer<'a, bool> {
        Box::pin(async move {
            check_uid(uid)?;
            self.0.write().join(group, uid, holder, if_missing)
        })
    }

    fn leave<'a>(&'a self, groups: &'a [Arc<str>], uid: &'a str, holder: &'a Holder) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let mut tables = self.0.write();
            Ok(groups.iter().filter(|group| tables.leave(group, uid, holder)).cloned().collect())
        })
    }

    fn held<'a>(&'a self, groups: &'a [Arc<str>], uid: &'a str, holder: &'a Holder) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let tables = self.0.read();
            Ok(groups.iter().filter(|group| tables.holds(group, uid, holder)).cloned().collect())
        })
    }

    fn user_memberships<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<UserMembership>> {
        Box::pin(async move { Ok(self.0.read().user_memberships(uid)) })
    }

    fn release_user<'a>(&'a self, uid: &'a str, memberships: &'a [UserMembership]) -> Answer<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            let mut tables = self.0.write();
            let left = memberships.iter().filter(|known| tables.release_user(&known.group, uid, known.version));
            Ok(left.map(|known| known.group.clone()).collect())
        })
    }

    fn frontends(&self) -> Answer<'_, Vec<(Arc<str>, u64)>> {
        Box::pin(async move { Ok(self.0.read().frontends.keys().cloned().collect()) })
    }

    /// Looks at all groups, one at a time, so that nobody waits for more than one of them.
    fn forget_frontend<'a>(&'a self, frontend: &'a str, epoch: u64) -> Answer<'a, usize> {
        Box::pin(async move {
            let names = self.0.read().names();
            let mut forgotten = 0;
            for name in names {
                forgotten += self.0.write().forget_frontend(&name, frontend, epoch);
                tokio::task::yield_now().await;
            }
            Ok(forgotten)
        })
    }
}

impl fmt::Debug for MemoryGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.0.read();
        f.debug_struct("MemoryGroups")
            .field("groups", &tables.groups.len())
            .field("uids", &tables.by_uid.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
