//! Routes whose answers may take another time than most.

use crate::world::{World, connect, meet};
use pitaya_client::{Client, RequestError};
use pitaya_runtime::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// As long as most answers are waited for.
const USUAL: Duration = Duration::from_millis(400);

struct Slow;

#[handler]
impl Slow {
    /// Waited for less long than others.
    #[route(timeout = "100ms")]
    pub async fn brief(&self, raw: Raw) -> Raw {
        std::future::pending::<()>().await;
        raw
    }

    /// Answers later than is usual.
    #[route(timeout = "30s")]
    pub async fn long(&self, raw: Raw) -> Raw {
        tokio::time::sleep(USUAL + USUAL / 2).await;
        raw
    }

    /// How long its frontend waits still.
    #[route(timeout = "30s")]
    pub fn left(&self, cx: &Context) -> Raw {
        let left = cx.deadline().map_or(Duration::ZERO, |deadline| deadline - Instant::now());
        Raw::from(left.as_secs().to_string())
    }

    pub async fn usual(&self, raw: Raw) -> Raw {
        std::future::pending::<()>().await;
        raw
    }
}

/// What became of a request, and after how long.
async fn ask(client: &Client, route: &str) -> (String, Duration) {
    let began = Instant::now();
    let answer = match client.request_raw(route, "hi").await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(RequestError::Server(error)) => error.code().to_owned(),
        Err(error) => panic!("{route}: {error}"),
    };
    (answer, began.elapsed())
}

fn usual(builder: Builder) -> Builder {
    builder.configure(|config| config.cluster.rpc.client.nats.requesttimeout = USUAL)
}

async fn a_route_says_how_long_its_answer_may_take(world: World) {
    let back = world.backend("room", "back", |b| b.handlers(Slow)).await;
    let front = world.frontend("connector", "front", usual).await;
    meet(&[&front, &back]).await;
    // Sessions of their own: what waits behind a stuck call has another reason to be late.
    let clients = [connect(&front).await, connect(&front).await, connect(&front).await];
    let [brief, usual, long] = &clients;
    let (brief, usual, long) =
        tokio::join!(ask(brief, "room.slow.brief"), ask(usual, "room.slow.usual"), ask(long, "room.slow.long"));
    assert_eq!((&*brief.0, &*usual.0, &*long.0), ("PIT-408", "PIT-408", "hi"));
    assert!(brief.1 >= Duration::from_millis(100) && usual.1 >= USUAL && brief.1 < usual.1, "{brief:?} {usual:?}");
    assert!(long.1 > USUAL, "{long:?}");
    let left: u64 = ask(&clients[2], "room.slow.left").await.0.parse().expect("seconds");
    assert!((20..30).contains(&left), "the deadline is the route's: {left} s");
}

async fn the_frontends_own_word_counts_more(world: World) {
    let back = world.backend("room", "back", |b| b.handlers(Slow)).await;
    let times = [("room.slow.long", 50), ("room.slow.*", 30_000)];
    let times: BTreeMap<_, _> = times.map(|(route, ms)| (route.to_owned(), Duration::from_millis(ms))).into();
    let front = world
        .frontend("connector", "front", |b| usual(b).configure(move |config| config.cluster.timeout.routes = times))
        .await;
    meet(&[&front, &back]).await;
    let (one, other) = (connect(&front).await, connect(&front).await);
    assert_eq!(ask(&one, "room.slow.long").await.0, "PIT-408");
    // Longer than usual by the frontend's pattern: nothing comes in that time.
    let usual = tokio::time::timeout(USUAL * 2, ask(&other, "room.slow.usual")).await;
    assert!(usual.is_err(), "{usual:?}");
}

crate::world::in_every_world! {
    a_route_says_how_long_its_answer_may_take,
    the_frontends_own_word_counts_more,
}
