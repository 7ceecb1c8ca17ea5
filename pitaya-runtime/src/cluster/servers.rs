//! Who is in the cluster: what discovery has reported.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pitaya_core::cluster::{Registrar, ServerInfo};
use pitaya_core::maps::KeyedMap;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use tokio::sync::watch;

/// The servers of the cluster, this one among them. Read without a lock; what it says is as fresh as discovery.
pub struct Servers {
    table: ArcSwap<Table>,
    /// Changes come one after the other.
    changing: Mutex<()>,
    /// Ids of servers at whose address nobody answered: they are passed over.
    aside: Mutex<HashSet<Arc<str>>>,
    /// Length of `aside`, readable without its lock.
    passed_over: AtomicUsize,
    /// Counts the changes. Beside the channel: reading that takes a lock.
    version: AtomicU64,
    changes: watch::Sender<()>,
    random: AtomicU64,
}

type Kinds = KeyedMap<Arc<str>, Arc<[Arc<ServerInfo>]>>;

#[derive(Default)]
struct Table {
    all: BTreeMap<Arc<str>, Arc<ServerInfo>>,
    /// By type, without those set aside; all of a type when all are.
    kinds: Kinds,
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self {
            table: ArcSwap::default(),
            changing: Mutex::default(),
            aside: Mutex::default(),
            passed_over: AtomicUsize::new(0),
            version: AtomicU64::new(0),
            changes: watch::Sender::new(()),
            // A different start in each process is all the chance that is needed.
            random: AtomicU64::new(RandomState::new().hash_one(0)),
        }
    }

    /// The server with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<ServerInfo>> {
        self.table.load().all.get(id).cloned()
    }

    /// All servers of a type that can be reached, as far as is known.
    #[must_use]
    pub fn of(&self, kind: &str) -> Arc<[Arc<ServerInfo>]> {
        self.table.load().kinds.get(kind).cloned().unwrap_or_default()
    }

    /// All servers, sorted by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<ServerInfo>> {
        self.table.load().all.values().cloned().collect()
    }

    /// Ends when a server comes, goes or changes after this was called: call it, look, and then wait, and nothing is
    /// missed.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.changes.subscribe();
        async move {
            let _ = changes.changed().await;
        }
    }

    /// A number that changes whenever anything else here does.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// One of a type, by chance.
    pub(crate) fn any(&self, kind: &str) -> Option<Arc<ServerInfo>> {
        let table = self.table.load();
        let servers = table.kinds.get(kind)?;
        let index = match servers.len() {
            1 => 0,
            all => self.random().checked_rem(all as u64)?,
        };
        servers.get(index as usize).cloned()
    }

    /// One of a type by chance, other than these.
    pub(crate) fn another(&self, kind: &str, tried: &[Arc<str>]) -> Option<Arc<ServerInfo>> {
        let servers = self.of(kind);
        let fresh: Vec<_> = servers.iter().filter(|server| !tried.contains(&server.id)).collect();
        let index = self.random().checked_rem(fresh.len() as u64)?;
        fresh.get(index as usize).map(|server| Arc::clone(server))
    }

    /// Passes over a server at whose address nobody answers, until it is [taken back](Self::take_back) or reported anew.
    /// False when it is passed over already, or not known.
    pub(crate) fn set_aside(&self, id: &str) -> bool {
        let changing = self.changing.lock();
        let table = self.table.load();
        let Some(server) = table.all.get(id) else { return false };
        if !self.aside.lock().insert(server.id.clone()) {
            return false;
        }
        tracing::warn!(server = id, kind = &*server.kind, "server unreachable: passed over until it answers");
        self.publish(table.all.clone());
        drop(changing);
        true
    }

    /// Uses a server again that was passed over. Costs one atomic read when none is.
    pub(crate) fn take_back(&self, id: &str) {
        self.restore(id, "server used again");
    }

    /// Uses a server again of which nothing is known but that it did not answer.
    pub(crate) fn try_again(&self, id: &str) {
        self.restore(id, "server tried again");
    }

    fn restore(&self, id: &str, message: &'static str) {
        if !self.has_passed_over() {
            return;
        }
        let changing = self.changing.lock();
        if self.aside.lock().remove(id) {
            tracing::info!(server = id, "{message}");
            self.publish(self.table.load().all.clone());
        }
        drop(changing);
    }

    /// Whether any server is passed over now.
    pub(crate) fn has_passed_over(&self) -> bool {
        self.passed_over.load(Acquire) > 0
    }

    /// Whether this server is passed over now.
    pub(crate) fn is_aside(&self, id: &str) -> bool {
        self.has_passed_over() && self.aside.lock().contains(id)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, Arc<ServerInfo>>, &mut HashSet<Arc<str>>)) {
        let changing = self.changing.lock();
        let table = self.table.load();
        let mut all = table.all.clone();
        let mut aside = self.aside.lock();
        let before = aside.len();
        change(&mut all, &mut aside);
        let changed = aside.len() != before || all != table.all;
        drop(aside);
        if changed {
            self.publish(all);
        }
        drop(changing);
    }

    fn publish(&self, all: BTreeMap<Arc<str>, Arc<ServerInfo>>) {
        let aside = self.aside.lock();
        self.passed_over.store(aside.len(), Release);
        let mut kinds: HashMap<Arc<str>, Vec<Arc<ServerInfo>>> = HashMap::new();
        for server in all.values() {
            kinds.entry(server.kind.clone()).or_default().push(server.clone());
        }
        for servers in kinds.values_mut() {
            // Better one that did not answer than nobody.
            if servers.iter().any(|server| !aside.contains(&server.id)) {
                servers.retain(|server| !aside.contains(&server.id));
            }
        }
        drop(aside);
        let kinds = kinds.into_iter().map(|(kind, servers)| (kind, servers.into())).collect();
        self.table.store(Arc::new(Table { all, kinds }));
        self.version.fetch_add(1, Release);
        self.changes.send_replace(());
    }

    /// Splitmix: a uniform choice, no more.
    fn random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Registrar for Servers {
    fn put(&self, server: ServerInfo) {
        self.change(|all, aside| {
            aside.remove(&server.id);
            if all.get(&server.id).is_none_or(|known| **known != server) {
                tracing::info!(server = &*server.id, kind = &*server.kind, "a server is there");
                all.insert(server.id.clone(), Arc::new(server));
            }
        });
    }

    fn remove(&self, id: &str) {
        self.change(|all, aside| {
            aside.remove(id);
            if let Some(server) = all.remove(id) {
                tracing::info!(server = id, kind = &*server.kind, "a server is gone");
            }
        });
    }

    fn replace(&self, servers: Vec<ServerInfo>) {
        self.change(|all, aside| {
            let known = std::mem::take(all);
            for server in servers {
                // The same record keeps its identity: whoever holds it need not choose again.
                let same = known.get(&server.id).filter(|known| ***known == server).cloned();
                all.insert(server.id.clone(), same.unwrap_or_else(|| Arc::new(server)));
            }
            aside.retain(|id| all.contains_key(id));
        });
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.table.load().all.iter().map(|(id, server)| (id, &server.kind))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: &str, id: &str) -> ServerInfo {
        ServerInfo::new(kind, id, false)
    }

    fn ids(servers: &Servers, kind: &str) -> Vec<String> {
        servers.of(kind).iter().map(|server| server.id.to_string()).collect()
    }

    #[test]
    fn servers_come_change_and_go() {
        let servers = Servers::new();
        servers.replace(vec![info("room", "a"), info("room", "b"), info("chat", "c")]);
        assert_eq!(ids(&servers, "room"), ["a", "b"]);
        let (a, version) = (servers.get("a").unwrap(), servers.version());
        servers.put(info("room", "a"));
        assert!(servers.version() == version && Arc::ptr_eq(&a, &servers.get("a").unwrap()), "nothing new");
        servers.replace(vec![info("room", "a")]);
        assert!(Arc::ptr_eq(&a, &servers.get("a").unwrap()) && servers.version() > version);
        assert_eq!((ids(&servers, "room"), ids(&servers, "chat")), (vec!["a".to_owned()], vec![]));
        servers.remove("a");
        assert!(servers.any("room").is_none() && servers.all().is_empty());
    }

    #[test]
    fn who_does_not_answer_is_passed_over_until_it_answers_or_is_reported_anew() {
        let servers = Servers::new();
        servers.replace(vec![info("room", "a"), info("room", "b")]);
        servers.set_aside("a");
        assert_eq!(ids(&servers, "room"), ["b"]);
        servers.set_aside("b");
        assert_eq!(ids(&servers, "room"), ["a", "b"], "better than nobody");
        servers.put(info("room", "b"));
        assert_eq!(ids(&servers, "room"), ["b"]);
        assert!(servers.get("a").is_some() && servers.is_aside("a"));
        servers.take_back("a");
        assert_eq!(ids(&servers, "room"), ["a", "b"]);
        assert!(!servers.is_aside("a") && !servers.has_passed_over());
    }

    #[test]
    fn a_change_between_a_look_and_the_wait_is_not_missed() {
        use futures_util::FutureExt;
        let servers = Servers::new();
        let changed = servers.changed();
        servers.put(info("room", "a"));
        assert!(changed.now_or_never().is_some());
        assert!(servers.changed().now_or_never().is_none());
    }

    #[test]
    fn all_of_a_type_are_chosen() {
        let servers = Servers::new();
        servers.replace((0..4).map(|n| info("room", &n.to_string())).collect());
        let mut hits = HashMap::new();
        for _ in 0..4000 {
            *hits.entry(servers.any("room").unwrap().id.clone()).or_insert(0) += 1;
        }
        assert!(hits.len() == 4 && hits.values().all(|&n| n > 800), "{hits:?}");
        assert_eq!(&*servers.another("room", &["0".into(), "1".into(), "2".into()]).unwrap().id, "3");
    }
}
