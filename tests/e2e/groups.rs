//! Groups, as handlers use them.

use crate::raw::RawClient;
use crate::support::{SOON, connect, eventually, serve};
use pitaya_client::Client;
use pitaya_runtime::groups::BroadcastError;
use pitaya_runtime::prelude::*;
use pitaya_runtime::{PushError, session::Push};
use serde_json::{Value, json};
use std::fmt::Display;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

struct Club;

/// What an operation came to, as a text.
fn told<T: std::fmt::Debug, E: Display>(outcome: Result<T, E>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}

#[handler]
impl Club {
    pub async fn enter(&self, session: &Session, groups: &Groups, uid: String) -> Result<()> {
        session.bind(&uid).await?;
        groups.ensure("all").await?;
        groups.ensure("other").await?;
        groups.add_member("all", &uid).await?;
        Ok(groups.add_member("other", &uid).await?)
    }

    /// Who is here, for as long as it is.
    pub async fn join(&self, session: &Session, groups: &Groups, uid: String) -> Result<bool> {
        if session.uid().is_none() {
            session.bind(&uid).await?;
        }
        Ok(groups.join_or_create("room", session).await?)
    }

    pub async fn leave(&self, session: &Session, groups: &Groups) -> Result<bool> {
        Ok(groups.leave("room", session).await?)
    }

    /// Every operation and every error.
    pub async fn tour(&self, groups: &Groups) -> Vec<String> {
        vec![
            told(groups.create("a").await),
            told(groups.create("a").await),
            told(groups.ensure("a").await),
            told(groups.create("").await),
            told(groups.exists("a").await),
            told(groups.exists("b").await),
            told(groups.list().await),
            told(groups.add_member("a", "ann").await),
            told(groups.add_member("a", "ann").await),
            told(groups.add_member("a", "").await),
            told(groups.add_member("b", "ann").await),
            told(groups.members("a").await),
            told(groups.count_members("a").await),
            told(groups.count_members("b").await),
            told(groups.contains_member("a", "ann").await),
            told(groups.contains_member("a", "bob").await),
            told(groups.remove_member("a", "bob").await),
            told(groups.remove_member("a", "ann").await),
            told(groups.add_member("a", "bob").await),
            told(groups.remove_everywhere("bob").await),
            told(groups.add_member("a", "cid").await),
            told(groups.remove_all("a").await),
            told(groups.count_members("a").await),
            told(groups.renew_ttl("a").await),
            told(groups.delete("a").await),
            told(groups.delete("a").await),
            told(groups.create_with_ttl("t", Duration::ZERO).await),
        ]
    }

    pub async fn shout(&self, groups: &Groups, text: String) -> Result<()> {
        Ok(groups.broadcast("all", "onShout", &text).await?)
    }

    pub async fn shout_nowhere(&self, groups: &Groups) -> Result<()> {
        Ok(groups.broadcast("nowhere", "onShout", &1).await?)
    }
}

async fn enter(app: &App, uid: &str) -> Client {
    let client = connect(app).await;
    client.request_json::<Value>("game.club.enter", uid).await.expect("entered");
    client
}

#[tokio::test]
async fn every_operation_is_at_hand_in_handlers() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let told: Vec<String> = connect(&app).await.request_json("game.club.tour", &()).await.expect("an answer");
    let name = "a group's name must have 1 to 255 bytes and no later part `uids` between its slashes";
    let ttl = "the time to live of a group must be longer than zero; a group without one is made by `create`";
    let expected = [
        "()",
        "group already exists",
        "()",
        name,
        "true",
        "false",
        r#"["a"]"#,
        "()",
        "member already exists in group",
        "empty uid",
        "group not found",
        r#"["ann"]"#,
        "1",
        "group not found",
        "true",
        "false",
        "member not found in the group",
        "()",
        "()",
        r#"["a"]"#,
        "()",
        "()",
        "0",
        "memory group TTL not found",
        "()",
        "group not found",
        ttl,
    ];
    assert_eq!(told, expected);
}

