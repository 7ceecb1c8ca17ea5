//! What one session, or one route, may take of a server that others forward messages to.

use crate::game::Room;
use crate::rpc::{Hall, HallClient, text};
use crate::world::{SOON, World, connect, eventually, meet};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pitaya_client::{Client, ConnectOptions, RequestError};
use pitaya_core::wire::compress_tail;
use pitaya_core::wire::message::{Message, MessageKind, RouteRef};
use pitaya_core::wire::packet;
use pitaya_runtime::config::ByteSize;
use pitaya_runtime::prelude::*;
use pitaya_tests::procfs::resident;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

async fn compressing(app: &App) -> Client {
    let address = format!("tcp://{}", app.addresses()[0]);
    ConnectOptions::default().compress(true).connect(&address).await.expect("the app accepts")
}

/// A body that becomes much shorter, and differs from others.
fn long(n: usize) -> Vec<u8> {
    format!("{n:08}").repeat(7500).into_bytes()
}

async fn compressed_bodies_arrive_whole_and_in_order(world: World) {
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let client = compressing(&front).await;
    for route in ["room.room.echo", "room.room.slow_echo"] {
        let asked: FuturesUnordered<_> = (0..20)
            .map(|n| {
                let client = client.clone();
                async move { (n, client.request_raw(route, long(n)).await) }
            })
            .collect();
        let answers: Vec<_> = timeout(SOON, asked.collect::<Vec<_>>()).await.expect("answers");
        for (n, answer) in answers {
            assert!(answer.expect("an answer")[..] == long(n), "{route} {n}");
        }
    }
    assert_eq!(front.counts().forwarded, 40);
}

/// A router may look at the body: it sees it as the client meant it.
async fn a_router_sees_the_body_that_was_compressed(world: World) {
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let by_length = |message: &pitaya_runtime::cluster::Message<'_>,
                     servers: &[std::sync::Arc<pitaya_runtime::cluster::ServerInfo>]| {
        servers.first().filter(|_| message.body == &long(7)[..]).cloned()
    };
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default()).route("room", by_length)).await;
    meet(&[&front, &back]).await;
    let client = compressing(&front).await;
    assert!(client.request_raw("room.room.echo", long(7)).await.expect("an answer")[..] == long(7));
    assert!(client.request_raw("room.room.echo", long(8)).await.is_err());
}

/// A request whose body says that it is compressed, written by hand.
fn flagged(id: u64, route: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let at = packet::open(&mut out, packet::PacketKind::Data);
    let (kind, route) = (MessageKind::Request, Some(RouteRef::from(route)));
    Message { kind, id, route, compressed: true, error: false, body }.encode(&mut out).expect("it can be said");
    packet::seal(&mut out, at).expect("short");
    out
}

/// A connection that says whatever it likes.
async fn raw(app: &App) -> TcpStream {
    let mut stream = TcpStream::connect(app.addresses()[0]).await.expect("it listens");
    stream.write_all(b"\x01\x00\x00\x1b{\"sys\":{\"type\":\"t\"},\"u\":{}}").await.expect("written");
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.expect("an answer");
    let mut body = vec![0; usize::from(head[2]) << 8 | usize::from(head[3])];
    stream.read_exact(&mut body).await.expect("an answer");
    stream.write_all(b"\x02\x00\x00\x00").await.expect("written");
    stream
}

async fn a_body_that_cannot_be_inflated_is_an_error_of_its_message_alone(world: World) {
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut bomb = vec![0; 8 << 20];
    assert!(compress_tail(&mut bomb, 0));
    let mut stream = raw(&front).await;
    for body in [&b"no zlib"[..], &bomb] {
        stream.write_all(&flagged(1, "room.room.echo", body)).await.expect("written");
        let mut answer = vec![0; 400];
        let read = timeout(SOON, stream.read(&mut answer)).await.expect("an answer").expect("an open connection");
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.contains("PIT-400") && answer.contains("compressed"), "{answer}");
    }
    assert_eq!(back.counts().refused_inflates, 1);
    assert_eq!(connect(&front).await.request_raw("room.room.echo", "on").await.expect("an answer"), "on");
}

crate::world::in_every_world! {
    compressed_bodies_arrive_whole_and_in_order,
    a_router_sees_the_body_that_was_compressed,
    a_body_that_cannot_be_inflated_is_an_error_of_its_message_alone,
    remotes_that_never_end_leave_room_for_others,
}

/// Between servers it is as short as the client made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_compressed_body_crosses_the_broker_compressed() {
    let mut world = World::brokers();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let bus = async_nats::connect(world.nats().url()).await.expect("a client");
    let mut heard = bus.subscribe("pitaya.>").await.expect("subscribed");
    let mut lane = bus.subscribe("pitaya/servers/room/back.lane").await.expect("subscribed");
    pitaya_tests::bus::settled(&bus).await;
    let client = compressing(&front).await;
    assert!(client.request_raw("room.room.echo", long(1)).await.expect("an answer")[..] == long(1));
    let bundle = timeout(SOON, lane.next()).await.expect("in time").expect("a bundle");
    assert!(bundle.payload.len() < 4096, "{} bytes for {} that became short", bundle.payload.len(), long(1).len());
    heard.unsubscribe().await.expect("unsubscribed");
}

