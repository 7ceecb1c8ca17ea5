//! Groups in the memory of one server: the default, for servers that share no groups.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;
use pitaya_core::cluster::groups::{Answer, GroupError, GroupStore, MEMORY_TTL_NOT_FOUND, check_name, check_uid};
use tokio::time::{Instant, sleep};

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
#[derive(Clone, Default)]
pub struct MemoryGroups(Arc<RwLock<Tables>>);

/// Both tables say the same: a uid is in a group's members if and only if the group is among the uid's. Clients choose
/// names and uids, hence the maps of std, whose hashes they cannot make collide.
#[derive(Default)]
struct Tables {
    groups: HashMap<Arc<str>, Group>,
    by_uid: HashMap<Arc<str>, HashSet<Arc<str>>>,
}

struct Group {
    name: Arc<str>,
    members: HashSet<Arc<str>>,
    life: Life,
}

/// How long a group lives.
#[derive(Clone, Copy)]
enum Life {
    /// Until it is deleted.
    Endless,
    /// Until `end`, and for `ttl` from when it is renewed. An end that the clock cannot hold is none.
    Limited { ttl: Duration, end: Option<Instant> },
}

impl Life {
    fn limited(ttl: Duration) -> Self {
        Self::Limited { ttl, end: Instant::now().checked_add(ttl) }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Limited { end: Some(end), .. } if end <= Instant::now())
    }
}

impl MemoryGroups {
    /// A store without groups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives back the memory of the groups whose time is over and tells how many these were.
    pub fn sweep(&self) -> usize {
        // The look at all groups keeps no reader out, and each removal lets others in between.
        let over = |tables: &Tables| -> Vec<Arc<str>> {
            tables.groups.iter().filter(|(_, group)| group.life.is_over()).map(|(name, _)| name.clone()).collect()
        };
        let names = over(&self.0.read());
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

    fn make(&self, name: &str, life: Life) -> Result<(), GroupError> {
        check_name(name)?;
        let mut tables = self.0.write();
        tables.bury(name);
        if tables.groups.contains_key(name) {
            return Err(GroupError::AlreadyExists);
        }
        let name: Arc<str> = name.into();
        tables.groups.insert(name.clone(), Group { name, members: HashSet::new(), life });
        Ok(())
    }
}

impl Tables {
    fn group(&self, name: &str) -> Result<&Group, GroupError> {
        self.groups.get(name).filter(|group| !group.life.is_over()).ok_or(GroupError::NotFound)
    }

    fn group_mut(&mut self, name: &str) -> Result<&mut Group, GroupError> {
        self.groups.get_mut(name).filter(|group| !group.life.is_over()).ok_or(GroupError::NotFound)
    }

    fn renew(&mut self, name: &str) -> Result<(), GroupError> {
        let group = self.group_mut(name)?;
        match group.life {
            Life::Endless => Err(GroupError::TtlNotFound(MEMORY_TTL_NOT_FOUND)),
            Life::Limited { ttl, .. } => {
                group.life = Life::limited(ttl);
                Ok(())
            }
        }
    }

    fn add(&mut self, name: &str, uid: &str) -> Result<(), GroupError> {
        // The text of a uid is kept once for all groups it is in.
        let uid: Arc<str> = self.by_uid.get_key_value(uid).map_or_else(|| uid.into(), |(known, _)| known.clone());
        let group = self.group_mut(name)?;
        if !group.members.insert(uid.clone()) {
            return Err(GroupError::MemberAlreadyExists);
        }
        let name = group.name.clone();
        self.by_uid.entry(uid).or_default().insert(name);
        Ok(())
    }

    fn remove(&mut self, name: &str, uid: &str) -> Result<(), GroupError> {
        if !self.group_mut(name)?.members.remove(uid) {
            return Err(GroupError::MemberNotFound);
        }
        self.unlink(name, uid);
        Ok(())
    }

    fn remove_all(&mut self, name: &str) -> Result<(), GroupError> {
        let members = std::mem::take(&mut self.group_mut(name)?.members);
        members.iter().for_each(|uid| self.unlink(name, uid));
        Ok(())
    }

    fn remove_everywhere(&mut self, uid: &str) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.by_uid.remove(uid).into_iter().flatten().collect();
        names.retain(|name| {
            self.groups.get_mut(name).is_some_and(|group| group.members.remove(uid) && !group.life.is_over())
        });
        names
    }

    fn delete(&mut self, name: &str) -> Result<(), GroupError> {
        self.remove_all(name)?;
        self.groups.remove(name);
        Ok(())
    }

    /// Removes a group if its time is over.
    fn bury(&mut self, name: &str) -> bool {
        if !self.groups.get(name).is_some_and(|group| group.life.is_over()) {
            return false;
        }
        let members = self.groups.remove(name).map(|group| group.members).unwrap_or_default();
        members.iter().for_each(|uid| self.unlink(name, uid));
        true
    }

