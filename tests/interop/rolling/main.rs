//! Our own server of an earlier commit as a peer of today's, in front and behind, over a real broker and a real etcd: what
//! a cluster is while a game is upgraded one server after the other, or taken back.
//!
//! `tests/interop/rolling/build` builds that server; without it nothing is run.

use pitaya_client::{Client, CloseReason};
use pitaya_tests::PATIENCE;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer;
use pitaya_tests::process::Conformance;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const FRONT: &str = "connector";
const BACK: &str = "game";

/// Which build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    Old,
    New,
}
use Build::{New, Old};

/// The server of the earlier commit, if it was built.
fn old() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/rolling/conformance");
    path.exists().then_some(path)
}

struct Cluster {
    nats: NatsServer,
    etcd: Etcd,
    old: PathBuf,
}

impl Cluster {
    /// `None` where there is no earlier server.
    fn start() -> Option<Self> {
        let Some(old) = old() else {
            println!("skipped: tests/interop/rolling/build has not built the earlier server");
            return None;
        };
        Some(Self { nats: NatsServer::start(&[]), etcd: Etcd::start(), old })
    }

    fn server(&self, build: Build, kind: &str) -> Conformance {
        let (nats, etcd) = (self.nats.url(), self.etcd.endpoint());
        let env = [
            ("PITAYA_CLUSTER_RPC_CLIENT_NATS_CONNECT", &*nats),
            ("PITAYA_CLUSTER_RPC_SERVER_NATS_CONNECT", &*nats),
            ("PITAYA_CLUSTER_SD_ETCD_ENDPOINTS", &*etcd),
        ];
        let frontend = format!("-frontend={}", kind == FRONT);
        let mut flags = vec!["-type", kind, &*frontend];
        if kind == FRONT {
            flags.extend(["-addr", "127.0.0.1:0"]);
        }
        match build {
            Old => Conformance::launch_program(&self.old, &flags, &env),
            New => Conformance::launch(&flags, &env),
        }
    }
}

/// Asks a server to end, as whoever upgrades it does.
fn stop(server: &mut Conformance) {
    assert!(tokio::task::block_in_place(|| server.terminate()).success());
}

async fn connect(front: &Conformance) -> Client {
    Client::connect(&format!("tcp://{}", front.address())).await.expect("it accepts")
}

async fn ask(client: &Client, route: &str, body: &str) -> Result<String, String> {
    let answer = timeout(PATIENCE, client.request_raw(route, body.to_owned())).await;
    let answer = answer.unwrap_or_else(|_| panic!("{route} {body}: lost"));
    answer.map(|answer| String::from_utf8_lossy(&answer).into_owned()).map_err(|e| e.to_string())
}