async fn join(app: &App, uid: &str) -> Client {
    let client = connect(app).await;
    assert!(client.request_json::<bool>("game.club.join", uid).await.expect("joined"), "it was no member before");
    client
}

/// Waits until a group has these members and no others; `None`: until it is gone.
async fn until_members(app: &App, group: &str, expected: Option<&[&str]>) {
    let since = Instant::now();
    loop {
        let members = app.groups().members(group).await.ok();
        let mut members = members.map(|uids| uids.iter().map(|uid| uid.to_string()).collect::<Vec<_>>());
        members.iter_mut().for_each(|uids| uids.sort());
        if members.as_deref()
            == expected.map(|uids| uids.iter().map(|uid| uid.to_string()).collect::<Vec<_>>()).as_deref()
        {
            return;
        }
        assert!(since.elapsed() < SOON, "{group} has {members:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_session_is_a_member_until_it_leaves_or_ends() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let (ann, bob) = (join(&app, "ann").await, join(&app, "bob").await);
    assert!(!ann.request_json::<bool>("game.club.join", "ann").await.expect("again is fine"));
    until_members(&app, "room", Some(&["ann", "bob"])).await;
    assert!(ann.request_json::<bool>("game.club.leave", &()).await.expect("left"));
    assert!(!ann.request_json::<bool>("game.club.leave", &()).await.expect("again is fine"));
    until_members(&app, "room", Some(&["bob"])).await;
    assert!(ann.request_json::<bool>("game.club.join", "ann").await.expect("joined"));
    // However it ends: by the client, by a kick, by the server.
    bob.close().await;
    until_members(&app, "room", Some(&["ann"])).await;
    let _cid = join(&app, "cid").await;
    app.sessions().by_uid("ann").expect("here").kick().expect("open");
    until_members(&app, "room", Some(&["cid"])).await;
    app.shutdown().await;
    until_members(&app, "room", None).await;
}

/// The user of an ended session is a member by `add_member` still, and another session of it by its own `join`.
#[tokio::test]
async fn the_end_of_a_session_takes_away_what_it_held_and_nothing_else() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let (first, _bob) = (join(&app, "ann").await, join(&app, "bob").await);
    app.groups().add_member("room", "bob").await.expect("his, too");
    app.sessions().by_uid("bob").expect("here").close();
    // The same user again on the same server: the older session is replaced, and takes away its own membership only, before
    // or after the newer one has joined.
    let second = connect(&app).await;
    second.request_json::<bool>("game.club.join", "ann").await.expect("joined");
    timeout(SOON, first.closed()).await.expect("replaced");
    until_members(&app, "room", Some(&["ann", "bob"])).await;
    app.groups().leave("room", &app.sessions().by_uid("ann").expect("here")).await.expect("left");
    until_members(&app, "room", Some(&["bob"])).await;
    app.groups().remove_member("room", "bob").await.expect("there");
    until_members(&app, "room", None).await;
}

#[tokio::test]
async fn a_session_that_has_ended_joins_nothing() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let (ann, _bob) = (join(&app, "ann").await, join(&app, "bob").await);
    let session = app.sessions().by_uid("ann").expect("here");
    ann.close().await;
    timeout(SOON, session.closed()).await.expect("it ends");
    let late = app.groups().join("room", &session).await;
    assert_eq!(late, Err(GroupError::SessionEnded));
    until_members(&app, "room", Some(&["bob"])).await;
    // Joins that run while the session ends either fail, or are taken back.
    for round in 0..50 {
        let uid = format!("cid-{round}");
        let _cid = join(&app, &uid).await;
        let session = app.sessions().by_uid(&uid).expect("here");
        let (groups, joiner) = (app.groups().clone(), session.clone());
        let joins = tokio::spawn(async move {
            for group in 0..40 {
                let joined = groups.join_or_create(&format!("race-{round}-{group}"), &joiner).await;
                assert!(matches!(joined, Ok(true) | Err(GroupError::SessionEnded)), "{joined:?}");
            }
        });
        session.close();
        joins.await.expect("no panic");
        timeout(SOON, session.closed()).await.expect("it ends");
    }
    let since = Instant::now();
    while app.groups().list().await.expect("in memory").iter().any(|name| name.starts_with("race-")) {
        assert!(since.elapsed() < SOON, "{:?}", app.groups().list().await);
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_a_session_may_join_is_bounded_and_needs_a_uid() {
    let app = serve(Builder::new("game").handlers(Club).configure(|c| c.groups.persession = 2)).await;
    let nobody = connect(&app).await;
    nobody.request_json::<Value>("game.club.tour", &()).await.expect("an answer");
    let session = app.sessions().get(1).expect("here");
    assert_eq!(app.groups().join("room", &session).await, Err(GroupError::NotBound));
    let _ann = join(&app, "ann").await;
    let session = app.sessions().by_uid("ann").expect("here");
    let groups = app.groups();
    assert_eq!(groups.join("nowhere", &session).await, Err(GroupError::NotFound), "and is not counted");
    assert_eq!(groups.join_or_create("two", &session).await, Ok(true));
    assert_eq!(groups.join_or_create("two", &session).await, Ok(false));
    assert_eq!(groups.join_or_create("three", &session).await, Err(GroupError::TooManyGroups(2)));
    assert_eq!(groups.exists("three").await, Ok(false));
    assert_eq!(groups.leave("two", &session).await, Ok(true));
    assert_eq!(groups.join_or_create("three", &session).await, Ok(true));
}

/// Memberships that have ended count no longer, whatever ended them.
#[tokio::test]
async fn a_long_session_joins_any_number_of_groups_one_after_the_other() {
    let app = serve(Builder::new("game").handlers(Club).configure(|c| c.groups.persession = 3)).await;
    let _ann = join(&app, "ann").await;
    let (groups, session) = (app.groups(), app.sessions().by_uid("ann").expect("here"));
    for n in 0..20 {
        let group = format!("match-{n}");
        assert_eq!(groups.join_or_create(&group, &session).await, Ok(true), "{n}");
        match n % 4 {
            0 => groups.delete(&group).await.expect("there"),
            1 => groups.remove_member(&group, "ann").await.expect("there"),
            2 => groups.remove_all(&group).await.expect("there"),
            _ => drop(groups.leave(&group, &session).await.expect("there")),
        }
    }
    assert!(groups.contains_member("room", "ann").await.expect("there"), "what it has joined before stays");
    // The limit holds.
    for (group, joined) in [("a", Ok(true)), ("b", Ok(true)), ("c", Err(GroupError::TooManyGroups(3)))] {
        assert_eq!(groups.join_or_create(group, &session).await, joined, "{group}");
    }
    session.close();
    until_members(&app, "room", None).await;
    until_members(&app, "b", None).await;
}

/// Counts what its hook saw of the group.
struct Door(tokio::sync::mpsc::UnboundedSender<bool>, std::sync::Arc<tokio::sync::Semaphore>);

#[handler]
impl Door {
    #[on(session_closed)]
    async fn closed(&self, session: &Session, app: &App) -> Result<()> {
        tokio::task::yield_now().await;
        let uid = session.uid().unwrap_or_default();
        let _ = self.0.send(app.groups().contains_member("room", &uid).await?);
        let _ = self.1.acquire().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_hooks_see_the_groups_of_their_session() {
    let (sees, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let open = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    let app = serve(Builder::new("game").handlers(Club).handlers(Door(sees, open)).leave_groups_on_close()).await;
    let _bob = join(&app, "bob").await;
    for round in 0..40 {
        let uid = format!("ann-{round}");
        join(&app, &uid).await.close().await;
        assert_eq!(timeout(SOON, seen.recv()).await.expect("in time"), Some(true), "{round}");
    }
    until_members(&app, "room", Some(&["bob"])).await;
}

/// A hook that hangs does not keep its session in the groups.
#[tokio::test]
async fn close_hooks_that_hang_are_not_waited_for() {
    let (sees, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let shut = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let builder = Builder::new("game").handlers(Club).handlers(Door(sees, shut.clone()));
    let app = serve(builder.configure(|c| c.groups.hookwait = Duration::from_millis(50))).await;
    join(&app, "ann").await.close().await;
    assert_eq!(timeout(SOON, seen.recv()).await.expect("in time"), Some(true));
    until_members(&app, "room", None).await;
    shut.add_permits(1);
}

#[tokio::test]
async fn errors_of_groups_tell_players_what_they_may_know() {
    let codes = [
        (GroupError::NotFound, "PIT-000: group not found"),
        (
            GroupError::InvalidName,
            "PIT-400: a group's name must have 1 to 255 bytes and no later part `uids` between its slashes",
        ),
        (GroupError::TooManyGroups(100), "PIT-429: in too many groups already"),
        (GroupError::GroupFull(9), "PIT-429: the group is full"),
        (GroupError::SessionEnded, "PIT-499: the session has ended: it cannot join a group"),
        (GroupError::NotBound, "PIT-500: the server failed"),
        (GroupError::Unavailable("etcd at 127.0.0.1:2379".to_owned()), "PIT-503: groups are unavailable"),
    ];
    for (error, told) in codes {
        assert_eq!(Error::from(BroadcastError::from(error.clone())).to_string(), told);
        assert_eq!(Error::from(error).to_string(), told);
    }
    assert_eq!(Error::from(PushError::NoClients(Vec::new())).to_string(), "PIT-500: the server failed");
}

#[tokio::test]
async fn a_broadcast_reaches_each_member_once_and_nobody_else() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let outsider = connect(&app).await;
    let (ann, bob) = (enter(&app, "ann").await, enter(&app, "bob").await);
    let mut streams = [ann.pushes(), bob.pushes(), outsider.pushes()];
    for text in ["one", "two"] {
        ann.request_json::<Value>("game.club.shout", text).await.expect("all are reached");
    }
    app.push("onEnd", &1, &["ann", "bob"]).expect("here");
    app.sessions().get(1).expect("the outsider").push("onEnd", &1).expect("here");
    for (stream, expected) in streams.iter_mut().zip([&["one", "two"][..], &["one", "two"], &[]]) {
        for text in expected {
            let push = timeout(SOON, stream.recv()).await.expect("in time").expect("open");
            assert_eq!((&*push.route, push.json::<String>().expect("a text")), ("onShout", (*text).to_owned()));
        }
        assert_eq!(&*timeout(SOON, stream.recv()).await.expect("in time").expect("open").route, "onEnd");
    }
    let nowhere = ann.request_json::<Value>("game.club.shout_nowhere", &()).await.expect_err("no such group");
    assert_eq!(nowhere.to_string(), "PIT-000: group not found");
}

#[tokio::test]
async fn a_broadcast_names_whom_it_did_not_reach_and_a_filter_chooses() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let (ann, bob) = (enter(&app, "ann").await, enter(&app, "bob").await);
    app.groups().add_member("all", "cid").await.expect("added");
    let (mut anns, mut bobs) = (ann.pushes(), bob.pushes());
    match app.groups().broadcast("all", "onNews", &1).await {
        Err(BroadcastError::Push(PushError::Unreached(uids))) => assert_eq!(uids, ["cid"]),
        other => panic!("{other:?}"),
    }
    let push = Push::raw("onSecret", "x").expect("fits");
    app.groups().multicast("all", &push, |uid| uid == "bob").await.expect("reached");
    assert!(app.groups().multicast("all", &push, |uid| uid == "cid").await.is_err());
    app.push("onEnd", &1, &["ann", "bob"]).expect("here");
    for (stream, expected) in [(&mut anns, &["onNews", "onEnd"][..]), (&mut bobs, &["onNews", "onSecret", "onEnd"])] {
        for route in expected {
            assert_eq!(&*timeout(SOON, stream.recv()).await.expect("in time").expect("open").route, *route);
        }
    }
}

#[tokio::test]
async fn members_leave_with_their_session_where_the_app_wants_it() {
    let app = serve(Builder::new("game").handlers(Club).leave_groups_on_close()).await;
    let (ann, _bob) = (enter(&app, "ann").await, enter(&app, "bob").await);
    ann.close().await;
    for group in ["all", "other"] {
        let since = Instant::now();
        while app.groups().members(group).await.expect("there") != ["bob".into()] {
            assert!(since.elapsed() < SOON, "ann is still in {group}");
            sleep(Duration::from_millis(2)).await;
        }
    }
    let app = serve(Builder::new("game").handlers(Club)).await;
    enter(&app, "ann").await.close().await;
    eventually("she is gone", || app.sessions().count() == 0).await;
    app.shutdown().await;
    assert!(app.groups().contains_member("all", "ann").await.expect("there"));
}

/// The newer session's uid is still here when the older one goes.
#[tokio::test]
async fn a_replaced_session_does_not_take_its_uid_out_of_the_groups() {
    struct Lobby;
    #[handler]
    impl Lobby {
        pub async fn enter(&self, session: &Session, groups: &Groups, uid: String) -> Result<()> {
            session.bind(&uid).await?;
            groups.ensure("all").await?;
            match groups.contains_member("all", &uid).await? {
                true => Ok(()),
                false => Ok(groups.add_member("all", &uid).await?),
            }
        }
    }
    let app = serve(Builder::new("game").handlers(Lobby).leave_groups_on_close()).await;
    let (old, new) = (connect(&app).await, connect(&app).await);
    for client in [&old, &new] {
        client.request_json::<Value>("game.lobby.enter", "ann").await.expect("entered");
    }
    old.closed().await;
    eventually("the older one is closed", || app.counts().closed("replaced") == 1).await;
    // Everything that was to be done about it has been done when the app has stopped.
    assert!(app.groups().contains_member("all", "ann").await.expect("there"));
    let mut pushes = new.pushes();
    app.groups().broadcast("all", "onNews", &1).await.expect("reached");
    assert_eq!(&*timeout(SOON, pushes.recv()).await.expect("in time").expect("open").route, "onNews");
}

#[tokio::test]
async fn a_group_with_a_time_to_live_ends_unless_it_is_renewed() {
    let app = serve(Builder::new("game").handlers(Club)).await;
    let (groups, ttl) = (app.groups(), Duration::from_secs(1));
    groups.create_with_ttl("short", ttl).await.expect("made");
    groups.create_with_ttl("long", ttl).await.expect("made");
    let renewed = Instant::now();
    while renewed.elapsed() < ttl * 2 {
        groups.renew_ttl("long").await.expect("there");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!groups.exists("short").await.expect("known"));
    assert_eq!(told(groups.add_member("short", "ann").await), "group not found");
    assert!(groups.exists("long").await.expect("known"));
    sleep(ttl * 2).await;
    assert!(!groups.exists("long").await.expect("known"));
}

#[tokio::test]
async fn a_member_that_does_not_read_delays_nobody() {
    let app = serve(Builder::new("game").handlers(Club).configure(|config| {
        config.handler.messages.compression = false;
        config.limits.outbox = "256KiB".parse().expect("a size");
        // What is too much is too much at once, not when this is over.
        config.buffer.agent.conntimeout = SOON * 6;
    }))
    .await;
    let honest = enter(&app, "ann").await;
    let mut pushes = honest.pushes();
    let mut paused = RawClient::open(&app).await;
    assert_eq!(paused.ask(1, "game.club.enter", "\"bob\"").await, crate::raw::answer(1, "{}"));
    let text = "x".repeat(60_000);
    // More than the system buffers for both ends of a connection.
    for round in 0..1_000 {
        let begun = Instant::now();
        let unreached = app.groups().broadcast("all", "onText", &json!([round, text])).await.is_err();
        assert!(begun.elapsed() < SOON, "a broadcast waited");
        let push = timeout(SOON, pushes.recv()).await.expect("in time").expect("open");
        assert_eq!(push.json::<(u32, String)>().expect("a pair").0, round);
        if unreached {
            break;
        }
    }
    eventually("the paused one is closed", || app.counts().closed("slow_consumer") == 1).await;
    assert_eq!(app.sessions().count(), 1);
}
