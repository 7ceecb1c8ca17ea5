//! The reason of a kick reaches the client, and the frontend's session, from wherever it comes.

use crate::game::Room;
use crate::world::{SOON, World, connect, in_every_world, meet};
use parking_lot::Mutex;
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use tokio::time::timeout;

struct Game {
    one: App,
    two: App,
    back: App,
    /// Why sessions of the frontends ended.
    ends: Arc<Mutex<Vec<CloseReason>>>,
    _world: World,
}

async fn game(world: World) -> Game {
    let ends = Arc::<Mutex<Vec<CloseReason>>>::default();
    let front = |builder: Builder| {
        let ends = ends.clone();
        builder.handlers(Room::default()).on_session_closed(move |_, reason| ends.lock().push(reason.clone()))
    };
    let one = world.frontend("connector", "one", front).await;
    let two = world.frontend("connector", "two", front).await;
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    meet(&[&one, &two, &back]).await;
    Game { one, two, back, ends, _world: world }
}

async fn user(app: &App, uid: &str) -> Client {
    let client = connect(app).await;
    client.request_raw("room.room.bind", uid.to_owned()).await.expect("bound");
    client
}

/// The client and the frontend's session tell the same reason.
async fn hears(game: &Game, client: &Client, reason: &KickReason) {
    let end = timeout(SOON, client.closed()).await.expect("kicked");
    assert_eq!(end.kick_reason().as_ref(), Some(reason), "{end}");
    let wanted = if *reason == KickReason::replaced() {
        CloseReason::Replaced
    } else {
        CloseReason::Kicked(Some(reason.clone()))
    };
    crate::world::eventually("the session ended for it", || game.ends.lock().contains(&wanted)).await;
    game.ends.lock().clear();
}

async fn a_backend_kicks_the_session_of_a_message_with_a_reason(world: World) {
    let game = game(world).await;
    for front in [&game.one, &game.two] {
        // Neither is bound, and one is.
        let (unbound, bound) = (connect(front).await, user(front, "ann").await);
        for client in [unbound, bound] {
            let _ = client.request_raw("room.room.kick_out", "late").await;
            hears(&game, &client, &crate::game::out("late")).await;
        }
    }
}

async fn users_are_kicked_with_a_reason_from_everywhere(world: World) {
    let game = game(world).await;
    let reason = crate::game::out("maintenance");
    for from in [&game.one, &game.two, &game.back] {
        let clients = [user(&game.one, "ann").await, user(&game.two, "bob").await];
        from.users("connector").kick_with(&["ann", "bob"], &reason).await.expect("both are here");
        for client in &clients {
            let end = timeout(SOON, client.closed()).await.expect("kicked");
            assert_eq!(end.kick_reason().as_ref(), Some(&reason), "{end}");
        }
    }
    let ann = user(&game.one, "ann").await;
    game.one.kick_with(&["ann"], &reason).expect("here");
    hears(&game, &ann, &reason).await;
}

async fn who_is_replaced_learns_it(world: World) {
    let game = game(world).await;
    for newer in [&game.one, &game.two] {
        let old = user(&game.one, "ann").await;
        let new = user(newer, "ann").await;
        hears(&game, &old, &KickReason::replaced()).await;
        drop(new);
        crate::world::eventually("it is gone", || game.ends.lock().contains(&CloseReason::Client)).await;
        game.ends.lock().clear();
    }
}

in_every_world! {
    a_backend_kicks_the_session_of_a_message_with_a_reason,
    users_are_kicked_with_a_reason_from_everywhere,
    who_is_replaced_learns_it,
}
