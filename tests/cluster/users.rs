//! Users are reached by uid, wherever their session is.

use crate::game::Room;
use crate::world::{SOON, World, connect, eventually, meet};
use pitaya_client::Client;
use pitaya_core::cluster::envelope::{KickMsg, Push};
use pitaya_runtime::PushError;
use pitaya_runtime::prelude::*;
use prost::Message as _;
use std::time::Duration;

struct Lobby {
    one: App,
    two: App,
    back: App,
    world: World,
}

async fn lobby(world: World) -> Lobby {
    let one = world.frontend("connector", "one", |b| b.handlers(Room::default())).await;
    let two = world.frontend("connector", "two", |b| b.handlers(Room::default())).await;
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    meet(&[&one, &two, &back]).await;
    Lobby { one, two, back, world }
}

async fn user(app: &App, uid: &str) -> Client {
    let client = connect(app).await;
    client.request_raw("room.room.bind", uid.to_owned()).await.expect("bound");
    client
}

fn unreached(outcome: Result<(), PushError>) -> Vec<String> {
    match outcome {
        Ok(()) => vec![],
        Err(PushError::Unreached(uids)) => uids,
        Err(error) => panic!("{error}"),
    }
}

async fn pushes_reach_users_of_all_frontends_and_the_rest_is_named(world: World) {
    let l = lobby(world).await;
    let (ann, bob) = (user(&l.one, "ann").await, user(&l.two, "bob").await);
    let (mut to_ann, mut to_bob) = (ann.on("onTick"), bob.on("onTick"));
    for (n, app) in [&l.one, &l.two, &l.back].into_iter().enumerate() {
        let uids = ["ann", "nobody", "bob", "cid"];
        assert_eq!(unreached(app.users("connector").push("onTick", &n, &uids).await), ["nobody", "cid"]);
        for pushes in [&mut to_ann, &mut to_bob] {
            assert_eq!(pushes.recv().await.expect("open").json::<usize>().expect("a number"), n);
        }
    }
    assert_eq!(unreached(l.back.users("elsewhere").push("onTick", &1, &["ann"]).await), ["ann"]);
    assert!(l.back.users("connector").push("onTick", &1, &[] as &[&str]).await.is_ok());
}

async fn kicks_reach_users_of_all_frontends(world: World) {
    let l = lobby(world).await;
    let (ann, bob) = (user(&l.one, "ann").await, user(&l.two, "bob").await);
    assert_eq!(unreached(l.one.users("connector").kick(&["ann", "bob", "cid"]).await), ["cid"]);
    for client in [ann, bob] {
        tokio::time::timeout(SOON, client.closed()).await.expect("closed");
    }
}

async fn many_users_are_reached_with_one_message_to_each_frontend(world: World) {
    let l = lobby(world).await;
    let ann = user(&l.one, "ann").await;
    let mut ticks = ann.on("onTick");
    let mut uids: Vec<String> = (0..20_000).map(|n| format!("nobody-of-that-name-{n:060}")).collect();
    uids.push("ann".to_owned());
    assert_eq!(unreached(l.back.users("connector").push("onTick", &1, &uids).await).len(), 20_000);
    ticks.recv().await.expect("reached");
}

async fn a_group_hears_a_broadcast_at_every_frontend(world: World) {
    let l = lobby(world).await;
    let (ann, bob) = (user(&l.one, "ann").await, user(&l.two, "bob").await);
    let (mut to_ann, mut to_bob) = (ann.on("onGroup"), bob.on("onGroup"));
    for (n, app) in [&l.one, &l.back].into_iter().enumerate() {
        app.groups().create("lobby").await.expect("new");
        app.groups().add_member("lobby", "ann").await.expect("new");
        app.groups().add_member("lobby", "bob").await.expect("new");
        let groups = app.groups().at("connector");
        groups.broadcast("lobby", "onGroup", &n).await.expect("both are reached");
        for pushes in [&mut to_ann, &mut to_bob] {
            assert_eq!(pushes.recv().await.expect("open").json::<usize>().expect("a number"), n);
        }
    }
    // A backend has to name the frontends, and is told so.
    let forgotten = l.back.groups().broadcast("lobby", "onGroup", &2).await.expect_err("nobody is at a backend");
    let text = "this server has no clients: name their frontends with groups.at(\"..\") or app.users(\"..\")";
    assert_eq!(forgotten.to_string(), text);
    match l.back.users("room").push("onTick", &1, &["ann"]).await {
        Err(PushError::NoClients(uids)) => assert_eq!(uids, ["ann"]),
        other => panic!("{other:?}"),
    }
}

