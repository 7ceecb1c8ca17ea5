//! An etcd that wants to know who comes.

use crate::support::{config, member, watching};
use pitaya_runtime::cluster::{Discovery, DiscoveryError, EtcdDiscovery, EtcdGroups, GroupError, GroupStore};
use pitaya_runtime::config::{Config, Secret};
use pitaya_tests::etcd::Etcd;
use std::sync::Arc;

const ROOT: [&str; 2] = ["--user", "root:secret"];

fn with_login(etcd: &Etcd, pass: &str) -> Config {
    let mut config = config(etcd);
    let (discovery, groups) = (&mut config.cluster.sd.etcd, &mut config.groups.etcd);
    groups.endpoints.clone_from(&discovery.endpoints);
    for (user, secret) in [(&mut discovery.user, &mut discovery.pass), (&mut groups.user, &mut groups.pass)] {
        *user = "pitaya".to_owned();
        *secret = Secret::new(pass);
    }
    config
}

fn want_logins(etcd: &Etcd) {
    for args in [
        &["user", "add", "root:secret"][..],
        &["user", "add", "pitaya:word"],
        &["role", "add", "pitaya"],
        &["role", "grant-permission", "pitaya", "--prefix=true", "readwrite", "pitaya/"],
        &["user", "grant-role", "pitaya", "pitaya"],
        &["auth", "enable"],
    ] {
        let _ = etcd.ctl(args);
    }
}

#[tokio::test]
async fn servers_log_in_and_log_in_again() {
    let mut etcd = Etcd::start();
    let config = with_login(&etcd, "word");
    // Before logins are wanted, they do no harm.
    let one = member(&config, "room", "one").await;
    want_logins(&etcd);
    let two = member(&config, "room", "two").await;
    for member in [&one, &two] {
        member.table.shows(&["one", "two"]).await;
    }
    let groups = EtcdGroups::new(&config.groups.etcd).expect("valid");
    groups.create("lobby").await.expect("allowed");
    two.discovery.withdraw().await;
    one.table.shows(&["one"]).await;
    // A restarted etcd has forgotten all tokens.
    etcd.restart();
    // The first call may still find the connection that broke.
    let _ = groups.add_member("lobby", "zoe").await;
    let again = groups.add_member("lobby", "zoe").await;
    assert!(matches!(again, Ok(()) | Err(GroupError::MemberAlreadyExists)), "{again:?}");
    let three = member(&config, "room", "three").await;
    for member in [&one, &two, &three] {
        member.table.shows(&["one", "three"]).await;
    }
    let _ = etcd.ctl(&[&ROOT[..], &["auth", "disable"]].concat());
    let _four = member(&config, "room", "four").await;
    one.table.shows(&["four", "one", "three"]).await;
    assert_eq!(one.table.lost(), ["two"]);
}

#[tokio::test]
async fn who_may_not_come_in_is_told_why_at_once() {
    let etcd = Etcd::start();
    want_logins(&etcd);
    let refused = async |config: &Config| {
        let discovery = EtcdDiscovery::new(&config.cluster.sd.etcd).expect("valid");
        match discovery.watch(Arc::new(crate::support::Table::default())).await {
            Err(DiscoveryError::Unavailable(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    let mut tries_once = config(&etcd);
    tries_once.cluster.sd.etcd.grantlease.maxretries = 0;
    let text = refused(&tries_once).await;
    assert!(text.contains("set `user` and `pass`"), "{text}");
    // A wrong password is not tried again.
    let text = refused(&with_login(&etcd, "wrong")).await;
    assert!(text.contains("invalid user ID or password"), "{text}");
    let mut elsewhere = with_login(&etcd, "word");
    elsewhere.cluster.sd.etcd.prefix = "elsewhere/".to_owned();
    let text = refused(&elsewhere).await;
    assert!(text.contains("permission denied"), "{text}");
    drop(watching(&with_login(&etcd, "word")).await);
}
