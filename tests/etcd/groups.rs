//! Groups that all servers see.

use crate::discovery::put_all;
use crate::suite;
use crate::support::keys;
use pitaya_runtime::cluster::groups::IfMissing;
use pitaya_runtime::cluster::{EtcdGroups, GroupError, GroupStore, Holder};
use pitaya_runtime::config::Config;
use pitaya_tests::etcd::Etcd;
use std::sync::Arc;
use std::time::Duration;

fn groups(etcd: &Etcd) -> EtcdGroups {
    let mut config = Config::default();
    config.groups.etcd.endpoints = vec![etcd.endpoint()];
    EtcdGroups::new(&config.groups.etcd).expect("valid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_keep_their_contract() {
    let etcd = Etcd::start();
    // etcd looks at leases twice a second, and is not exact.
    suite::check(&groups(&etcd).indexed_by_user(), Duration::from_secs(2)).await;
    // When all holders are gone, so is all that was listed for them; also of groups that were deleted before.
    let groups = groups(&etcd).indexed_by_user();
    for (frontend, epoch) in groups.frontends().await.expect("etcd answers") {
        groups.forget_frontend(&frontend, epoch).await.expect("etcd answers");
    }
    assert!(!keys(&etcd).iter().any(|key| key.starts_with("pitaya/groupsessions/")));
    assert_eq!(groups.frontends().await, Ok(Vec::new()));
    for uid in (0..12).map(|n| format!("c{n}")) {
        let held = groups.user_memberships(&uid).await.expect("etcd answers");
        groups.release_user(&uid, &held).await.expect("etcd answers");
        assert_eq!(groups.user_memberships(&uid).await, Ok(Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_keep_their_contract_from_many_tasks() {
    let etcd = Etcd::start();
    suite::check_races(Arc::new(groups(&etcd))).await;
    suite::check_sessions_race(Arc::new(groups(&etcd))).await;
}

/// The keys that a Go server reads and writes.
#[tokio::test]
async fn groups_have_gos_keys() {
    let etcd = Etcd::start();
    let groups = groups(&etcd);
    groups.create_with_ttl("lobby", Duration::from_secs(60)).await.expect("new");
    groups.add_member("lobby", "ann").await.expect("new");
    assert_eq!(keys(&etcd), ["pitaya/groups/lobby", "pitaya/groups/lobby/uids/ann"]);
    let leases = etcd.ctl(&["get", "--prefix", "", "-w", "json"]);
    let leases: serde_json::Value = serde_json::from_str(&leases).expect("JSON");
    assert_eq!(leases["kvs"][0]["lease"], leases["kvs"][1]["lease"], "they end together");
    let _ = etcd.ctl(&["put", "pitaya/groups/lobby/uids/bob", ""]);
    let mut members = groups.members("lobby").await.expect("there");
    members.sort();
    assert_eq!(members, ["ann".into(), "bob".into()] as [Arc<str>; 2]);
}

/// What a Go server writes and reads stays as it was: the value of a member says who holds it.
#[tokio::test]
async fn sessions_hold_members_in_the_value_of_gos_keys() {
    let etcd = Etcd::start();
    let groups = groups(&etcd);
    let holder = |session| Holder { frontend: "front".into(), epoch: 255, session };
    groups.create_with_ttl("lobby", Duration::from_secs(60)).await.expect("new");
    // Added by a Go server, and joined by two sessions after that.
    let _ = etcd.ctl(&["put", "pitaya/groups/lobby/uids/ann", ""]);
    assert_eq!(groups.join("lobby", "ann", &holder(1), IfMissing::Fail).await, Ok(false));
    assert_eq!(groups.join("lobby", "bob", &holder(2), IfMissing::Fail).await, Ok(true));
    assert_eq!(
        keys(&etcd),
        [
            "pitaya/groupfrontends/front/ff",
            "pitaya/groups/lobby",
            "pitaya/groups/lobby/uids/ann",
            "pitaya/groups/lobby/uids/bob",
            "pitaya/groupsessions/front/ff/1/lobby/uids/ann",
            "pitaya/groupsessions/front/ff/2/lobby/uids/bob",
        ]
    );
    let value = |uid: &str| etcd.ctl(&["get", &format!("pitaya/groups/lobby/uids/{uid}"), "--print-value-only"]);
    assert_eq!(value("ann").trim(), r#"{"user":true,"sessions":[{"f":"front","e":255,"s":1}]}"#);
    assert_eq!(value("bob").trim(), r#"{"sessions":[{"f":"front","e":255,"s":2}]}"#);
    assert_eq!(groups.leave(&["lobby".into()], "ann", &holder(1)).await, Ok(Vec::new()));
    assert_eq!(value("ann").trim(), "", "as Go wrote it");
    assert_eq!(groups.leave(&["lobby".into()], "bob", &holder(2)).await, Ok(vec!["lobby".into()]));
    // All of it ends with the group's lease.
    groups.join("lobby", "cid", &holder(3), IfMissing::Fail).await.expect("there");
    let leases = etcd.ctl(&["lease", "list"]);
    let _ = etcd.ctl(&["lease", "revoke", leases.lines().last().expect("a lease")]);
    assert_eq!(keys(&etcd), ["pitaya/groupfrontends/front/ff"]);
    assert_eq!(groups.leave(&["lobby".into()], "cid", &holder(3)).await, Ok(Vec::new()));
}

/// What is listed for the holders of memberships goes with these, however they end.
#[tokio::test]
async fn a_membership_that_was_taken_leaves_no_entry() {
    let etcd = Etcd::start();
    let groups = groups(&etcd).indexed_by_user();
    let holder = |session| Holder { frontend: "front".into(), epoch: 255, session };
    for way in ["delete", "remove_all", "remove_member", "remove_everywhere"] {
        groups.create("match").await.expect("new");
        // More than one transaction takes.
        let members = if way.starts_with("remove_m") || way.ends_with("where") { 1 } else { 70 };
        for n in 0..members {
            groups.add_member("match", &format!("u{n}")).await.expect("new");
            groups.join("match", &format!("u{n}"), &holder(n), IfMissing::Fail).await.expect("there");
        }
        match way {
            "delete" => groups.delete("match").await.expect("there"),
            "remove_all" => groups.remove_all("match").await.expect("there"),
            "remove_member" => groups.remove_member("match", "u0").await.expect("there"),
            _ => drop(groups.remove_everywhere("u0").await.expect("there")),
        }
        let left: Vec<_> = keys(&etcd).into_iter().filter(|key| key != "pitaya/groups/match").collect();
        assert_eq!(left, ["pitaya/groupfrontends/front/ff"], "{way}");
        let _ = groups.delete("match").await;
    }
}

#[tokio::test]
async fn a_lease_that_is_not_needed_is_given_back() {
    let etcd = Etcd::start();
    let groups = groups(&etcd);
    groups.create("lobby").await.expect("new");
    let again = groups.create_with_ttl("lobby", Duration::from_secs(60)).await;
    assert_eq!(again, Err(GroupError::AlreadyExists));
    assert_eq!(etcd.ctl(&["lease", "list"]).trim(), "found 0 leases");
}

#[tokio::test]
async fn a_uid_leaves_hundreds_of_groups_among_thousands_of_keys() {
    let etcd = Etcd::start();
    let groups = groups(&etcd);
    let key = |n: usize, rest: &str| (format!("pitaya/groups/g{n}{rest}"), String::new());
    let records = (0..700).flat_map(|n| [key(n, ""), key(n, "/uids/stays"), key(n, "/uids/leaves")]);
    put_all(&etcd, &records.take(3 * 250 + 2 * 450).collect::<Vec<_>>());
    let start = std::time::Instant::now();
    let left = groups.remove_everywhere("leaves").await.expect("etcd answers").len();
    println!("left {left} groups in {:?}", start.elapsed());
    assert_eq!(left, 550);
    assert_eq!(groups.list().await.expect("etcd answers").len(), 550);
    assert_eq!(groups.remove_everywhere("leaves").await, Ok(Vec::new()));
    assert_eq!(groups.members("g7").await, Ok(vec!["stays".into()]));
}

/// What the end of a session costs where 64,000 others are members: its own groups, and not what there is. The figures of
/// `docs/groups.md`.
#[tokio::test]
async fn the_end_of_a_session_costs_what_it_joined() {
    let etcd = Etcd::start();
    let groups = groups(&etcd).indexed_by_user();
    let key = |n: usize| (format!("pitaya/groups/g{}/uids/u{n}", n % 640), String::new());
    let members = if std::env::var_os("TESTS_LONG").is_some() { 64_000 } else { 6_400 };
    put_all(&etcd, &(0..640).map(|n| (format!("pitaya/groups/g{n}"), String::new())).collect::<Vec<_>>());
    put_all(&etcd, &(0..members).map(key).collect::<Vec<_>>());
    let holder = Holder { frontend: "front".into(), epoch: 1, session: 1 };
    let mine: Vec<Arc<str>> = vec!["g1".into(), "g2".into(), "g3".into()];
    let (mut join, mut session, mut user, mut listing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..9 {
        let now = std::time::Instant::now();
        for group in &mine {
            groups.join(group, "ann", &holder, IfMissing::Fail).await.expect("joined");
        }
        join.push(now.elapsed() / 3);
        let now = std::time::Instant::now();
        assert_eq!(groups.leave(&mine, "ann", &holder).await.expect("etcd answers").len(), 3);
        session.push(now.elapsed());
        for group in &mine {
            groups.add_member(group, "ann").await.expect("added");
        }
        let now = std::time::Instant::now();
        let held = groups.user_memberships("ann").await.expect("etcd answers");
        assert_eq!(groups.release_user("ann", &held).await.expect("etcd answers").len(), 3);
        user.push(now.elapsed());
        for group in &mine {
            groups.add_member(group, "ann").await.expect("added");
        }
        let now = std::time::Instant::now();
        assert_eq!(groups.remove_everywhere("ann").await.expect("etcd answers").len(), 3);
        listing.push(now.elapsed());
    }
    let [join, session, user, listing] = [join, session, user, listing].map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!(
        "{members} members, a uid in 3 groups, medians: a join {join:?}; a session's end {session:?}, a user's {user:?}; by listing all keys {listing:?}"
    );
    assert!(session < listing / 10 && user < listing / 10, "it goes with what there is");
}

#[tokio::test]
async fn nobody_there_is_told() {
    let mut config = Config::default();
    config.groups.etcd.endpoints = vec!["127.0.0.1:1".to_owned()];
    let groups = EtcdGroups::new(&config.groups.etcd).expect("valid");
    let error = groups.create("lobby").await.expect_err("nobody listens");
    assert!(matches!(&error, GroupError::Unavailable(text) if text.contains("127.0.0.1:1")), "{error}");
}
