//! What every store of groups must do. The cases use groups of their own names, so one store serves them all.
//!
//! Time passes by `tokio::time::sleep`: in no time for a store on tokio's paused clock, really for one behind a wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pitaya_core::cluster::groups::{GroupError, GroupStore, MAX_NAME};
use tokio::time::sleep;

/// Long enough for a store that counts in whole seconds and grants two at least.
const TTL: Duration = Duration::from_secs(2);

/// Runs all cases. `lag` is how late the store may be in ending a group.
pub(crate) async fn check(store: &dyn GroupStore, lag: Duration) {
    a_group_is_made_once(store).await;
    names_are_checked(store).await;
    members_come_and_go(store).await;
    uids_are_checked(store).await;
    a_missing_group_is_the_same_error_everywhere(store).await;
    deleting_a_group_spares_others(store).await;
    emptying_a_group_keeps_it(store).await;
    who_leaves_everywhere_tells_which(store).await;
    groups_can_be_listed(store).await;
    names_within_names_stay_apart(store).await;
    only_a_time_to_live_can_be_renewed(store).await;
    // They mostly wait.
    tokio::join!(
        churn_agrees_with_a_model(store),
        a_group_ends_with_its_time(store, lag),
        renewing_begins_the_time_again(store, lag),
        emptying_does_not_renew(store, lag),
    );
}

/// Runs the case that needs several threads.
pub(crate) async fn check_races(store: Arc<dyn GroupStore>) {
    store.create("races").await.unwrap();
    let uids = 50;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut added = 0;
                for uid in 0..uids {
                    match store.add_member("races", &format!("race-{uid}")).await {
                        Ok(()) => added += 1,
                        Err(error) => assert_eq!(error, GroupError::MemberAlreadyExists),
                    }
                }
                added
            })
        })
        .collect();
    let mut added = 0;
    for task in tasks {
        added += task.await.unwrap();
    }
    assert_eq!(added, uids, "each uid is added by one task");
    assert_eq!(store.count_members("races").await.unwrap(), uids);
}

async fn members(store: &dyn GroupStore, group: &str) -> Vec<String> {
    let mut members: Vec<_> = store.members(group).await.unwrap().iter().map(|uid| uid.to_string()).collect();
    members.sort();
    members
}

async fn a_group_is_made_once(store: &dyn GroupStore) {
    store.create("once").await.unwrap();
    assert_eq!(store.create("once").await, Err(GroupError::AlreadyExists));
    assert_eq!(store.create_with_ttl("once", TTL).await, Err(GroupError::AlreadyExists));
    assert_eq!(store.exists("once").await, Ok(true));
    assert_eq!(store.count_members("once").await, Ok(0));
    store.delete("once").await.unwrap();
    assert_eq!(store.exists("once").await, Ok(false));
    store.create("once").await.unwrap();
}

async fn names_are_checked(store: &dyn GroupStore) {
    for bad in ["", &"n".repeat(MAX_NAME + 1), "names/uids/x"] {
        assert_eq!(store.create(bad).await, Err(GroupError::InvalidName), "{bad}");
        assert_eq!(store.create_with_ttl(bad, TTL).await, Err(GroupError::InvalidName), "{bad}");
        assert_eq!(store.exists(bad).await, Ok(false), "{bad}");
    }
    let longest = "n".repeat(MAX_NAME);
    store.create(&longest).await.unwrap();
    store.delete(&longest).await.unwrap();
}

async fn members_come_and_go(store: &dyn GroupStore) {
    store.create("members").await.unwrap();
    store.add_member("members", "zoe").await.unwrap();
    store.add_member("members", "max").await.unwrap();
    assert_eq!(store.add_member("members", "zoe").await, Err(GroupError::MemberAlreadyExists));
    assert_eq!(members(store, "members").await, ["max", "zoe"]);
    assert_eq!(store.count_members("members").await, Ok(2));
    assert_eq!(store.contains_member("members", "zoe").await, Ok(true));

    store.remove_member("members", "zoe").await.unwrap();
    assert_eq!(store.remove_member("members", "zoe").await, Err(GroupError::MemberNotFound));
    assert_eq!(store.contains_member("members", "zoe").await, Ok(false));
    assert_eq!(members(store, "members").await, ["max"]);
}

async fn uids_are_checked(store: &dyn GroupStore) {
    store.create("uids").await.unwrap();
    assert_eq!(store.add_member("uids", "").await, Err(GroupError::EmptyUid));
    assert_eq!(store.contains_member("uids", "").await, Err(GroupError::EmptyUid));
    assert_eq!(store.remove_member("uids", "").await, Err(GroupError::MemberNotFound));
    assert_eq!(store.add_member("uids", &"u".repeat(MAX_NAME + 1)).await, Err(GroupError::UidTooLong));
    for odd in ["a/b", "ü", "two words", &"u".repeat(MAX_NAME)] {
        store.add_member("uids", odd).await.unwrap();
        assert_eq!(store.contains_member("uids", odd).await, Ok(true), "{odd}");
    }
    assert_eq!(store.contains_member("uids", "a").await, Ok(false));
    assert_eq!(store.count_members("uids").await, Ok(4));
}

