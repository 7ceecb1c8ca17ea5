//! A client that does not read is closed; nobody waits for it.

use crate::support::{SOON, connect, eventually, long, serve};
use pitaya_core::wire::{self, PacketKind, packet};
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval};

struct Room;

#[handler]
impl Room {
    pub async fn enter(&self, session: &Session, uid: String) -> Result<()> {
        session.bind(uid).await
    }
}

const HONEST: usize = 1_000;
const SLOW: usize = 100;
/// The body of a push: its number, and filler.
const BODY: usize = 4 * 1024;
/// How many pushes an honest client may be behind: on a busy machine the rate is what it can read.
const BEHIND: u64 = 10;

/// A client with a small receive buffer that binds and never reads again.
async fn stops_reading(app: &App, uid: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
    let mut stream = socket.connect(app.addresses()[0]).await.expect("accepted");
    let mut out = Vec::new();
    packet::encode(PacketKind::Handshake, b"{}", &mut out).expect("fits");
    packet::encode(PacketKind::HandshakeAck, b"", &mut out).expect("fits");
    let at = packet::open(&mut out, PacketKind::Data);
    let body = format!("{uid:?}");
    let request = wire::Message {
        kind: wire::MessageKind::Request,
        id: 1,
        route: Some("game.room.enter".into()),
        compressed: false,
        error: false,
        body: body.as_bytes(),
    };
    request.encode(&mut out).expect("fits");
    packet::seal(&mut out, at).expect("fits");
    // The acknowledgement may only follow the answer, so read that one.
    let ack = 4 + 2;
    stream.write_all(&out[..ack]).await.expect("written");
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.expect("the handshake's answer");
    let mut rest = vec![0; u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize];
    stream.read_exact(&mut rest).await.expect("the handshake's answer");
    stream.write_all(&out[ack..]).await.expect("written");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_reading_are_closed_and_the_others_lose_nothing() {
    let closed: Arc<Mutex<HashMap<String, CloseReason>>> = Arc::default();
    let seen = closed.clone();
    let builder = Builder::new("game").handlers(Room).on_session_closed(move |session, reason| {
        let uid = session.uid().map(|uid| uid.to_string()).unwrap_or_default();
        seen.lock().expect("not poisoned").insert(uid, reason.clone());
    });
    // The long form has the defaults. In the short one a stalled client is given up sooner.
    let stall = if long() { Duration::from_secs(10) } else { Duration::from_secs(2) };
    let app = serve(builder.configure(|config| {
        config.handler.messages.compression = false;
        config.buffer.agent.conntimeout = stall;
    }))
    .await;

    let mut uids = Vec::new();
    let mut readers = tokio::task::JoinSet::new();
    let (rate, time) = (20, if long() { Duration::from_secs(60) } else { Duration::from_secs(15) });
    let rounds = rate * time.as_secs();
    let read: Arc<Vec<AtomicU64>> = Arc::new((0..HONEST).map(|_| AtomicU64::new(0)).collect());
    for i in 0..HONEST {
        let read = read.clone();
        let client = connect(&app).await;
        let mut pushes = client.pushes();
        let uid = format!("honest-{i}");
        client.request_json::<serde_json::Value>("game.room.enter", &uid).await.expect("bound");
        uids.push(uid);
        readers.spawn(async move {
            for expected in 0..rounds {
                let push = tokio::time::timeout(SOON * 2, pushes.recv()).await.expect("in time").expect("open");
                let number = u64::from_be_bytes(push.body[..8].try_into().expect("eight bytes"));
                assert_eq!(number, expected, "a push was lost");
                read[i].store(number + 1, Relaxed);
            }
            client
        });
    }
    let mut slow = Vec::new();
    for i in 0..SLOW {
        let uid = format!("slow-{i}");
        slow.push(stops_reading(&app, &uid).await);
        uids.push(uid);
    }
    eventually("all are bound", || app.sessions().bound() == HONEST + SLOW).await;

    let mut tick = interval(Duration::from_secs(1) / rate as u32);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut longest = Duration::ZERO;
    for number in 0..rounds {
        tick.tick().await;
        eventually("the honest ones read", || read.iter().all(|read| read.load(Relaxed) + BEHIND > number)).await;
        let mut body = vec![7; BODY];
        body[..8].copy_from_slice(&number.to_be_bytes());
        let push = Push::raw("onTick", body).expect("fits");
        let begun = Instant::now();
        // The closed ones are reported as unreached: that is the point.
        let _ = app.push_encoded(&push, &uids);
        longest = longest.max(begun.elapsed());
    }
    let _honest = readers.join_all().await;
    eventually("the slow ones are closed", || closed.lock().expect("not poisoned").len() >= SLOW).await;
    let closed = closed.lock().expect("not poisoned");
    for (uid, reason) in closed.iter() {
        assert!(uid.starts_with("slow-"), "{uid} was closed: {reason}");
        assert_eq!(*reason, CloseReason::SlowConsumer);
    }
    assert_eq!(closed.len(), SLOW);
    assert_eq!(app.counts().closed("slow_consumer"), SLOW as u64);
    assert_eq!(app.sessions().count(), HONEST);
    println!("longest round of {} pushes: {longest:?}", HONEST + SLOW);
}
