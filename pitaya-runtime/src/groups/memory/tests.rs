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

#[tokio::test]
async fn groups_members_and_memberships_have_limits() {
    let config = config::MemoryGroups { total: 2, pergroup: 2, peruid: 1, ..config::MemoryGroups::default() };
    let store = MemoryGroups::with_limits(&config);
    let holder = Holder { frontend: "f".into(), epoch: 1, session: 1 };
    store.create("a").await.unwrap();
    store.add_member("a", "zoe").await.unwrap();
    store.add_member("a", "max").await.unwrap();
    assert_eq!(store.add_member("a", "ann").await, Err(GroupError::GroupFull(2)));
    assert_eq!(store.join("a", "ann", &holder, IfMissing::Fail).await, Err(GroupError::GroupFull(2)));
    // Who is a member is one, however full it is.
    assert_eq!(store.join("a", "zoe", &holder, IfMissing::Fail).await, Ok(false));
    assert_eq!(store.add_member("a", "max").await, Err(GroupError::MemberAlreadyExists));

    // A group that was made for a member goes when that one is refused.
    assert_eq!(store.join("b", "zoe", &holder, IfMissing::Create).await, Err(GroupError::UidFull(1)));
    assert_eq!(held(&store), (1, 2));
    store.create("b").await.unwrap();
    assert_eq!(store.add_member("b", "zoe").await, Err(GroupError::UidFull(1)));
    assert_eq!(store.create("c").await, Err(GroupError::StoreFull(2)));
    assert_eq!(store.create("b").await, Err(GroupError::AlreadyExists));
    assert_eq!(store.join("c", "ann", &holder, IfMissing::Create).await, Err(GroupError::StoreFull(2)));

    // What is given back can be had again.
    store.remove_member("a", "zoe").await.unwrap();
    store.add_member("b", "zoe").await.unwrap();
    store.delete("a").await.unwrap();
    store.create("c").await.unwrap();

    let none = config::MemoryGroups { total: 0, pergroup: 0, peruid: 0, ..config };
    let store = MemoryGroups::with_limits(&none);
    store.create("a").await.unwrap();
    store.add_member("a", "zoe").await.unwrap();
}
