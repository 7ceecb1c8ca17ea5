//! Servers find each other in a real etcd.

/// What every store must do.
#[expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking, too")]
#[path = "../../pitaya-runtime/tests/groups/suite.rs"]
mod suite;

use parking_lot::Mutex;
use pitaya_runtime::cluster::EtcdGroups;
use pitaya_runtime::cluster::{Discovery, DiscoveryError, EtcdDiscovery, Registrar, ServerInfo};
use pitaya_runtime::config::Config;
use pitaya_tests::etcd::Etcd;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No test waits longer for anything that should happen at once.
const SOON: Duration = Duration::from_secs(10);

/// Whom a discovery sees.
#[derive(Default)]
struct Table(Mutex<BTreeMap<String, ServerInfo>>);

impl Registrar for Table {
    fn put(&self, server: ServerInfo) {
        self.0.lock().insert(server.id.to_string(), server);
    }

    fn remove(&self, id: &str) {
        self.0.lock().remove(id);
    }

    fn replace(&self, servers: Vec<ServerInfo>) {
        *self.0.lock() = servers.into_iter().map(|server| (server.id.to_string(), server)).collect();
    }
}

impl Table {
    fn ids(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    async fn shows(&self, ids: &[&str]) -> Duration {
        let start = Instant::now();
        while self.ids() != ids {
            assert!(start.elapsed() < SOON, "{:?} instead of {ids:?}", self.ids());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        start.elapsed()
    }
}

struct Member {
    discovery: EtcdDiscovery,
    table: Arc<Table>,
}

fn config(etcd: &Etcd) -> Config {
    let mut config = Config::default();
    let settings = &mut config.cluster.sd.etcd;
    settings.endpoints = vec![etcd.endpoint()];
    settings.heartbeat.ttl = Duration::from_secs(2);
    settings.shutdown.delay = Duration::ZERO;
    config
}

async fn watching(config: &Config) -> Member {
    let discovery = EtcdDiscovery::new(&config.cluster.sd.etcd).expect("valid");
    let table = Arc::new(Table::default());
    discovery.watch(table.clone()).await.expect("etcd answers");
    Member { discovery, table }
}

async fn member(config: &Config, kind: &str, id: &str) -> Member {
    let member = watching(config).await;
    member.discovery.announce(ServerInfo::new(kind, id, false)).await.expect("registered");
    member
}

#[tokio::test]
async fn servers_see_each_other_within_a_second_and_leave_at_once() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    for member in [&one, &two] {
        assert!(member.table.shows(&["one", "two"]).await < Duration::from_secs(1));
    }
    two.discovery.withdraw().await;
    assert!(one.table.shows(&["one"]).await < Duration::from_secs(1));
    two.discovery.stop().await;
}

#[tokio::test]
async fn who_dies_is_gone_after_its_time_to_live() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    one.table.shows(&["one", "two"]).await;
    // It stops renewing, and says nothing.
    two.discovery.stop().await;
    one.table.shows(&["one"]).await;
    assert!(one.discovery.is_connected());
}

#[tokio::test]
async fn an_outage_longer_than_the_time_to_live_is_repaired() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    one.table.shows(&["one", "two"]).await;
    etcd.freeze();
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        assert_eq!(one.table.ids(), ["one", "two"], "the last known servers stand");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    etcd.thaw();
    let end = Instant::now() + Duration::from_secs(5);
    while !etcd.ctl(&["get", "--prefix", "--keys-only", "pitaya/servers/"]).contains("two") {
        assert!(Instant::now() < end, "registered again in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for member in [&one, &two] {
        member.table.shows(&["one", "two"]).await;
    }
    two.discovery.withdraw().await;
    one.table.shows(&["one"]).await;
}

#[tokio::test]
async fn restarts_of_etcd_are_not_seen() {
    let mut etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    one.table.shows(&["one", "two"]).await;
    for n in 0..3 {
        etcd.kill();
        etcd.run();
        let other = member(&config, "room", &format!("x{n}")).await;
        for member in [&one, &two] {
            member.table.shows(&["one", "two", &format!("x{n}")]).await;
        }
        other.discovery.withdraw().await;
        one.table.shows(&["one", "two"]).await;
    }
}