async fn a_missing_group_is_the_same_error_everywhere(store: &dyn GroupStore) {
    let missing = "missing";
    assert_eq!(store.delete(missing).await, Err(GroupError::NotFound));
    assert_eq!(store.renew_ttl(missing).await, Err(GroupError::NotFound));
    assert_eq!(store.add_member(missing, "zoe").await, Err(GroupError::NotFound));
    assert_eq!(store.remove_member(missing, "zoe").await, Err(GroupError::NotFound));
    assert_eq!(store.remove_all(missing).await, Err(GroupError::NotFound));
    assert_eq!(store.members(missing).await, Err(GroupError::NotFound));
    assert_eq!(store.contains_member(missing, "zoe").await, Err(GroupError::NotFound));
    assert_eq!(store.count_members(missing).await, Err(GroupError::NotFound));
    // The uid is looked at first, as in Go.
    assert_eq!(store.add_member(missing, "").await, Err(GroupError::EmptyUid));
}

async fn deleting_a_group_spares_others(store: &dyn GroupStore) {
    for group in ["delete", "delete-not"] {
        store.create(group).await.unwrap();
        store.add_member(group, "del").await.unwrap();
    }
    store.delete("delete").await.unwrap();
    assert_eq!(store.contains_member("delete", "del").await, Err(GroupError::NotFound));
    assert_eq!(store.contains_member("delete-not", "del").await, Ok(true));
    store.create("delete").await.unwrap();
    assert_eq!(store.count_members("delete").await, Ok(0));
}

async fn emptying_a_group_keeps_it(store: &dyn GroupStore) {
    for group in ["empty", "empty-not"] {
        store.create(group).await.unwrap();
        store.add_member(group, "e1").await.unwrap();
        store.add_member(group, "e2").await.unwrap();
    }
    store.remove_all("empty").await.unwrap();
    store.remove_all("empty").await.unwrap();
    assert_eq!(store.count_members("empty").await, Ok(0));
    assert_eq!(members(store, "empty-not").await, ["e1", "e2"]);
    store.add_member("empty", "e1").await.unwrap();
}

async fn who_leaves_everywhere_tells_which(store: &dyn GroupStore) {
    for group in ["left-1", "left-2", "left-3"] {
        store.create(group).await.unwrap();
        store.add_member(group, "stays").await.unwrap();
    }
    store.add_member("left-1", "leaves").await.unwrap();
    store.add_member("left-3", "leaves").await.unwrap();
    let mut left = store.remove_everywhere("leaves").await.unwrap();
    left.sort();
    assert_eq!(left, ["left-1".into(), "left-3".into()]);
    assert_eq!(store.remove_everywhere("leaves").await, Ok(Vec::new()));
    assert_eq!(store.remove_everywhere("never came").await, Ok(Vec::new()));
    for group in ["left-1", "left-2", "left-3"] {
        assert_eq!(members(store, group).await, ["stays"]);
    }
    store.add_member("left-1", "leaves").await.unwrap();
}

async fn groups_can_be_listed(store: &dyn GroupStore) {
    store.create("list-1").await.unwrap();
    store.create_with_ttl("list-2", 1000 * TTL).await.unwrap();
    store.create("list-3").await.unwrap();
    store.add_member("list-1", "list-uid").await.unwrap();
    store.delete("list-3").await.unwrap();
    let mut names = store.list().await.unwrap();
    names.retain(|name| name.starts_with("list-"));
    names.sort();
    assert_eq!(names, ["list-1".into(), "list-2".into()]);
}

async fn names_within_names_stay_apart(store: &dyn GroupStore) {
    for group in ["in", "in/side", "in/s"] {
        store.create(group).await.unwrap();
        store.add_member(group, &format!("member of {group}")).await.unwrap();
    }
    store.add_member("in", "side").await.unwrap();
    assert_eq!(members(store, "in").await, ["member of in", "side"]);
    store.delete("in/s").await.unwrap();
    assert_eq!(members(store, "in/side").await, ["member of in/side"]);
}

