//! Who sees whom.

use crate::support::{SOON, TTL, Table, config, eventually, keys, member, watching};
use pitaya_runtime::cluster::{Discovery, DiscoveryError, EtcdDiscovery, ServerInfo};
use pitaya_runtime::config::Config;
use pitaya_tests::etcd::Etcd;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test]
async fn servers_see_each_other_and_leave_at_once() {
    let etcd = Etcd::start();
    let mut config = config(&etcd);
    // Neither a lease that ends nor a reading for safety's sake shows anybody in the time of this test.
    config.cluster.sd.etcd.heartbeat.ttl = SOON * 6;
    config.cluster.sd.etcd.syncservers.interval = SOON * 6;
    let one = member(&config, "room", "one").await;
    let start = Instant::now();
    let two = member(&config, "room", "two").await;
    for member in [&one, &two] {
        member.table.shows(&["one", "two"]).await;
        assert!(member.discovery.is_connected());
    }
    println!("seen by both {:?} after the second began", start.elapsed());
    let start = Instant::now();
    two.discovery.withdraw().await;
    one.table.shows(&["one"]).await;
    println!("gone {:?} after its withdrawal began", start.elapsed());
    // It is not seen, and sees.
    two.table.shows(&["one"]).await;
    assert_eq!(keys(&etcd), ["pitaya/servers/room/one"]);
    two.discovery.stop().await;
    assert!(!two.discovery.is_connected());
}

async fn who_dies_is_gone_after_its_time_to_live() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    one.table.shows(&["one", "two"]).await;
    // It stays as long as it lives.
    tokio::time::sleep(TTL * 5 / 4).await;
    assert_eq!(one.table.ids(), ["one", "two"]);
    drop(two);
    let took = one.table.shows(&["one"]).await;
    println!("gone {took:?} after its death, with a time to live of {TTL:?}");
    assert!(took >= TTL / 2, "not before its lease had run out: {took:?}");
}

