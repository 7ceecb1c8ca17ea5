//! Servers that do nothing but find each other.

use parking_lot::Mutex;
use pitaya_runtime::cluster::{Discovery, EtcdDiscovery, Registrar, ServerInfo};
use pitaya_runtime::config::Config;
use pitaya_tests::etcd::Etcd;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// No test waits longer for anything that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// How long a lease lasts.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// Whom a discovery sees, and what it has reported so far.
#[derive(Default)]
pub(crate) struct Table {
    servers: Mutex<BTreeMap<String, ServerInfo>>,
    /// Who was ever taken off.
    lost: Mutex<Vec<String>>,
    changed: Notify,
}

impl Registrar for Table {
    fn put(&self, server: ServerInfo) {
        self.servers.lock().insert(server.id.to_string(), server);
        self.changed.notify_waiters();
    }

    fn remove(&self, id: &str) {
        self.lost.lock().push(id.to_owned());
        self.servers.lock().remove(id);
        self.changed.notify_waiters();
    }

    fn replace(&self, servers: Vec<ServerInfo>) {
        let all = servers.into_iter().map(|server| (server.id.to_string(), server)).collect();
        let before = std::mem::replace(&mut *self.servers.lock(), all);
        let now = self.servers.lock();
        self.lost.lock().extend(before.into_keys().filter(|id| !now.contains_key(id)));
        self.changed.notify_waiters();
    }
}

impl Table {
    pub(crate) fn ids(&self) -> Vec<String> {
        self.servers.lock().keys().cloned().collect()
    }

    pub(crate) fn lost(&self) -> Vec<String> {
        self.lost.lock().clone()
    }

    /// Waits until exactly these are seen; how long that took.
    pub(crate) async fn shows(&self, ids: &[&str]) -> Duration {
        self.until(&format!("{ids:?}"), |servers| servers.keys().eq(ids)).await
    }

    /// Waits until what is seen is as it should be; how long that took.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&BTreeMap<String, ServerInfo>) -> bool) -> Duration {
        let start = Instant::now();
        let seen = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(&self.servers.lock()) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(SOON, seen).await.is_err() {
            panic!("{:?} instead of {what}", self.ids());
        }
        start.elapsed()
    }
}

/// One server.
pub(crate) struct Member {
    pub(crate) discovery: EtcdDiscovery,
    pub(crate) table: Arc<Table>,
}

pub(crate) fn config(etcd: &Etcd) -> Config {
    config_at(etcd.endpoint())
}

pub(crate) fn config_at(endpoint: String) -> Config {
    let mut config = Config::default();
    let settings = &mut config.cluster.sd.etcd;
    settings.endpoints = vec![endpoint];
    settings.heartbeat.ttl = TTL;
    settings.grantlease.retryinterval = Duration::from_millis(50);
    config
}

/// One that only watches.
pub(crate) async fn watching(config: &Config) -> Member {
    let discovery = EtcdDiscovery::new(&config.cluster.sd.etcd).expect("valid");
    let table = Arc::new(Table::default());
    discovery.watch(table.clone()).await.expect("etcd answers");
    Member { discovery, table }
}

pub(crate) async fn member(config: &Config, kind: &str, id: &str) -> Member {
    let member = watching(config).await;
    member.discovery.announce(ServerInfo::new(kind, id, false)).await.expect("registered");
    member
}

/// Waits for what no event tells.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

/// The keys in etcd.
pub(crate) fn keys(etcd: &Etcd) -> Vec<String> {
    etcd.ctl(&["get", "--prefix", "--keys-only", ""]).split_whitespace().map(str::to_owned).collect()
}
