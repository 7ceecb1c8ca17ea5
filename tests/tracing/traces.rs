//! Traces of our own servers.

use crate::game::{Room, Store};
use crate::sink::{Collector, Seen};
use crate::world::{World, connect, in_every_world, long, meet};
use pitaya_runtime::prelude::*;
use std::collections::BTreeMap;

in_every_world! {
    one_request_is_one_trace,
    errors_are_seen,
    what_is_not_sampled_is_nowhere,
    who_is_asked_does_not_decide_again,
    some_of_many,
}

struct Servers {
    gate: App,
    room: App,
    store: App,
}

/// A frontend, a backend and a store, which trace this share of what begins there.
async fn servers(world: &World, collector: &Collector, [gate, room, store]: [f64; 3]) -> Servers {
    let store = world.backend("store", "s1", |b| collector.hear(b.remotes(Store), store)).await;
    let room = world.backend("room", "r1", |b| collector.hear(b.handlers(Room), room)).await;
    let gate = world.frontend("gate", "g1", |b| collector.hear(b.handlers(Room), gate)).await;
    meet(&[&gate, &room, &store]).await;
    Servers { gate, room, store }
}

impl Servers {
    /// Ends them: then everything is exported.
    async fn stop(&self) {
        for app in [&self.gate, &self.room, &self.store] {
            app.shutdown().await;
        }
    }
}

async fn one_request_is_one_trace(world: World) {
    let collector = Collector::start();
    let servers = servers(&world, &collector, [1.0; 3]).await;
    let client = connect(&servers.gate).await;
    assert_eq!(&client.request_raw("room.room.buy", "apple").await.expect("an answer")[..], b"apple");
    servers.stop().await;

    let received = collector.one("gate", "room.room.buy");
    let handled = collector.one("room", "room.room.buy");
    let served = collector.one("store", "store.store.take");
    let pushed = collector.one("room", "push");
    let all = collector.all();
    let call = |service: &str| {
        let is = |span: &&Seen| span.service == service && span.name.ends_with("RPC Call");
        all.iter().find(is).unwrap_or_else(|| panic!("no call of {service} among {all:#?}")).clone()
    };
    let (forwarded, called) = (call("gate"), call("room"));
    assert_eq!(all.len(), 6, "{all:#?}");
    assert!(all.iter().all(|span| span.trace == received.trace && span.failed.is_none()), "{all:#?}");
    assert!(received.parent.is_empty());
    for (child, parent) in
        [(&forwarded, &received), (&handled, &forwarded), (&called, &handled), (&served, &called), (&pushed, &handled)]
    {
        assert_eq!(child.parent, parent.id, "{child:#?} below {parent:#?}");
        assert!(child.began >= parent.began && child.ended >= child.began);
    }
    // Go's attributes.
    let request = received.attributes["request.id"].clone();
    assert!(received.is("local.id", "g1") && received.is("span.kind", "server") && received.is("msg.type", "request"));
    assert!(received.is("user.id", ""), "{received:?}");
    assert!(
        forwarded.is("span.kind", "client") && forwarded.is("peer.serverType", "room") && forwarded.is("peer.id", "r1")
    );
    for (served, peer, kind) in [(&handled, "g1", "gate"), (&served, "r1", "room")] {
        assert!(served.is("peer.id", peer) && served.is("peer.service", kind) && served.is("span.kind", "server"));
        assert!(served.is("request.id", &request), "{served:?}");
    }
}

async fn errors_are_seen(world: World) {
    let collector = Collector::start();
    let servers = servers(&world, &collector, [1.0; 3]).await;
    let client = connect(&servers.gate).await;
    client.request_raw("room.room.fail", "").await.expect_err("it fails");
    client.request_raw("room.room.panic", "").await.expect_err("it panics");
    client.request_raw("gate.room.fail", "").await.expect_err("it fails here, too");
    client.notify_raw("room.room.tell", "x").await.expect("it is sent");
    client.request_raw("gate.room.echo", "").await.expect("it works");
    client.request_raw("no.such.route", "").await.expect_err("it is nobody's");
    servers.stop().await;

    for service in ["gate", "room"] {
        assert_eq!(collector.one(service, "room.room.fail").failed.as_deref(), Some("sold out"));
        assert!(collector.one(service, "room.room.panic").failed.is_some());
        let told = collector.one(service, "room.room.tell");
        assert!(told.failed.is_none() && (service == "room" || told.is("msg.type", "notify")), "{told:?}");
    }
    assert_eq!(collector.one("gate", "gate.room.fail").failed.as_deref(), Some("sold out"));
    assert!(collector.one("gate", "gate.room.echo").failed.is_none());
    assert!(collector.all().iter().all(|span| span.name != "no.such.route"), "what no handler has is no span");
}

async fn what_is_not_sampled_is_nowhere(world: World) {
    let collector = Collector::start();
    let servers = servers(&world, &collector, [0.0; 3]).await;
    let client = connect(&servers.gate).await;
    for _ in 0..20 {
        client.request_raw("room.room.buy", "apple").await.expect("an answer");
        client.request_raw("gate.room.buy", "apple").await.expect("an answer");
    }
    servers.stop().await;
    assert!(collector.all().is_empty(), "{:#?}", collector.all());
}

/// The frontend decides; the others would trace everything.
async fn who_is_asked_does_not_decide_again(world: World) {
    let collector = Collector::start();
    let servers = servers(&world, &collector, [0.0, 1.0, 1.0]).await;
    let client = connect(&servers.gate).await;
    for _ in 0..20 {
        client.request_raw("room.room.buy", "apple").await.expect("an answer");
        client.request_raw("gate.room.buy", "apple").await.expect("an answer");
    }
    let along: BTreeMap<String, serde_json::Value> =
        client.request_json("room.room.along", &()).await.expect("an answer");
    let parent = along["otel-span"]["traceparent"].as_str().expect("what a Go server reads");
    assert!(parent.len() == 55 && parent.ends_with("-00"), "{parent}");
    servers.stop().await;
    assert!(collector.all().is_empty(), "{:#?}", collector.all());
}

/// Sampled and not, one behind the other on the same way: each trace is whole, and each request has its answer.
async fn some_of_many(world: World) {
    let collector = Collector::start();
    let servers = servers(&world, &collector, [0.3, 1.0, 1.0]).await;
    let clients = futures_util::future::join_all((0..4).map(|_| connect(&servers.gate))).await;
    let each = if long() { 500 } else { 100 };
    let all = clients.iter().flat_map(|client| (0..each).map(move |n| (client, n.to_string())));
    let answers = all.map(|(client, n)| async move {
        let answer = client.request_raw("room.room.buy", n.clone()).await.expect("an answer");
        assert_eq!(&answer[..], n.as_bytes());
    });
    futures_util::future::join_all(answers).await;
    servers.stop().await;
    let mut traces: BTreeMap<Vec<u8>, Vec<Seen>> = BTreeMap::new();
    for span in collector.all() {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    let share = traces.len() as f64 / f64::from(4 * each);
    assert!((0.15..0.45).contains(&share), "{share} is not three of ten");
    for trace in traces.values() {
        assert_eq!(trace.len(), 6, "{trace:#?}");
    }
}