/// Hostile sessions each have one call that never ends and as much behind it as they may send, renewed as soon as it is
/// refused; the others are served all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_that_fill_their_share_leave_room_for_others() {
    const LIMIT: usize = 2048;
    let world = World::local();
    let few = |b: Builder| b.configure(|config| config.limits.forwarded = LIMIT);
    let back = world.backend("room", "back", |b| few(b).handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut hostile = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let client = connect(&front).await;
        hostile.spawn(async move {
            let mut flood = FuturesUnordered::new();
            flood.push(request(client.clone(), "room.room.stuck"));
            loop {
                while flood.len() < 63 {
                    flood.push(request(client.clone(), "room.room.echo"));
                }
                flood.next().await;
            }
        });
    }
    eventually("the server is full", || back.counts().refused_messages > 0).await;
    let honest = connect(&front).await;
    let mut refused = 0;
    for n in 0..300 {
        let answer = timeout(SOON, honest.request_raw("room.room.echo", n.to_string())).await.expect("an answer");
        refused += u32::from(answer.is_err());
    }
    hostile.shutdown().await;
    assert_eq!(refused, 0, "of 300 honest requests");
}

/// A caller keeps as many calls of a remote that never ends in work as it may, renewed as soon as they are refused; calls
/// of another remote run all the same.
async fn remotes_that_never_end_leave_room_for_others(world: World) {
    const LIMIT: usize = 1024;
    let few = |b: Builder| b.configure(|config| config.limits.calls = LIMIT);
    let back = world.backend("hall", "back", |b| few(b).remotes(Hall)).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let stuck = HallClient::new(front.rpc(), "hall").within(SOON * 6);
    let hostile = tokio::spawn(async move {
        let mut flood = FuturesUnordered::new();
        loop {
            while flood.len() < 2 * LIMIT {
                flood.push(stuck.stuck());
            }
            flood.next().await;
            // Calls that fail at once, when the servers have gone, would never let go of the thread.
            tokio::task::yield_now().await;
        }
    });
    eventually("they are refused", || back.counts().refused_calls > LIMIT as u64).await;
    let honest = HallClient::new(front.rpc(), "hall").within(SOON);
    let mut refused = 0;
    for n in 0..100 {
        refused += u32::from(honest.upper(&text(n.to_string())).await.is_err());
    }
    hostile.abort();
    let _ended = hostile.await;
    assert_eq!(refused, 0, "of 100 honest calls");
}

async fn request(client: Client, route: &'static str) -> Result<bytes::Bytes, RequestError> {
    client.request_raw(route, "x").await
}

/// What handlers in progress hold counts as it was inflated, so that the budget of bytes bounds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bodies_that_run_count_as_they_were_inflated() {
    let world = World::local();
    let few = |b: Builder| b.handlers(Room::default()).configure(|c| c.limits.forwarding.bytes = ByteSize::mib(4));
    let back = world.backend("room", "back", few).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    // Inflated some ten times as long, 900 kB.
    let line = "a".repeat(92);
    let body: String = (0..9_000_u32).map(|n| format!("{:08x}{line}", n.wrapping_mul(2_654_435_761))).collect();
    let mut stuck = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..40 {
        let client = compressing(&front).await.with_timeout(Duration::from_secs(600));
        let (asks, body) = (client.clone(), body.clone());
        stuck.spawn(async move { asks.request_raw("room.room.stuck", body).await });
        clients.push(client);
    }
    eventually("most are refused", || back.counts().refused_messages >= 30).await;
    while let Some(refused) = stuck.try_join_next() {
        let error = refused.expect("no panic").expect_err("refused");
        assert_eq!(error.code(), Some("PIT-503"), "{error}");
    }
    let honest = connect(&front).await.request_raw("room.room.echo", "x").await;
    assert_eq!(&honest.expect("there is room for small ones")[..], b"x");
}

/// Bodies that wait are as short as their clients sent them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_that_wait_hold_what_was_sent_and_no_more() {
    let world = World::local();
    let back = world.backend("room", "back", |b| b.handlers(Room::default())).await;
    let front = world.frontend("connector", "front", |b| b.handlers(Room::default())).await;
    meet(&[&front, &back]).await;
    let mut body = vec![b'a'; 100 * 9000];
    assert!(compress_tail(&mut body, 0));
    // Past the ratio in zlib's way of counting it, honest otherwise.
    let mut streams = Vec::new();
    let before = resident(std::process::id());
    for _ in 0..20 {
        let mut stream = raw(&front).await;
        stream.write_all(&flagged(1, "room.room.stuck", &body)).await.expect("written");
        for id in 2..64 {
            stream.write_all(&flagged(id, "room.room.echo", &body)).await.expect("written");
        }
        streams.push(stream);
    }
    eventually("they wait there", || front.counts().forwarded == 20 * 63).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let grown = resident(std::process::id()).saturating_sub(before);
    // 1,260 bodies of 900 kB are 1.1 GB.
    assert!(grown < 200 << 20, "{} MiB more", grown >> 20);
}