#[tokio::test]
async fn what_others_wrote_is_read_or_passed_over() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    for (key, value) in [
        ("room/go", r#"{"id":"go","type":"room","metadata":null,"frontend":false,"hostname":"vm"}"#),
        ("room/cs", r#"{"id":"cs","type":"room","metadata":"","frontend":false,"hostname":"vm"}"#),
        ("room/garbage", "{"),
        ("room/null", "null"),
        ("room/a/b", r#"{"id":"b","type":"room"}"#),
    ] {
        let _ = etcd.ctl(&["put", &format!("pitaya/servers/{key}"), value]);
    }
    let mut other = config.clone();
    other.cluster.sd.etcd.prefix = "elsewhere/".to_owned();
    let _elsewhere = member(&other, "room", "elsewhere").await;
    let one = watching(&config).await;
    one.table.shows(&["cs", "go"]).await;
    let changed = r#"{"id":"go","type":"room","metadata":{"k":"v"},"frontend":false,"hostname":"vm"}"#;
    let _ = etcd.ctl(&["put", "pitaya/servers/room/go", changed]);
    let start = Instant::now();
    while one.table.0.lock()["go"].metadata.is_empty() {
        assert!(start.elapsed() < SOON, "a changed record is read");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let _ = etcd.ctl(&["del", "pitaya/servers/room/go"]);
    one.table.shows(&["cs"]).await;
}

#[tokio::test]
async fn types_on_the_list_are_not_looked_at() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let mut blind = config.clone();
    blind.cluster.sd.etcd.servertypesblacklist = vec!["bots".to_owned()];
    let _bot = member(&config, "bots", "bot").await;
    let room = member(&blind, "room", "room").await;
    room.table.shows(&["room"]).await;
    let sees = watching(&config).await;
    sees.table.shows(&["bot", "room"]).await;
}

#[tokio::test]
async fn five_hundred_records_and_a_compaction() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = watching(&config).await;
    let mut tasks = tokio::task::JoinSet::new();
    let writer = EtcdDiscovery::new(&config.cluster.sd.etcd).expect("valid");
    drop(writer);
    for n in 0..500 {
        let endpoint = etcd.endpoint();
        let mut settings = config.cluster.sd.etcd.clone();
        settings.endpoints = vec![endpoint];
        settings.heartbeat.ttl = Duration::from_secs(60);
        if n % 10 == 0 {
            tasks.spawn(async move {
                for m in 0..10 {
                    let discovery = EtcdDiscovery::new(&settings).expect("valid");
                    discovery.announce(ServerInfo::new("room", format!("{:03}", n + m), false)).await.expect("there");
                }
            });
        }
    }
    tasks.join_all().await;
    let ids: Vec<String> = (0..500).map(|n| format!("{n:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    one.table.shows(&ids).await;
    let two = watching(&config).await;
    two.table.shows(&ids).await;
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "same").await;
    let two = watching(&config).await;
    let taken = two.discovery.announce(ServerInfo::new("room", "same", false)).await;
    assert_eq!(taken, Err(DiscoveryError::Taken("same".into())));
    drop(one);
}

#[tokio::test]
async fn a_killed_server_returns_under_its_id() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "same").await;
    one.discovery.stop().await;
    let two = watching(&config).await;
    two.discovery.announce(ServerInfo::new("room", "same", false)).await.expect("when the old lease has run out");
}

#[tokio::test]
async fn nobody_there_is_told_in_words() {
    let mut config = Config::default();
    config.cluster.sd.etcd.endpoints = vec!["127.0.0.1:1".to_owned()];
    config.cluster.sd.etcd.dialtimeout = Duration::from_millis(200);
    let discovery = EtcdDiscovery::new(&config.cluster.sd.etcd).expect("valid");
    let error = discovery.watch(Arc::new(Table::default())).await.expect_err("nobody listens").to_string();
    assert!(error.starts_with("etcd at 127.0.0.1:1 does not answer: ") && error.contains("refused"), "{error}");
    config.cluster.sd.etcd.endpoints = vec!["no address".to_owned()];
    assert!(EtcdDiscovery::new(&config.cluster.sd.etcd).expect_err("no address").contains("`no address`"));
}

fn groups(etcd: &Etcd) -> EtcdGroups {
    let mut config = Config::default();
    config.groups.etcd.endpoints = vec![etcd.endpoint()];
    EtcdGroups::new(&config.groups.etcd).expect("valid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_keep_their_contract() {
    let etcd = Etcd::start();
    // etcd looks at leases twice a second, and is not exact.
    suite::check(&groups(&etcd), Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_keep_their_contract_from_many_tasks() {
    let etcd = Etcd::start();
    suite::check_races(Arc::new(groups(&etcd))).await;
}

/// The keys that a Go server reads and writes.
#[tokio::test]
async fn groups_have_gos_keys() {
    use pitaya_runtime::cluster::GroupStore;
    let etcd = Etcd::start();
    let groups = groups(&etcd);
    groups.create_with_ttl("lobby", Duration::from_secs(60)).await.expect("new");
    groups.add_member("lobby", "ann").await.expect("new");
    let keys = etcd.ctl(&["get", "--prefix", "--keys-only", ""]);
    assert_eq!(keys.split_whitespace().collect::<Vec<_>>(), ["pitaya/groups/lobby", "pitaya/groups/lobby/uids/ann"]);
    let leases = etcd.ctl(&["get", "--prefix", "", "-w", "json"]);
    let leases: serde_json::Value = serde_json::from_str(&leases).expect("JSON");
    assert_eq!(leases["kvs"][0]["lease"], leases["kvs"][1]["lease"], "they end together");
    let _ = etcd.ctl(&["put", "pitaya/groups/lobby/uids/bob", ""]);
    let mut members = groups.members("lobby").await.expect("there");
    members.sort();
    assert_eq!(members, ["ann".into(), "bob".into()] as [Arc<str>; 2]);
}
