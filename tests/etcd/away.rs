//! What happens when etcd is away.

use crate::proxy::{Proxy, Way};
use crate::support::{TTL, config, config_at, eventually, keys, member, watching};
use pitaya_runtime::cluster::{Discovery, ServerInfo};
use pitaya_tests::capture::ThreadLog;
use pitaya_tests::etcd::Etcd;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const BOTH: [&str; 2] = ["pitaya/servers/room/one", "pitaya/servers/room/two"];

#[tokio::test]
async fn a_frozen_etcd_loses_nobody() {
    let etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    for member in [&one, &two] {
        member.table.shows(&["one", "two"]).await;
    }
    etcd.freeze();
    tokio::time::sleep(TTL * 3 / 2).await;
    assert!(!one.discovery.is_connected());
    etcd.thaw();
    // Their leases have run out: etcd itself forgets both.
    let took = eventually("connected, and both registered", || {
        one.discovery.is_connected() && two.discovery.is_connected() && keys(&etcd) == BOTH
    });
    println!("registered again {:?} after etcd went on", took.await);
    tokio::time::sleep(TTL / 2).await;
    assert_eq!(keys(&etcd), BOTH);
    for member in [&one, &two] {
        assert_eq!(member.table.ids(), ["one", "two"]);
        assert!(member.table.lost().is_empty(), "nobody has flickered: {:?}", member.table.lost());
    }
    // Who says goodbye goes at once even so.
    two.discovery.withdraw().await;
    let took = one.table.shows(&["one"]).await;
    assert!(took < TTL, "not when its lease ends: {took:?}");
}

/// etcd lives, ends the leases, and nobody hears of it. One server comes back before the other.
async fn cut_off(way: Way) {
    let etcd = Etcd::start();
    let ways = [Proxy::to(etcd.endpoint()).await, Proxy::to(etcd.endpoint()).await];
    let [first, second] = ways.each_ref().map(|proxy| {
        let mut config = config_at(proxy.endpoint());
        config.cluster.sd.etcd.dialtimeout = Duration::from_secs(1);
        config
    });
    let one = member(&first, "room", "one").await;
    let two = member(&second, "room", "two").await;
    let dies = member(&first, "room", "dies").await;
    for member in [&one, &two] {
        member.table.shows(&["dies", "one", "two"]).await;
    }
    ways.iter().for_each(|proxy| proxy.set(way));
    eventually("the outage is noticed", || !one.discovery.is_connected() && !two.discovery.is_connected()).await;
    drop(dies);
    eventually("all leases have run out", || keys(&etcd).is_empty()).await;
    ways[0].set(Way::Open);
    let took = eventually("one is back", || one.discovery.is_connected()).await;
    println!("back {took:?} after {way:?}");
    assert_eq!(keys(&etcd), ["pitaya/servers/room/one"]);
    assert_eq!(one.table.ids(), ["dies", "one", "two"], "etcd does not have them, and may not know better");
    ways[1].set(Way::Open);
    for member in [&one, &two] {
        // Who does not come back is gone after one more time to live.
        member.table.shows(&["one", "two"]).await;
        assert_eq!(member.table.lost(), ["dies"], "nobody else has flickered");
        eventually("connected", || member.discovery.is_connected()).await;
    }
    assert_eq!(keys(&etcd), BOTH);
}

#[tokio::test]
async fn servers_that_are_cut_off_together_keep_each_other() {
    tokio::join!(cut_off(Way::Cut), cut_off(Way::Hole));
}

#[tokio::test]
async fn restarts_of_etcd_are_not_seen() {
    let mut etcd = Etcd::start();
    let config = config(&etcd);
    let one = member(&config, "room", "one").await;
    let two = member(&config, "room", "two").await;
    one.table.shows(&["one", "two"]).await;
    let mut others = Vec::new();
    for n in 0..5 {
        etcd.restart();
        let start = Instant::now();
        let other = member(&config, "room", &format!("x{n}")).await;
        for member in [&one, &two] {
            let all = |servers: &BTreeMap<String, ServerInfo>| servers.len() == 3 + n;
            member.table.until("everybody", all).await;
        }
        println!("the table is right {:?} after etcd is back", start.elapsed());
        others.push(other);
    }
    others.clear();
    one.table.shows(&["one", "two"]).await;
    let mut lost = one.table.lost();
    lost.sort();
    assert_eq!(lost, ["x0", "x1", "x2", "x3", "x4"], "each once, and nobody else");
}