    /// Takes a group from those of a uid.
    fn unlink(&mut self, name: &str, uid: &str) {
        if let Some(names) = self.by_uid.get_mut(uid) {
            names.remove(name);
            if names.is_empty() {
                self.by_uid.remove(uid);
            }
        }
    }
}

impl GroupStore for MemoryGroups {
    fn create<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.make(group, Life::Endless) })
    }

    fn create_with_ttl<'a>(&'a self, group: &'a str, ttl: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            if ttl.is_zero() {
                return Err(GroupError::ZeroTtl);
            }
            self.make(group, Life::limited(ttl))
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
        Box::pin(async move {
            let tables = self.0.read();
            Ok(tables.groups.values().filter(|group| !group.life.is_over()).map(|group| group.name.clone()).collect())
        })
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
        Box::pin(async move { Ok(self.0.read().group(group)?.members.iter().cloned().collect()) })
    }

    fn contains_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            if uid.is_empty() {
                return Err(GroupError::EmptyUid);
            }
            Ok(self.0.read().group(group)?.members.contains(uid))
        })
    }

    fn count_members<'a>(&'a self, group: &'a str) -> Answer<'a, usize> {
        Box::pin(async move { Ok(self.0.read().group(group)?.members.len()) })
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
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Memory in use: groups and uids, whether they can still be seen or not.
    fn held(store: &MemoryGroups) -> (usize, usize) {
        let tables = store.0.read();
        (tables.groups.len(), tables.by_uid.len())
    }

    /// Two groups, of which `short` has two seconds; `zoe` is in both, `max` in the short one.
    async fn two_groups() -> MemoryGroups {
        let store = MemoryGroups::new();
        store.create("long").await.unwrap();
        store.create_with_ttl("short", 2 * SECOND).await.unwrap();
        for (group, uid) in [("long", "zoe"), ("short", "zoe"), ("short", "max")] {
            store.add_member(group, uid).await.unwrap();
        }
        store
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_exact() {
        let store = two_groups().await;
        tokio::time::advance(2 * SECOND - Duration::from_nanos(1)).await;
        assert!(store.exists("short").await.unwrap());
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert!(!store.exists("short").await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_gives_back_what_is_over() {
        let store = two_groups().await;
        assert_eq!(store.sweep(), 0);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(held(&store), (2, 2));
        assert_eq!(store.sweep(), 1);
        assert_eq!(held(&store), (1, 1));
        assert_eq!(store.members("long").await.unwrap(), ["zoe".into()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_used_again_finds_an_empty_group() {
        let store = two_groups().await;
        tokio::time::advance(2 * SECOND).await;
        store.create("short").await.unwrap();
        assert_eq!(store.count_members("short").await.unwrap(), 0);
        assert_eq!(held(&store), (2, 1));
        assert_eq!(store.remove_everywhere("zoe").await.unwrap(), ["long".into()]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_sweeper_ticks_until_the_store_is_dropped() {
        let store = two_groups().await;
        let sweeper = tokio::spawn(store.sweeper(30 * SECOND));
        sleep(29 * SECOND).await;
        assert_eq!(held(&store), (2, 2));
        sleep(2 * SECOND).await;
        assert_eq!(held(&store), (1, 1));
        drop(store);
        sweeper.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweeper_without_a_pause_takes_one() {
        let store = two_groups().await;
        tokio::spawn(store.sweeper(Duration::ZERO));
        sleep(3 * SECOND).await;
        assert_eq!(held(&store), (1, 1));
    }

    #[tokio::test]
    async fn nothing_is_held_for_those_who_left() {
        let store = two_groups().await;
        store.remove_everywhere("zoe").await.unwrap();
        store.remove_member("short", "max").await.unwrap();
        assert_eq!(held(&store), (2, 0));
        store.add_member("long", "max").await.unwrap();
        store.delete("long").await.unwrap();
        store.delete("short").await.unwrap();
        assert_eq!(held(&store), (0, 0));
    }

    #[tokio::test]
    async fn a_time_to_live_beyond_all_clocks_is_endless() {
        let store = MemoryGroups::new();
        store.create_with_ttl("g", Duration::MAX).await.unwrap();
        store.renew_ttl("g").await.unwrap();
        assert!(store.exists("g").await.unwrap());
    }

    #[tokio::test]
    async fn clones_share_and_other_stores_do_not() {
        let store = two_groups().await;
        assert!(store.clone().exists("long").await.unwrap());
        assert!(!MemoryGroups::new().exists("long").await.unwrap());
    }

    #[tokio::test]
    async fn an_operation_happens_when_it_is_awaited() {
        let store = MemoryGroups::new();
        drop(store.create("g"));
        assert!(!store.exists("g").await.unwrap());
    }
}