/// Waits until a frontend knows a backend.
async fn meets(front: &Conformance) {
    let client = connect(front).await;
    let end = Instant::now() + PATIENCE;
    while ask(&client, "game.room.echo", "x").await.is_err() {
        assert!(Instant::now() < end, "the backend is not known in time");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn user(front: &Conformance, uid: &str) -> Client {
    let client = connect(front).await;
    assert_eq!(ask(&client, "game.room.bindto", uid).await.as_deref(), Ok("bound"));
    client
}

async fn closed(client: &Client) -> CloseReason {
    timeout(PATIENCE, client.closed()).await.expect("closed")
}

/// What the clients of all frontends have done.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicU64,
}

impl Load {
    /// Asks again and again. Each request is answered once and runs once: what it pushes comes once, and in order.
    async fn play(&self, front: std::net::SocketAddr, uid: String) {
        let client = Client::connect(&format!("tcp://{front}")).await.expect("it accepts");
        assert_eq!(ask(&client, "game.room.bindto", &uid).await.as_deref(), Ok("bound"));
        let mut pushes = client.on("onPush");
        let mut number = 0;
        while !self.over.load(SeqCst) {
            number += 1;
            let body = format!("{uid}-{number}");
            assert_eq!(ask(&client, "game.room.echo", &body).await.as_deref(), Ok(&*body));
            assert_eq!(ask(&client, "game.room.pushme", &body).await.as_deref(), Ok("after two pushes"));
            let push = timeout(PATIENCE, pushes.recv()).await.expect("in time").expect("open");
            assert_eq!(&push.body[..], body.as_bytes(), "each push comes once, and in order");
            self.answered.fetch_add(2, SeqCst);
        }
    }

    async fn goes_on(&self) {
        let (before, end) = (self.answered.load(SeqCst), Instant::now() + PATIENCE);
        while self.answered.load(SeqCst) < before + 400 {
            assert!(Instant::now() < end, "the load stands still");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Backends are upgraded, and taken back, below frontends of both builds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_are_replaced_under_load_and_nothing_is_lost_or_runs_twice() {
    let Some(cluster) = Cluster::start() else { return };
    let fronts = [cluster.server(Old, FRONT), cluster.server(New, FRONT)];
    let mut backends = vec![cluster.server(Old, BACK), cluster.server(New, BACK)];
    for front in &fronts {
        meets(front).await;
    }
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for number in 0..16 {
        let (load, front) = (load.clone(), fronts[number % 2].address());
        clients.spawn(async move { load.play(front, format!("player-{number}")).await });
    }
    load.goes_on().await;
    for next in [New, Old, Old, New] {
        backends.push(cluster.server(next, BACK));
        load.goes_on().await;
        stop(&mut backends.remove(0));
        load.goes_on().await;
    }
    load.over.store(true, SeqCst);
    clients.join_all().await;
    println!("{} requests over 4 replacements", load.answered.load(SeqCst));
}

/// A user has one session among the frontends, whichever builds they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_login_stays_on_whichever_build_it_is() {
    let Some(cluster) = Cluster::start() else { return };
    let fronts = [cluster.server(Old, FRONT), cluster.server(New, FRONT)];
    for back in [Old, New] {
        let mut behind = cluster.server(back, BACK);
        for front in &fronts {
            meets(front).await;
        }
        for round in 0..4 {
            let (first, second) = (&fronts[round % 2], &fronts[(round + 1) % 2]);
            let uid = format!("user-{back:?}-{round}");
            let older = user(first, &uid).await;
            let newer = user(second, &uid).await;
            assert!(matches!(closed(&older).await, CloseReason::Kicked { .. }));
            assert_eq!(ask(&newer, "game.room.echo", "here").await.as_deref(), Ok("here"));
        }
        stop(&mut behind);
    }
}

/// Kicks work between the builds; a reason comes where both ends know of reasons.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kicks_work_between_the_builds() {
    let Some(cluster) = Cluster::start() else { return };
    let fronts = [(Old, cluster.server(Old, FRONT)), (New, cluster.server(New, FRONT))];
    for back in [Old, New] {
        let mut behind = cluster.server(back, BACK);
        for (build, front) in &fronts {
            meets(front).await;
            let client = user(front, "ann").await;
            let _ = timeout(PATIENCE, client.request_raw("game.room.kickme", "")).await.expect("the kick, at least");
            let end = closed(&client).await;
            let reason = (back == New && *build == New).then_some("kickme".to_owned());
            assert!(matches!(end, CloseReason::Kicked { .. }), "{back:?} behind {build:?}: {end}");
            assert_eq!(
                end.kick_reason().map(|reason| reason.message().to_owned()),
                reason,
                "{back:?} behind {build:?}"
            );
        }
        // By uid, from the backend to all frontends.
        let kicked = [user(&fronts[0].1, "bob").await, user(&fronts[1].1, "cid").await];
        let asks = user(&fronts[0].1, "dan").await;
        assert_eq!(ask(&asks, "game.interop.kickusers", r#"["bob","cid"]"#).await.as_deref(), Ok("kicked"));
        for client in kicked {
            assert!(matches!(closed(&client).await, CloseReason::Kicked { .. }));
        }
        stop(&mut behind);
    }
}