#[tokio::test]
async fn what_happened_during_an_outage_is_known_after_it_even_if_etcd_forgot_how() {
    let mut etcd = Etcd::start();
    let config = config(&etcd);
    let stay = r#"{"id":"stay","type":"room"}"#;
    let _ = etcd.ctl(&["put", "pitaya/servers/room/stay", stay]);
    let _ = etcd.ctl(&["put", "pitaya/servers/room/go", r#"{"id":"go","type":"room"}"#]);
    let one = watching(&config).await;
    one.table.shows(&["go", "stay"]).await;
    etcd.restart();
    let _ = etcd.ctl(&["del", "pitaya/servers/room/go"]);
    let changed = r#"{"id":"stay","type":"room","hostname":"changed"}"#;
    for _ in 0..3 {
        let _ = etcd.ctl(&["put", "pitaya/servers/room/stay", changed]);
    }
    let status: serde_json::Value =
        serde_json::from_str(&etcd.ctl(&["endpoint", "status", "-w", "json"])).expect("JSON");
    let revision = &status[0]["Status"]["header"]["revision"];
    let _ = etcd.ctl(&["compact", &revision.to_string()]);
    one.table.shows(&["stay"]).await;
    one.table.until("the changed record", |servers| servers["stay"].hostname == "changed").await;
}

/// Leases that ran out while nobody renewed them, and one that comes back as another's.
#[tokio::test]
async fn an_id_that_another_took_during_an_outage_stays_its() {
    let etcd = Etcd::start();
    let proxy = Proxy::to(etcd.endpoint()).await;
    let direct = config(&etcd);
    let cut = config_at(proxy.endpoint());
    let one = member(&cut, "room", "same").await;
    one.table.shows(&["same"]).await;
    proxy.set(Way::Cut);
    eventually("its lease has run out", || keys(&etcd).is_empty()).await;
    let other = watching(&direct).await;
    let mut server = ServerInfo::new("room", "same", false);
    server.hostname = "other".to_owned();
    other.discovery.announce(server).await.expect("free");
    proxy.set(Way::Open);
    one.table.until("the other", |servers| servers["same"].hostname == "other").await;
    assert!(!one.discovery.is_connected(), "nobody sees it");
    other.discovery.withdraw().await;
    eventually("it is registered again", || one.discovery.is_connected()).await;
    assert_eq!(keys(&etcd), ["pitaya/servers/room/same"]);
}

#[tokio::test]
async fn another_member_of_etcd_takes_over() {
    let etcd = Etcd::start();
    let [first, second] = [Proxy::to(etcd.endpoint()).await, Proxy::to(etcd.endpoint()).await];
    let mut config = config_at(first.endpoint());
    config.cluster.sd.etcd.endpoints = vec!["127.0.0.1:1".to_owned(), first.endpoint(), second.endpoint()];
    config.cluster.sd.etcd.dialtimeout = Duration::from_secs(1);
    let one = member(&config, "room", "one").await;
    first.set(Way::Cut);
    let _two = member(&config, "room", "two").await;
    one.table.shows(&["one", "two"]).await;
    first.set(Way::Open);
    second.set(Way::Cut);
    let _three = member(&config, "room", "three").await;
    one.table.shows(&["one", "three", "two"]).await;
    assert!(one.table.lost().is_empty());
}

#[tokio::test]
async fn an_outage_is_told_once_and_its_end_once() {
    let log = ThreadLog::start(tracing::Level::INFO);
    let mut etcd = Etcd::start();
    let config = config(&etcd);
    for key in ["bad", "bad/er"] {
        let _ = etcd.ctl(&["put", &format!("pitaya/servers/room/{key}"), "{"]);
    }
    let one = member(&config, "room", "one").await;
    etcd.kill();
    eventually("the outage is noticed", || !one.discovery.is_connected()).await;
    // Many tries fail meanwhile.
    tokio::time::sleep(TTL).await;
    etcd.run();
    eventually("it is over", || one.discovery.is_connected()).await;
    one.table.shows(&["one"]).await;
    let text = log.text();
    let count = |what: &str| text.matches(what).count();
    assert_eq!((count("etcd is away, the servers known so far stay known: "), count("etcd is back after ")), (1, 1));
    assert_eq!(count("WARN"), 3, "the outage and two records: {text}");
    let (_, since) = text.split_once("etcd is away").expect("it is told");
    assert_eq!(since.matches("INFO").count(), 1, "its end, and no try before it: {text}");
    assert_eq!(count("a record in etcd is left out"), 2, "once for each key: {text}");
}
