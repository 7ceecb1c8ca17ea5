//! What every store of groups must do. The cases use groups of their own names, so one store serves them all.
//!
//! Time passes by `tokio::time::sleep`: in no time for a store on tokio's paused clock, really for one behind a wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pitaya_core::cluster::groups::{GroupError, GroupStore, Holder, IfMissing, MAX_HOLDERS, MAX_NAME};
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
    a_membership_lasts_as_long_as_anybody_holds_it(store).await;
    a_join_changes_nothing_when_it_fails(store).await;
    what_a_session_holds_can_be_asked(store).await;
    sessions_of_one_membership_are_bounded(store).await;
    a_transient_group_ends_with_its_last_member(store).await;
    a_user_lets_go_of_what_was_not_added_again(store).await;
    a_frontend_that_is_gone_is_forgotten(store).await;
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

/// Sessions of one uid that come, stay a moment and go, at the same time: afterwards nobody is left.
pub(crate) async fn check_sessions_race(store: Arc<dyn GroupStore>) {
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..25 {
                    let holder = holder("races", task * 100 + round);
                    store.join("sessions", "zoe", &holder, IfMissing::Create).await.unwrap();
                    assert!(store.contains_member("sessions", "zoe").await.unwrap());
                    store.leave(&["sessions".into()], "zoe", &holder).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.exists("sessions").await, Ok(false));
}

fn holder(frontend: &str, session: i64) -> Holder {
    Holder { frontend: frontend.into(), epoch: 7, session }
}