async fn a_user_has_one_session_among_frontends_of_a_type(world: World) {
    let l = lobby(world).await;
    let other = l.world.frontend("lobby", "other", |b| b.handlers(Room::default())).await;
    meet(&[&other, &l.one, &l.two]).await;
    let elsewhere = user(&other, "ann").await;
    let first = user(&l.one, "ann").await;
    let second = user(&l.two, "ann").await;
    tokio::time::timeout(SOON, first.closed()).await.expect("the older one is kicked");
    eventually("it is gone", || l.one.sessions().by_uid("ann").is_none()).await;
    assert!(second.close_reason().is_none() && elsewhere.close_reason().is_none());
    // And back again.
    let third = user(&l.one, "ann").await;
    tokio::time::timeout(SOON, second.closed()).await.expect("the older one is kicked");
    assert!(third.close_reason().is_none() && elsewhere.close_reason().is_none());
}

async fn a_user_may_have_several_sessions_when_that_is_wanted(world: World) {
    let several = |b: Builder| b.handlers(Room::default()).configure(|c| c.session.unique = false);
    let one = world.frontend("connector", "one", several).await;
    let two = world.frontend("connector", "two", several).await;
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    meet(&[&one, &two, &back]).await;
    let (first, second) = (user(&one, "ann").await, user(&two, "ann").await);
    let (mut to_first, mut to_second) = (first.on("onTick"), second.on("onTick"));
    assert!(back.users("connector").push("onTick", &1, &["ann"]).await.is_ok());
    to_first.recv().await.expect("open");
    to_second.recv().await.expect("open");
}

/// In a cluster of ours no subject of a user is subscribed; a Go server in discovery has them subscribed, those of users
/// who came before it as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_go_server_finds_the_users_who_came_before_it() {
    let mut l = lobby(World::brokers()).await;
    let ann = user(&l.one, "ann").await;
    let mut ticks = ann.on("onTick");
    assert!(l.back.users("connector").push("onTick", &1, &["ann"]).await.is_ok());
    assert_eq!(ticks.recv().await.expect("open").json::<u8>().expect("a number"), 1);
    let bus = async_nats::connect(l.world.nats().url()).await.expect("a client");
    let publish = async || {
        let push = Push { route: "onTick".to_owned(), uid: "ann".to_owned(), data: "2".into() };
        bus.request("pitaya/connector/user/ann/push", push.encode_to_vec().into()).await
    };
    let nobody = publish().await.expect_err("no frontend has subscribed");
    assert_eq!(nobody.kind(), async_nats::RequestErrorKind::NoResponders);
    let record = r#"{"id":"go-1","type":"chat","metadata":{},"frontend":false,"hostname":"h"}"#;
    assert_eq!(l.world.etcd().ctl(&["put", "pitaya/servers/chat/go-1", record]).trim(), "OK");
    eventually("it is seen", || l.one.servers().get("go-1").is_some()).await;
    let mut tries = 0;
    while publish().await.is_err() {
        tries += 1;
        assert!(tries < 1000, "the user is not subscribed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ticks.recv().await.expect("open").json::<u8>().expect("a number"), 2);
    let bob = user(&l.two, "bob").await;
    bus.publish(
        "pitaya/connector/user/bob/kick",
        KickMsg { user_id: "bob".to_owned(), ..KickMsg::default() }.encode_to_vec().into(),
    )
    .await
    .expect("sent");
    tokio::time::timeout(SOON, bob.closed()).await.expect("kicked");
}

crate::world::in_every_world! {
    pushes_reach_users_of_all_frontends_and_the_rest_is_named,
    kicks_reach_users_of_all_frontends,
    many_users_are_reached_with_one_message_to_each_frontend,
    a_group_hears_a_broadcast_at_every_frontend,
    a_user_has_one_session_among_frontends_of_a_type,
    a_user_may_have_several_sessions_when_that_is_wanted,
}
