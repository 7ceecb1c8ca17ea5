//! How fast the lane is, and what a user costs. Figures for people: run with
//! `cargo test --release -p pitaya-tests --test nats -- --ignored --nocapture --test-threads 1`.

use crate::support::server;
use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{Client, ConnectOptions, Subject};
use futures_util::{FutureExt, StreamExt};
use pitaya_runtime::cluster::{Forward, Forwarder, ServerInfo, Sink, Transport};
use pitaya_runtime::{Error, Result};
use pitaya_tests::nats::NatsServer;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const IN_FLIGHT: u64 = 512;
const BODY: &[u8] = br#"{"uid":"player-0042","seq":123456,"pos":[12.5,7.25],"act":"mv1"}"#;

/// Counts for a while, and says how many a second.
async fn rate(done: &AtomicU64) -> f64 {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (before, began) = (done.load(Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await;
    (done.load(Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
}

async fn client(broker: &NatsServer) -> Client {
    ConnectOptions::new().skip_subject_validation(true).connect(broker.url()).await.expect("a client")
}

fn message(subject: Subject, reply: Option<Subject>) -> OutboundMessage {
    OutboundMessage { subject, reply, payload: BODY.into(), headers: None }
}

/// What one could write with the library in an hour: a subject for each answer, below one subscription.
async fn bare(broker: &NatsServer) -> f64 {
    let (back, front) = (client(broker).await, client(broker).await);
    let mut requests = back.subscribe("bare").await.expect("a subscription");
    let inbox = front.new_inbox();
    let mut answers = front.subscribe(format!("{inbox}.*")).await.expect("a subscription");
    let _ = (back.request("nobody", "".into()).await, front.request("nobody", "".into()).await);
    let answering = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            back.publish_message(message(request.reply.expect("a reply"), None)).await.expect("sent");
        }
    });
    let done = Arc::new(AtomicU64::new(0));
    let counter = done.clone();
    let asking = tokio::spawn(async move {
        let mut number = 0u64;
        let mut ask = async |front: &Client| {
            number += 1;
            let reply = Subject::from(format!("{inbox}.{number:x}"));
            front.publish_message(message(Subject::from_static("bare"), Some(reply))).await.expect("sent");
        };
        for _ in 0..IN_FLIGHT {
            ask(&front).await;
        }
        while answers.next().await.is_some() {
            counter.fetch_add(1, Relaxed);
            ask(&front).await;
            while let Some(Some(_)) = answers.next().now_or_never() {
                counter.fetch_add(1, Relaxed);
                ask(&front).await;
            }
        }
    });
    let rate = rate(&done).await;
    asking.abort();
    answering.abort();
    rate
}

/// A session that sends the next message when it hears an answer.
struct Again {
    way: OnceLock<Arc<dyn Forwarder>>,
    to: Arc<ServerInfo>,
    session: i64,
    done: Arc<AtomicU64>,
}

impl Again {
    fn send(&self) {
        let mut forward = Forward::new(self.session, 7, false, "room.room.move", BODY);
        forward.data = br#"{"ipversion":"ipv4"}"#;
        let _ = self.way.get().expect("set").forward(&self.to, forward);
    }
}

impl Sink for Again {
    fn answered(&self, _: u64, outcome: Result<&[u8], &Error>) {
        // An error is the end of the measurement.
        if outcome == Ok(BODY) {
            self.done.fetch_add(1, Relaxed);
            self.send();
        }
    }

    fn pushed(&self, _: &str, _: &[u8]) {}

    fn kicked(&self, _: Option<&pitaya_core::KickReason>) {}
}

async fn lane(broker: &NatsServer, depth: u64) -> f64 {
    let room = server("room", "r1", broker).start().await;
    let front = server("connector", "f1", broker).start().await;
    let done = Arc::new(AtomicU64::new(0));
    for session in 0..(IN_FLIGHT / depth) as i64 {
        let again = Again { way: OnceLock::new(), to: room.info.clone(), session, done: done.clone() };
        let again = Arc::new(again);
        assert!(again.way.set(front.transport.open(again.clone())).is_ok());
        (0..depth).for_each(|_| again.send());
    }
    let rate = rate(&done).await;
    front.transport.stop().await;
    room.transport.stop().await;
    rate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn lane_against_a_bare_multiplexer() {
    let broker = NatsServer::start(&[]);
    for _ in 0..3 {
        let (bare, wide, deep) = (bare(&broker).await, lane(&broker, 1).await, lane(&broker, 16).await);
        println!(
            "512 in flight, a second: bare multiplexer {bare:.0}; lane, 512 sessions x 1 {wide:.0} ({:.2} x); 32 x 16 {deep:.0} ({:.2} x)",
            wide / bare,
            deep / bare
        );
    }
}

/// The memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
}

#[tokio::test]
#[ignore = "a measurement"]
async fn bytes_of_a_listened_user() {
    const USERS: usize = 20_000;
    let broker = NatsServer::start(&[]);
    let front = server("connector", "f1", &broker).start().await;
    let (before, began) = (resident(), Instant::now());
    for batch in 0..USERS / 100 {
        let listen = (0..100).map(|user| {
            let (transport, uid) = (front.transport.clone(), format!("player-{:08}", batch * 100 + user));
            async move { transport.listen(&uid).await.expect("listening") }
        });
        futures_util::future::join_all(listen).await;
    }
    println!("{} bytes a user; {:?} for {USERS}", (resident() - before) / USERS, began.elapsed());
}