async fn leave(store: &dyn GroupStore, group: &str, uid: &str, holder: &Holder) -> bool {
    !store.leave(&[group.into()], uid, holder).await.unwrap().is_empty()
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

async fn a_membership_lasts_as_long_as_anybody_holds_it(store: &dyn GroupStore) {
    let (one, two) = (holder("front", 1), holder("front", 2));
    store.create("held").await.unwrap();
    let join = async |holder| store.join("held", "zoe", holder, IfMissing::Fail).await;
    assert_eq!(join(&one).await, Ok(true));
    assert_eq!(join(&one).await, Ok(false), "again is fine");
    assert_eq!(join(&two).await, Ok(false));
    assert!(!leave(store, "held", "zoe", &one).await);
    assert!(!leave(store, "held", "zoe", &one).await, "again is fine");
    assert_eq!(members(store, "held").await, ["zoe"]);
    assert!(leave(store, "held", "zoe", &two).await);
    assert_eq!(store.count_members("held").await, Ok(0));
    assert!(!leave(store, "nowhere", "zoe", &two).await);

    // The user first, then a session, and the other way round.
    store.add_member("held", "zoe").await.unwrap();
    assert_eq!(join(&one).await, Ok(false));
    assert!(!leave(store, "held", "zoe", &one).await);
    assert_eq!(store.contains_member("held", "zoe").await, Ok(true));
    store.remove_member("held", "zoe").await.unwrap();
    assert_eq!(join(&one).await, Ok(true));
    store.add_member("held", "zoe").await.unwrap();
    assert_eq!(store.add_member("held", "zoe").await, Err(GroupError::MemberAlreadyExists));
    assert!(!leave(store, "held", "zoe", &one).await);
    assert_eq!(store.contains_member("held", "zoe").await, Ok(true));

    // Removed is removed, whoever held it; the end of a session that joined before takes away nothing that came after.
    assert_eq!(join(&one).await, Ok(false));
    store.remove_member("held", "zoe").await.unwrap();
    assert_eq!(store.contains_member("held", "zoe").await, Ok(false));
    assert_eq!(join(&two).await, Ok(true));
    assert!(!leave(store, "held", "zoe", &one).await);
    assert_eq!(members(store, "held").await, ["zoe"]);
    store.remove_all("held").await.unwrap();
    assert!(!leave(store, "held", "zoe", &two).await);
    // Another start of the frontend has other sessions.
    assert_eq!(join(&one).await, Ok(true));
    assert!(!leave(store, "held", "zoe", &Holder { epoch: 8, ..one.clone() }).await);
    assert!(leave(store, "held", "zoe", &one).await);
}

async fn a_join_changes_nothing_when_it_fails(store: &dyn GroupStore) {
    let one = holder("front", 1);
    let join = async |group, uid, if_missing| store.join(group, uid, &one, if_missing).await;
    assert_eq!(join("joined-not", "zoe", IfMissing::Fail).await, Err(GroupError::NotFound));
    assert_eq!(join("joined-not/uids/x", "zoe", IfMissing::Create).await, Err(GroupError::InvalidName));
    assert_eq!(join("joined-not", "", IfMissing::Create).await, Err(GroupError::EmptyUid));
    assert_eq!(store.exists("joined-not").await, Ok(false));
}

async fn what_a_session_holds_can_be_asked(store: &dyn GroupStore) {
    let (one, two) = (holder("front", 1), holder("front", 2));
    let groups: Vec<Arc<str>> = (0..130).map(|n| format!("asked-{n}").into()).collect();
    assert_eq!(store.held(&groups, "zoe", &one).await, Ok(Vec::new()));
    for group in &groups {
        store.join(group, "zoe", &one, IfMissing::Create).await.unwrap();
    }
    store.join(&groups[1], "zoe", &two, IfMissing::Create).await.unwrap();
    assert_eq!(store.held(&groups, "zoe", &one).await.unwrap(), groups);
    assert_eq!(store.held(&groups, "zoe", &two).await.unwrap(), groups[1..2]);
    assert_eq!(store.held(&groups, "max", &one).await, Ok(Vec::new()));
    store.delete(&groups[0]).await.unwrap();
    store.remove_member(&groups[1], "zoe").await.unwrap();
    store.remove_all(&groups[2]).await.unwrap();
    store.add_member(&groups[3], "zoe").await.unwrap();
    leave(store, &groups[3], "zoe", &one).await;
    assert_eq!(store.held(&groups, "zoe", &one).await.unwrap(), groups[4..]);
    store.remove_everywhere("zoe").await.unwrap();
    assert_eq!(store.held(&groups, "zoe", &one).await, Ok(Vec::new()));
}

async fn sessions_of_one_membership_are_bounded(store: &dyn GroupStore) {
    store.create("crowd").await.unwrap();
    let most = i64::try_from(MAX_HOLDERS).unwrap();
    for session in 0..most {
        store.join("crowd", "zoe", &holder("front", session), IfMissing::Fail).await.unwrap();
    }
    let more = store.join("crowd", "zoe", &holder("front", most), IfMissing::Fail).await;
    assert_eq!(more, Err(GroupError::TooManySessions));
    store.delete("crowd").await.unwrap();
}

async fn a_transient_group_ends_with_its_last_member(store: &dyn GroupStore) {
    let (one, two) = (holder("front", 1), holder("front", 2));
    let exists = async || store.exists("transient").await.unwrap();
    store.create_transient("transient").await.unwrap();
    assert_eq!(store.create_transient("transient").await, Err(GroupError::AlreadyExists));
    store.join("transient", "zoe", &one, IfMissing::Create).await.unwrap();
    store.join("transient", "max", &two, IfMissing::Create).await.unwrap();
    assert!(leave(store, "transient", "zoe", &one).await && exists().await);
    assert!(leave(store, "transient", "max", &two).await && !exists().await);

    let join = async || store.join("transient", "zoe", &one, IfMissing::Create).await.unwrap();
    assert!(join().await);
    store.remove_member("transient", "zoe").await.unwrap();
    assert!(!exists().await && join().await);
    store.remove_all("transient").await.unwrap();
    assert!(!exists().await && join().await);
    assert_eq!(store.remove_everywhere("zoe").await, Ok(vec!["transient".into()]));
    assert!(!exists().await && join().await);
    store.add_member("transient", "zoe").await.unwrap();
    assert!(!leave(store, "transient", "zoe", &one).await && exists().await);
    store.release_user("zoe", &store.user_memberships("zoe").await.unwrap()).await.unwrap();
    assert!(!exists().await);
    // A group that somebody made stays.
    store.create("transient").await.unwrap();
    assert!(join().await);
    assert!(leave(store, "transient", "zoe", &one).await && exists().await);
    store.delete("transient").await.unwrap();
}

async fn a_user_lets_go_of_what_was_not_added_again(store: &dyn GroupStore) {
    let one = holder("front", 1);
    for group in ["user-1", "user-2", "user-3", "user-4"] {
        store.create(group).await.unwrap();
        store.add_member(group, "us/er").await.unwrap();
    }
    store.join("user-3", "us/er", &one, IfMissing::Fail).await.unwrap();
    store.create("user-5").await.unwrap();
    store.join("user-5", "us/er", &one, IfMissing::Fail).await.unwrap();
    let held = store.user_memberships("us/er").await.unwrap();
    let mut groups: Vec<_> = held.iter().map(|held| held.group.to_string()).collect();
    groups.sort();
    assert_eq!(groups, ["user-1", "user-2", "user-3", "user-4"], "what a session holds is not the user's");
    // In the meantime the user is back, and somebody removes him elsewhere.
    assert_eq!(store.add_member("user-2", "us/er").await, Err(GroupError::MemberAlreadyExists));
    store.remove_member("user-4", "us/er").await.unwrap();
    let left = store.release_user("us/er", &held).await.unwrap();
    assert_eq!(left, ["user-1".into()]);
    for (group, there) in [("user-1", false), ("user-2", true), ("user-3", true), ("user-5", true)] {
        assert_eq!(store.contains_member(group, "us/er").await, Ok(there), "{group}");
    }
    assert!(leave(store, "user-3", "us/er", &one).await);
    assert!(leave(store, "user-5", "us/er", &one).await);
    store.remove_everywhere("us/er").await.unwrap();
    assert_eq!(store.user_memberships("us/er").await, Ok(Vec::new()));
}

async fn a_frontend_that_is_gone_is_forgotten(store: &dyn GroupStore) {
    let (gone, stays) = (holder("gone", 1), holder("stays", 1));
    for group in ["forgotten-1", "forgotten-2", "forgotten-3"] {
        store.join(group, "zoe", &gone, IfMissing::Create).await.unwrap();
    }
    store.join("forgotten-2", "zoe", &stays, IfMissing::Fail).await.unwrap();
    store.add_member("forgotten-3", "zoe").await.unwrap();
    store.join("forgotten-1", "max", &holder("gone", 2), IfMissing::Fail).await.unwrap();
    let known = async |id: &str| store.frontends().await.unwrap().contains(&(id.into(), 7));
    assert!(known("gone").await && known("stays").await);
    assert_eq!(store.forget_frontend("gone", 7).await, Ok(4));
    assert!(!known("gone").await && known("stays").await);
    assert_eq!(store.exists("forgotten-1").await, Ok(false));
    assert_eq!(members(store, "forgotten-2").await, ["zoe"]);
    assert_eq!(members(store, "forgotten-3").await, ["zoe"]);
    assert_eq!(store.forget_frontend("gone", 7).await, Ok(0));
    store.delete("forgotten-2").await.unwrap();
    store.delete("forgotten-3").await.unwrap();
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