#[tokio::test]
async fn a_record_that_others_take_away_is_written_again() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    two.table.shows(&["one", "two"]).await;
    let _ = etcd.ctl(&["del", "pitaya/servers/room/one"]);
    two.table.until("one, back again", |servers| servers.contains_key("one")).await;
    eventually("the key is back", || keys(&etcd).contains(&"pitaya/servers/room/one".to_owned())).await;
    // Its whole lease this time.
    let lease = etcd.ctl(&["lease", "list"]);
    lease.lines().skip(1).for_each(|id| drop(etcd.ctl(&["lease", "revoke", id])));
    for member in [&one, &two] {
        member.table.shows(&["one", "two"]).await;
    }
    eventually("both keys are back", || keys(&etcd).len() == 2).await;
    assert!(one.table.lost().iter().all(|id| id != "one"), "a server knows that it lives");
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
        ("room/other", r#"{"id":"another","type":"room"}"#),
        ("room", r#"{"id":"room","type":"room"}"#),
    ] {
        let _ = etcd.ctl(&["put", &format!("pitaya/servers/{key}"), value]);
    }
    let mut other = config.clone();
    other.cluster.sd.etcd.prefix = "elsewhere/".to_owned();
    let elsewhere = member(&other, "room", "elsewhere").await;
    let one = watching(&config).await;
    one.table.shows(&["cs", "go"]).await;
    elsewhere.table.shows(&["elsewhere"]).await;

    let changed = r#"{"id":"go","type":"room","metadata":{"k":"v"},"frontend":false,"hostname":"vm"}"#;
    let _ = etcd.ctl(&["put", "pitaya/servers/room/go", changed]);
    one.table.until("the changed record", |servers| servers["go"].metadata.contains_key("k")).await;
    // What was good and is bad now says nothing about the server.
    let _ = etcd.ctl(&["put", "pitaya/servers/room/go", "{"]);
    let _ = etcd.ctl(&["put", "pitaya/servers/room/garbage", r#"{"id":"garbage","type":"room"}"#]);
    one.table.shows(&["cs", "garbage", "go"]).await;
    let _ = etcd.ctl(&["del", "pitaya/servers/room/go"]);
    one.table.shows(&["cs", "garbage"]).await;
}

#[tokio::test]
async fn records_of_go_servers_are_read_and_ours_are_like_them() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let mut ids = Vec::new();
    let mut frontends = 0;
    for line in include_str!("../vectors/etcd.jsonl").lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| line[name].as_str().expect(name).to_owned();
        let _ = etcd.ctl(&["put", &format!("pitaya/{}", text("key")), &text("value")]);
        ids.push(text("key").rsplit('/').next().expect("an id").to_owned());
        frontends += usize::from(text("key").starts_with("servers/connector/"));
    }
    ids.sort();
    let one = watching(&config).await;
    one.table.shows(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    one.table.until("frontends", |all| all.values().filter(|s| s.frontend).count() == frontends).await;

    let mut server = ServerInfo::new("room", "ours", false);
    server.hostname = "vm".to_owned();
    server.metadata.insert("k".to_owned(), "v".to_owned());
    one.discovery.announce(server).await.expect("registered");
    let value = etcd.ctl(&["get", "--print-value-only", "pitaya/servers/room/ours"]);
    assert_eq!(value.trim(), r#"{"id":"ours","type":"room","metadata":{"k":"v"},"frontend":false,"hostname":"vm"}"#);
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
    // One's own is seen all the same.
    let own = member(&blind, "bots", "own").await;
    own.table.shows(&["own", "room"]).await;
}

/// What one transaction of etcdctl puts.
pub(crate) fn put_all(etcd: &Etcd, records: &[(String, String)]) {
    for some in records.chunks(100) {
        let puts: String = some.iter().map(|(key, value)| format!("put {key} {value:?}\n")).collect();
        let _ = etcd.ctl_with(&["txn"], &format!("\n{puts}\n\n"));
    }
}

#[tokio::test]
async fn hundreds_of_records_are_read_in_pages_and_by_the_watch() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    // More than one page holds.
    let ids: Vec<String> = (0..1_500).map(|n| format!("{n:04}")).collect();
    let record = |id: &String| {
        let value = format!(r#"{{"id":"{id}","type":"room","metadata":{{}},"frontend":false,"hostname":"vm"}}"#);
        (format!("pitaya/servers/room/{id}"), value)
    };
    let records: Vec<_> = ids.iter().map(record).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let by_watch = watching(&config).await;
    put_all(&etcd, &records);
    by_watch.table.shows(&ids).await;
    let start = Instant::now();
    let by_list = watching(&config).await;
    println!("{} records read in {:?}", ids.len(), start.elapsed());
    by_list.table.shows(&ids).await;
}

#[tokio::test]
async fn the_list_is_read_again_from_time_to_time() {
    let etcd = Etcd::start();
    let mut config = config(&etcd);
    config.cluster.sd.etcd.syncservers.interval = Duration::from_millis(20);
    let one = member(&config, "room", "one").await;
    for n in 0..5 {
        let two = member(&config, "room", &format!("two{n}")).await;
        one.table.shows(&["one", &format!("two{n}")]).await;
        two.discovery.withdraw().await;
        one.table.shows(&["one"]).await;
    }
    assert!(one.discovery.is_connected());
    assert_eq!(one.table.lost().len(), 5, "nobody has flickered");
}

#[tokio::test]
async fn a_reading_leaves_no_watch_and_no_task_behind() {
    let etcd = Etcd::start();
    let mut config = config(&etcd);
    config.cluster.sd.etcd.syncservers.interval = Duration::from_millis(10);
    let one = member(&config, "room", "one").await;
    let begun = || etcd.metric(&["grpc_server_started_total", "grpc_method=\"Watch\""]);
    let watchers = || etcd.metric(&["etcd_debugging_mvcc_watcher_total"]);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    eventually("the list is followed", || begun() > 1).await;
    let (first, alive) = (begun(), tasks());
    eventually("a hundred rounds have passed", || begun() >= first + 100).await;
    println!("after {} rounds: {} watchers, {} tasks, {alive} before", begun() - first, watchers(), tasks());
    // One that ends and one that begins may be seen together.
    eventually("the watches of earlier rounds are over", || watchers() <= 2).await;
    eventually("so are their tasks", || tasks() <= alive + 2).await;
    assert!(one.discovery.is_connected());
    one.discovery.stop().await;
    eventually("the last watch is over", || watchers() == 0).await;
}

/// Three that mostly wait.
#[tokio::test]
async fn a_server_holds_its_id_while_it_lives_and_for_its_lease_after_that() {
    tokio::join!(
        who_dies_is_gone_after_its_time_to_live(),
        an_id_is_taken_once(),
        a_killed_server_returns_under_its_id()
    );
}

async fn an_id_is_taken_once() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "same").await;
    let two = watching(&config).await;
    let start = Instant::now();
    let taken = two.discovery.announce(ServerInfo::new("room", "same", false)).await;
    assert_eq!(taken, Err(DiscoveryError::Taken("same".into())));
    println!("told that it is taken after {:?}", start.elapsed());
    assert!(start.elapsed() < SOON);
    assert!(one.discovery.is_connected());
}

