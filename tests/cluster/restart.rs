//! Backends are replaced one after the other under load, and no client notices.

use crate::game::Room;
use crate::world::{SOON, World, connect, eventually, in_every_world, long, meet};
use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tokio::task::JoinSet;
use tokio::time::timeout;

const CLIENTS: usize = 32;

/// What all clients together have done.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicU64,
}

impl Load {
    /// Asks again and again. Every request must be answered, with its own number.
    async fn ask(&self, client: &Client, own: usize) {
        let mut number = 0_u64;
        while !self.over.load(SeqCst) {
            number += 1;
            // At once, and pending for a while: both are in flight when a server is told to stop.
            let route = if number.is_multiple_of(2) { "room.room.echo" } else { "room.room.slow_echo" };
            let body = format!("{own}-{number}");
            let answer = timeout(SOON, client.request_raw(route, body.clone())).await;
            let answer = answer.unwrap_or_else(|_| panic!("request {body} is lost"));
            assert_eq!(answer.unwrap_or_else(|e| panic!("request {body}: {e}")), body);
            self.answered.fetch_add(1, SeqCst);
        }
    }
}

async fn backend(world: &World, number: usize) -> App {
    world.backend("room", &format!("room-{number}"), |b| b.handlers(Room::default())).await
}

async fn no_request_is_lost(world: World, restarts: usize) {
    let front = world.frontend("connector", "front", |b| b).await;
    let mut backends = [backend(&world, 0).await, backend(&world, 1).await];
    meet(&[&front, &backends[0], &backends[1]]).await;

    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for own in 0..CLIENTS {
        let (client, load) = (connect(&front).await, load.clone());
        clients.spawn(async move { load.ask(&client, own).await });
    }
    let mut received = 0;
    for restart in 0..restarts {
        let next = backend(&world, restart + 2).await;
        eventually("the new one is known", || front.servers().get(next.server_id()).is_some()).await;
        let old = std::mem::replace(&mut backends[restart % 2], next);
        let before = load.answered.load(SeqCst);
        timeout(SOON, old.shutdown()).await.expect("a stop takes no longer than the requests in work");
        received += old.counts().received;
        eventually("the load goes on", || load.answered.load(SeqCst) > before + CLIENTS as u64).await;
    }
    load.over.store(true, SeqCst);
    clients.join_all().await;

    received += backends.iter().map(|app| app.counts().received).sum::<u64>();
    let answered = load.answered.load(SeqCst);
    println!("{answered} requests over {restarts} restarts");
    let counts = front.counts();
    assert_eq!((counts.forwarded, counts.failed_forwards, received), (answered, 0, answered), "each ran once");
}

async fn no_request_is_lost_over_rolling_restarts(world: World) {
    no_request_is_lost(world, if long() { 100 } else { 20 }).await;
}

in_every_world! {
    no_request_is_lost_over_rolling_restarts,
}