async fn a_group_ends_with_its_time(store: &dyn GroupStore, lag: Duration) {
    assert_eq!(store.create_with_ttl("ends", Duration::ZERO).await, Err(GroupError::ZeroTtl));
    assert_eq!(store.exists("ends").await, Ok(false));
    store.create_with_ttl("ends", TTL).await.unwrap();
    store.add_member("ends", "end").await.unwrap();
    sleep(TTL / 2).await;
    // Who joins later does not prolong it.
    store.add_member("ends", "late").await.unwrap();
    assert_eq!(store.count_members("ends").await, Ok(2));
    sleep(TTL / 2 + lag).await;

    assert_eq!(store.exists("ends").await, Ok(false));
    assert_eq!(store.members("ends").await, Err(GroupError::NotFound));
    assert_eq!(store.contains_member("ends", "end").await, Err(GroupError::NotFound));
    assert_eq!(store.count_members("ends").await, Err(GroupError::NotFound));
    assert_eq!(store.add_member("ends", "end").await, Err(GroupError::NotFound));
    assert_eq!(store.remove_member("ends", "end").await, Err(GroupError::NotFound));
    assert_eq!(store.remove_all("ends").await, Err(GroupError::NotFound));
    assert_eq!(store.renew_ttl("ends").await, Err(GroupError::NotFound));
    assert_eq!(store.delete("ends").await, Err(GroupError::NotFound));
    assert!(!store.list().await.unwrap().contains(&"ends".into()));
    assert_eq!(store.remove_everywhere("end").await, Ok(Vec::new()));

    store.create("ends").await.unwrap();
    assert_eq!(store.count_members("ends").await, Ok(0));
}

async fn renewing_begins_the_time_again(store: &dyn GroupStore, lag: Duration) {
    store.create_with_ttl("renewed", TTL).await.unwrap();
    store.add_member("renewed", "r").await.unwrap();
    for _ in 0..3 {
        sleep(TTL / 2).await;
        store.renew_ttl("renewed").await.unwrap();
    }
    sleep(TTL / 2).await;
    assert_eq!(store.contains_member("renewed", "r").await, Ok(true));
    sleep(TTL / 2 + lag).await;
    assert_eq!(store.exists("renewed").await, Ok(false));
}

async fn emptying_does_not_renew(store: &dyn GroupStore, lag: Duration) {
    store.create_with_ttl("emptied", TTL).await.unwrap();
    sleep(TTL / 2).await;
    store.remove_all("emptied").await.unwrap();
    sleep(TTL / 2 + lag).await;
    assert_eq!(store.exists("emptied").await, Ok(false));
}

async fn only_a_time_to_live_can_be_renewed(store: &dyn GroupStore) {
    store.create("endless").await.unwrap();
    assert!(matches!(store.renew_ttl("endless").await, Err(GroupError::TtlNotFound(_))));
}

/// Random operations against the plainest thing that could be right. The numbers come from a fixed seed.
async fn churn_agrees_with_a_model(store: &dyn GroupStore) {
    let mut model: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut state: u64 = 20_260_101;
    let mut roll = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    for _ in 0..3_000 {
        let (group, uid) = (format!("churn-{}", roll(6)), format!("c{}", roll(12)));
        let known = model.get_mut(&group);
        match roll(20) {
            0 => {
                let expected = if known.is_some() { Err(GroupError::AlreadyExists) } else { Ok(()) };
                assert_eq!(store.create(&group).await, expected);
                model.entry(group).or_default();
            }
            1 => {
                let expected = model.remove(&group).map(drop).ok_or(GroupError::NotFound);
                assert_eq!(store.delete(&group).await, expected);
            }
            2 => {
                let expected = known.map(BTreeSet::clear).ok_or(GroupError::NotFound);
                assert_eq!(store.remove_all(&group).await, expected);
            }
            3..=4 => {
                let mut left = store.remove_everywhere(&uid).await.unwrap();
                left.sort();
                let expected: Vec<Arc<str>> = model
                    .iter_mut()
                    .filter_map(|(name, uids)| uids.remove(&uid).then(|| name.as_str().into()))
                    .collect();
                assert_eq!(left, expected);
            }
            5..=9 => {
                let removed = known.map(|uids| uids.remove(&uid)).ok_or(GroupError::NotFound);
                let expected = removed.and_then(|done| if done { Ok(()) } else { Err(GroupError::MemberNotFound) });
                assert_eq!(store.remove_member(&group, &uid).await, expected);
            }
            _ => {
                let added = known.map(|uids| uids.insert(uid.clone())).ok_or(GroupError::NotFound);
                let expected = added.and_then(|new| if new { Ok(()) } else { Err(GroupError::MemberAlreadyExists) });
                assert_eq!(store.add_member(&group, &uid).await, expected);
            }
        }
    }
    let mut names = store.list().await.unwrap();
    names.retain(|name| name.starts_with("churn-"));
    names.sort();
    assert_eq!(names, model.keys().map(|name| name.as_str().into()).collect::<Vec<Arc<str>>>());
    for (group, uids) in &model {
        assert_eq!(members(store, group).await, uids.iter().cloned().collect::<Vec<_>>());
        assert_eq!(store.count_members(group).await, Ok(uids.len()));
    }
}