async fn a_killed_server_returns_under_its_id() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    drop(member(&config, "room", "same").await);
    let first = etcd.ctl(&["lease", "list"]);
    let first = first.lines().last().and_then(|id| i64::from_str_radix(id, 16).ok()).expect("a lease");
    let start = Instant::now();
    let two = watching(&config).await;
    two.discovery.announce(ServerInfo::new("room", "same", false)).await.expect("when the old lease has run out");
    println!("back {:?} after its death, with a time to live of {TTL:?}", start.elapsed());
    two.table.shows(&["same"]).await;
    let lease = || etcd.ctl(&["get", "-w", "fields", "pitaya/servers/room/same"]);
    let lease = lease().lines().find(|line| line.starts_with("\"Lease\"")).map(str::to_owned);
    assert!(lease.is_some_and(|line| !line.ends_with(&format!(": {first}"))), "under a lease of its own");
}

#[tokio::test]
async fn what_cannot_be_a_key_is_told() {
    let etcd = Etcd::start();
    let one = watching(&config(&etcd)).await;
    let error = one.discovery.announce(ServerInfo::new("ro/om", "a", false)).await.expect_err("no type");
    assert!(matches!(&error, DiscoveryError::Invalid(text) if text.contains('/')), "{error}");
}

#[tokio::test]
async fn nobody_there_is_told_in_words() {
    let mut config = Config::default();
    let settings = &mut config.cluster.sd.etcd;
    settings.endpoints = vec!["127.0.0.1:1".to_owned()];
    settings.grantlease.maxretries = 2;
    settings.grantlease.retryinterval = Duration::from_millis(10);
    let discovery = EtcdDiscovery::new(settings).expect("valid");
    let error = discovery.watch(Arc::new(Table::default())).await.expect_err("nobody listens").to_string();
    assert_eq!(error, "etcd at `127.0.0.1:1` cannot be reached: Connection refused (os error 111)");
    assert!(!discovery.is_connected());

    config.cluster.sd.etcd.endpoints = vec!["no address".to_owned()];
    let error = EtcdDiscovery::new(&config.cluster.sd.etcd).expect_err("no address").to_string();
    assert!(error.starts_with("the address `no address` of etcd cannot be used: "), "{error}");
}

/// A discovery is made where there is no runtime yet: apps are built before they are run.
#[test]
fn it_is_made_outside_of_a_runtime() {
    let mut settings = Config::default().cluster.sd.etcd;
    settings.endpoints = vec!["a:1".to_owned(), "b:1".to_owned()];
    drop(EtcdDiscovery::new(&settings).expect("valid"));
}
