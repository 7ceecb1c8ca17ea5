//! Who is in a group, when sessions and servers come and go.

use crate::world::{SOON, World, connect, eventually, meet};
use pitaya_client::Client;
use pitaya_runtime::cluster::Holder;
use pitaya_runtime::cluster::groups::IfMissing;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// A component on frontends, behind them, and on both.
struct Hall {
    gate: Semaphore,
    /// What joins came to that were late.
    late: mpsc::UnboundedSender<std::result::Result<bool, GroupError>>,
}

#[handler]
impl Hall {
    /// The session's membership.
    pub async fn enter(&self, session: &Session, groups: &Groups, uid: String) -> Result<bool> {
        if session.uid().is_none() {
            session.bind(&uid).await?;
        }
        Ok(groups.join_or_create("hall", session).await?)
    }

    pub async fn leave(&self, session: &Session, groups: &Groups) -> Result<bool> {
        Ok(groups.leave("hall", session).await?)
    }

    /// A match of its own.
    pub async fn play(&self, session: &Session, groups: &Groups, name: String) -> Result<bool> {
        if session.uid().is_none() {
            session.bind("ann").await?;
        }
        Ok(groups.join_or_create(&name, session).await?)
    }

    /// Ends it, in one way or another.
    pub async fn end(&self, session: &Session, groups: &Groups, (how, name): (String, String)) -> Result<()> {
        let uid = session.uid().unwrap_or_default();
        match &*how {
            "leave" => groups.leave(&name, session).await.map(drop)?,
            "delete" => groups.delete(&name).await?,
            _ => groups.remove_member(&name, &uid).await?,
        }
        Ok(())
    }

    /// The user's membership.
    pub async fn add(&self, session: &Session, groups: &Groups, uid: String) -> Result<bool> {
        session.bind(&uid).await?;
        match groups.create_transient("hall").await {
            Ok(()) | Err(GroupError::AlreadyExists) => {}
            Err(error) => return Err(error.into()),
        }
        match groups.add_member("hall", &uid).await {
            Ok(()) => Ok(true),
            Err(GroupError::MemberAlreadyExists) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Loads something for as long as the gate is closed, whatever happens to the client, and joins then.
    pub async fn load(&self, session: &Session, app: &App, hall: &Shared, uid: String) -> Result<()> {
        session.bind(&uid).await?;
        let (session, app, hall) = (session.clone(), app.clone(), hall.0.clone());
        tokio::spawn(async move {
            let _open = hall.gate.acquire().await;
            let joined = app.groups().join_or_create("hall", &session).await;
            let _ = hall.late.send(joined);
        });
        Ok(())
    }
}

/// The hall itself, for its handlers.
struct Shared(Arc<Hall>);

impl FromContext for Shared {
    fn from_context(cx: &Context) -> Result<&Self> {
        cx.state()
    }
}

type Late = mpsc::UnboundedReceiver<std::result::Result<bool, GroupError>>;

fn hall() -> (Arc<Hall>, Late) {
    let (late, told) = mpsc::unbounded_channel();
    (Arc::new(Hall { gate: Semaphore::new(0), late }), told)
}

fn with_hall(builder: Builder) -> Builder {
    with(&hall().0)(builder)
}

fn with(hall: &Arc<Hall>) -> impl FnOnce(Builder) -> Builder + use<> {
    let hall = hall.clone();
    move |builder| builder.shared_handlers(hall.clone()).state(Shared(hall))
}

async fn user(app: &App, route: &str, uid: &str) -> Client {
    let client = connect(app).await;
    client.request_json::<serde_json::Value>(route, uid).await.expect("an answer");
    client
}

async fn is_member(app: &App, uid: &str) -> bool {
    match app.groups().contains_member("hall", uid).await {
        Ok(there) => there,
        Err(GroupError::NotFound) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn until_gone(app: &App, uid: &str) {
    let end = tokio::time::Instant::now() + SOON;
    while is_member(app, uid).await {
        assert!(tokio::time::Instant::now() < end, "{uid} is a member still");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the group has ended with its last member.
async fn until_over(app: &App) {
    let end = tokio::time::Instant::now() + SOON;
    while app.groups().exists("hall").await.expect("the store answers") {
        assert!(tokio::time::Instant::now() < end, "the group is there still");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The old session hangs, or is replaced; the user is back at another frontend; then the old session ends.
async fn who_is_back_at_another_frontend_stays_until_the_last_session_ends(world: World) {
    for (round, route) in ["connector.hall.enter", "connector.hall.add"].into_iter().enumerate() {
        for unique in [true, false] {
            let start = async |id: &str| {
                let id = format!("{id}-{round}-{unique}");
                let one = |b| with_hall(world.shared_groups(b)).leave_groups_on_close();
                world.frontend("connector", &id, |b| one(b).configure(|c| c.session.unique = unique)).await
            };
            let (one, two) = (start("one").await, start("two").await);
            meet(&[&one, &two]).await;
            let first = user(&one, route, "ann").await;
            let second = user(&two, route, "ann").await;
            if unique {
                tokio::time::timeout(SOON, first.closed()).await.expect("replaced");
            }
            // It waits for what its sessions have to do at their end.
            one.shutdown().await;
            assert!(is_member(&two, "ann").await, "{route}, unique: {unique}");
            second.close().await;
            until_gone(&two, "ann").await;
            until_over(&two).await;
            two.shutdown().await;
        }
    }
}

async fn who_leaves_while_a_handler_works_is_no_member_afterwards(world: World) {
    let (hall, mut late) = hall();
    let front = world.frontend("connector", "front", |b| with(&hall)(world.shared_groups(b))).await;
    let back = world.backend("room", "back", |b| with(&hall)(world.shared_groups(b))).await;
    let own = world.backend("lobby", "own", with(&hall)).await;
    meet(&[&front, &back, &own]).await;
    for (route, app) in [("connector.hall.load", &front), ("room.hall.load", &back), ("lobby.hall.load", &own)] {
        let ann = user(&front, route, "ann").await;
        ann.close().await;
        eventually("its session ends", || front.sessions().count() == 0).await;
        hall.gate.add_permits(1);
        let joined = tokio::time::timeout(SOON, late.recv()).await.expect("in time");
        assert_eq!(joined, Some(Err(GroupError::SessionEnded)), "{route}");
        hall.gate.acquire().await.expect("open").forget();
        assert!(!is_member(app, "ann").await, "{route}");
    }
}

/// A backend joins sessions to groups that its frontends share, and to groups of its own that they know nothing of.
async fn sessions_at_a_frontend_are_members_at_a_backend_until_they_leave_or_end(world: World) {
    let front = world.frontend("connector", "front", |b| with_hall(world.shared_groups(b))).await;
    let plain = world.frontend("connector", "plain", with_hall).await;
    let back = world.backend("room", "back", |b| with_hall(world.shared_groups(b))).await;
    let own = world.backend("lobby", "own", with_hall).await;
    meet(&[&front, &plain, &back, &own]).await;
    for (kind, app) in [("room", &back), ("lobby", &own)] {
        for front in [&front, &plain] {
            let ann = user(front, &format!("{kind}.hall.enter"), "ann").await;
            let bob = user(front, &format!("{kind}.hall.enter"), "bob").await;
            let again = ann.request_json::<bool>(&format!("{kind}.hall.enter"), "ann").await;
            assert!(!again.expect("again is fine"));
            let mut heard = ann.on("onHall");
            app.groups().at("connector").broadcast("hall", "onHall", &1).await.expect("both are reached");
            heard.recv().await.expect("open");
            let leave = format!("{kind}.hall.leave");
            assert!(ann.request_json::<bool>(&leave, &()).await.expect("left"));
            assert!(!is_member(app, "ann").await && is_member(app, "bob").await);
            assert!(!ann.request_json::<bool>(&leave, &()).await.expect("again is fine"));
            ann.request_json::<bool>(&format!("{kind}.hall.enter"), "ann").await.expect("back");
            ann.close().await;
            until_gone(app, "ann").await;
            assert!(is_member(app, "bob").await);
            bob.close().await;
            until_gone(app, "bob").await;
            until_over(app).await;
        }
    }
}

/// The server that wrote the membership is gone when the session ends.
async fn another_server_with_the_same_groups_takes_out_who_has_left(world: World) {
    let front = world.frontend("connector", "front", |b| with_hall(world.shared_groups(b))).await;
    let plain = world.frontend("gate", "plain", with_hall).await;
    let first = world.backend("room", "first", |b| with_hall(world.shared_groups(b))).await;
    meet(&[&front, &plain, &first]).await;
    let ann = user(&front, "room.hall.enter", "ann").await;
    let bob = user(&plain, "room.hall.enter", "bob").await;
    first.shutdown().await;
    eventually("it is gone", || front.servers().get("first").is_none() && plain.servers().get("first").is_none()).await;
    // This frontend has the same groups itself.
    ann.close().await;
    until_gone(&front, "ann").await;
    // This one has not, and nobody of the type is there when the session ends.
    bob.close().await;
    eventually("its session ends", || plain.sessions().count() == 0).await;
    assert!(is_member(&front, "bob").await);
    let _second = world.backend("room", "second", |b| with_hall(world.shared_groups(b))).await;
    until_gone(&front, "bob").await;
}

/// Sessions of a frontend that died, and of one that has started again under its id.
async fn sessions_of_a_frontend_that_is_gone_are_swept(world: World) {
    let soon = |b: Builder| with_hall(b).configure(|c| c.cluster.sd.etcd.heartbeat.ttl = Duration::from_secs(2));
    let front = world.frontend("connector", "front", |b| soon(world.shared_groups(b))).await;
    let groups = world.store();
    for (uid, frontend) in [("dead", "ghost"), ("before", "front")] {
        let holder = Holder { frontend: frontend.into(), epoch: 1, session: 1 };
        groups.join("hall", uid, &holder, IfMissing::Create).await.expect("joined");
    }
    let ann = user(&front, "connector.hall.enter", "ann").await;
    until_gone(&front, "dead").await;
    until_gone(&front, "before").await;
    assert!(is_member(&front, "ann").await);
    drop(ann);
}

/// Memberships that have ended do not count, wherever they began and ended.
async fn a_long_session_plays_any_number_of_matches(world: World) {
    let few = |b: Builder| with_hall(b).configure(|c| c.groups.persession = 3);
    let front = world.frontend("connector", "front", |b| few(world.shared_groups(b))).await;
    let room = world.backend("room", "room", |b| few(world.shared_groups(b))).await;
    let lobby = world.backend("lobby", "lobby", |b| few(world.shared_groups(b))).await;
    let own = world.backend("own", "own", few).await;
    meet(&[&front, &room, &lobby, &own]).await;
    let ann = connect(&front).await;
    let pairs =
        [("connector", "connector"), ("connector", "room"), ("room", "connector"), ("room", "lobby"), ("own", "own")];
    for (begins, ends) in pairs {
        for how in ["leave", "delete", "remove"] {
            for n in 0..5 {
                let name = format!("{begins}-{ends}-{how}-{n}");
                let joined = ann.request_json::<bool>(&format!("{begins}.hall.play"), &name).await;
                assert!(matches!(joined, Ok(true)), "{name}: {joined:?}");
                let ended = ann.request_json::<serde_json::Value>(&format!("{ends}.hall.end"), &(how, &name)).await;
                assert!(ended.is_ok(), "{name}: {ended:?}");
            }
        }
    }
    for (name, fits) in [("a", true), ("b", true), ("c", true), ("d", false)] {
        let joined = ann.request_json::<bool>("room.hall.play", name).await;
        assert_eq!(joined.is_ok(), fits, "{name}: {joined:?}");
    }
    ann.close().await;
    let end = tokio::time::Instant::now() + SOON;
    while !front.groups().list().await.expect("the store answers").is_empty() {
        assert!(tokio::time::Instant::now() < end, "groups are left");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

crate::world::in_every_world! {
    a_long_session_plays_any_number_of_matches,
    who_is_back_at_another_frontend_stays_until_the_last_session_ends,
    who_leaves_while_a_handler_works_is_no_member_afterwards,
    sessions_at_a_frontend_are_members_at_a_backend_until_they_leave_or_end,
    another_server_with_the_same_groups_takes_out_who_has_left,
    sessions_of_a_frontend_that_is_gone_are_swept,
}

/// A frontend that was paused for longer than its lease: others take its sessions for ended, and they are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_of_a_frontend_that_is_back_are_members_again() {
    let world = World::brokers();
    let soon = |b: Builder| with_hall(b).configure(|c| c.cluster.sd.etcd.heartbeat.ttl = Duration::from_secs(2));
    let front = world.frontend("connector", "front", |b| soon(world.shared_groups(b))).await;
    let back = world.backend("room", "back", |b| with_hall(world.shared_groups(b))).await;
    meet(&[&front, &back]).await;
    let (ann, bob) = (user(&front, "connector.hall.enter", "ann").await, user(&front, "room.hall.enter", "bob").await);
    ann.request_json::<bool>("connector.hall.play", "match").await.expect("joined");
    let groups = world.store();
    let known = groups.frontends().await.expect("etcd answers");
    let (_, epoch) = known.into_iter().find(|(id, _)| &**id == "front").expect("listed");
    // As another server does that has missed the frontend for long enough.
    assert_eq!(groups.forget_frontend("front", epoch).await, Ok(3));
    bob.close().await;
    let end = tokio::time::Instant::now() + SOON;
    while !is_member(&front, "ann").await || groups.contains_member("match", "ann").await != Ok(true) {
        assert!(tokio::time::Instant::now() < end, "ann is here and no member");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    until_gone(&front, "bob").await;
    assert_eq!(groups.lost("front", epoch).await, Ok(Vec::new()));
    ann.close().await;
    until_over(&front).await;
}

/// A frontend that lists no extension would not say when the session ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_frontend_that_reports_no_ends_is_named() {
    let mut world = World::brokers();
    let front = world.frontend("connector", "front", with_hall).await;
    let back = world.backend("room", "back", with_hall).await;
    meet(&[&front, &back]).await;
    let record = r#"{"id":"front","type":"connector","metadata":{"pitaya.lane":"1"},"frontend":true,"hostname":"vm"}"#;
    let _ = world.etcd().ctl(&["put", "pitaya/servers/connector/front", record]);
    let old = || back.servers().get("front").is_some_and(|front| !front.speaks("session-groups"));
    eventually("its record is that of an older server", old).await;
    let ann = connect(&front).await;
    let error = ann.request_json::<bool>("room.hall.enter", "ann").await.expect_err("nobody would take it out");
    // Which frontend, and what to do, is in the log alone.
    assert_eq!(error.to_string(), "PIT-500: the server failed");
    assert!(!is_member(&back, "ann").await);
}
