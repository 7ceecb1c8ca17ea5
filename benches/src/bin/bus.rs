//! Two servers that are nothing but the transport over NATS, in two processes: one forwards messages of sessions without
//! sockets, the other sends their bodies back. What is left is the way between servers.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use pitaya_benches::args::Args;
use pitaya_benches::body::BODY;
use pitaya_benches::forward::ROUTE;
use pitaya_benches::procfs::Cost;
use pitaya_benches::report::LoadReport;
use pitaya_benches::tally::Tally;
use pitaya_runtime::cluster::server::{LANE, LANE_VERSION};
use pitaya_runtime::cluster::{
    Callee, Delivery, Forward, Forwarder, IncomingCall, Login, NatsTransport, Reply, ServerInfo, Sink, Transport,
};
use pitaya_runtime::config::Config;
use pitaya_runtime::{Error, KickReason, Result};
use serde_json::json;

const USAGE: &str = "usage: bus respond --nats URL [--plain]
       bus request --nats URL [--plain] [--sessions 64] [--depth 8] [--secs 2] [--warmup 0.3] [--server-pid PID,..]
  --plain     as towards a server of Go's";
/// The backend's id, as long as a real one.
const BACKEND: &str = "7c1f0a3e-5d52-4d0c-9d55-3a8f2b6f9a10";
const FRONTEND: &str = "2790a87c-5ead-4db6-b6dc-b4b64aaeaaba";
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    // One thread, as either side of the bare multiplexer has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bus: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let options = ["nats", "sessions", "depth", "secs", "warmup", "server-pid"];
    let args = Args::parse(std::env::args().skip(1), &options, &["plain"]).map_err(|e| format!("{e}\n{USAGE}"))?;
    let mut config = Config::default();
    config.cluster.rpc.client.nats.connect = args.text("nats").ok_or(USAGE)?.to_owned();
    let transport = NatsTransport::new(&config.cluster.rpc);
    let mut backend = ServerInfo::new("room", BACKEND, false);
    if !args.given("plain") {
        backend.metadata.insert(LANE.to_owned(), LANE_VERSION.to_owned());
    }
    let backend = Arc::new(backend);
    match args.words() {
        [word] if word == "respond" => {
            transport.start(backend, Arc::new(Echo)).await.map_err(text)?;
            println!("ready");
            std::future::pending().await
        }
        [word] if word == "request" => {
            let own = Arc::new(ServerInfo::new("connector", FRONTEND, true));
            transport.start(own, Arc::new(Echo)).await.map_err(text)?;
            let (sessions, depth): (usize, usize) = (args.value("sessions", 64)?, args.value("depth", 8)?);
            let tally = Arc::new(Shared { tally: Mutex::default(), epoch: Instant::now() });
            let sessions: Vec<_> = (0..sessions)
                .map(|number| {
                    let session = Session {
                        number: number as i64,
                        way: OnceLock::new(),
                        backend: backend.clone(),
                        shared: tally.clone(),
                        flight: Mutex::default(),
                    };
                    let session = Arc::new(session);
                    let _ = session.way.set(transport.open(session.clone()));
                    session
                })
                .collect();
            let [warm_up, window] = [args.value("warmup", 0.3)?, args.value("secs", 2.0)?].map(Duration::from_secs_f64);
            let report = load(&sessions, depth, warm_up, window, &args.list("server-pid")?).await?;
            println!("{}", json!(report));
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    }
}

async fn load(
    sessions: &[Arc<Session>],
    depth: usize,
    warm_up: Duration,
    window: Duration,
    servers: &[u32],
) -> Result<LoadReport, String> {
    let shared = &sessions.first().ok_or("--sessions is at least 1")?.shared;
    sessions.iter().for_each(|session| (0..depth).for_each(|_| session.send(&mut lock(&session.flight))));
    tokio::time::sleep(warm_up).await;
    let (before, open) = (Cost::now(servers)?, shared.now());
    let close = open + window.as_nanos() as u64;
    lock(&shared.tally).open(open..close);
    tokio::time::sleep(window).await;
    let (secs, after) = ((shared.now() - open) as f64 / 1e9, Cost::now(servers)?);
    // No new requests; what does not come in time is missing.
    sessions.iter().for_each(|session| lock(&session.flight).over = true);
    let in_flight = || sessions.iter().map(|session| lock(&session.flight).due.len()).sum::<usize>();
    let _ = tokio::time::timeout(PATIENCE, async {
        while in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut tally = std::mem::take(&mut *lock(&shared.tally));
    tally.fail(in_flight() as u64, || "no answer".to_owned());
    Ok(LoadReport::new(tally, secs, after.generator - before.generator, &after.servers_since(&before)))
}

/// What all sessions share.
struct Shared {
    tally: Mutex<Tally>,
    epoch: Instant,
}

impl Shared {
    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

/// A session that sends its next message when it hears an answer.
struct Session {
    number: i64,
    way: OnceLock<Arc<dyn Forwarder>>,
    backend: Arc<ServerInfo>,
    shared: Arc<Shared>,
    flight: Mutex<Flight>,
}

#[derive(Default)]
struct Flight {
    /// Requests are numbered from 1, and answered in this order.
    sent: u64,
    /// When those were sent that have no answer yet.
    due: VecDeque<u64>,
    over: bool,
}

impl Session {
    fn send(&self, flight: &mut Flight) {
        flight.sent += 1;
        let body = body(self.number, flight.sent);
        let mut message = Forward::new(self.number, flight.sent, false, ROUTE, &body);
        (message.uid, message.data) = ("u1", br#"{"ipversion":"ipv4"}"#);
        match self.way.get().map(|way| way.forward(&self.backend, message)) {
            Some(Ok(())) => flight.due.push_back(self.shared.now()),
            refused => lock(&self.shared.tally).fail(1, || format!("refused: {refused:?}")),
        }
    }
}

impl Sink for Session {
    fn answered(&self, id: u64, outcome: Result<&[u8], &Error>) {
        let mut flight = lock(&self.flight);
        let next = flight.sent + 1 - flight.due.len() as u64;
        let Some(due) = flight.due.pop_front() else {
            return lock(&self.shared.tally).fail(1, || "an answer nobody asked for".to_owned());
        };
        let mut tally = lock(&self.shared.tally);
        match outcome {
            Ok(answer) if id == next && answer == body(self.number, id) => tally.answered(due, self.shared.now()),
            Ok(_) => tally.fail(1, || format!("another body than that of request {id}, or not in order")),
            Err(error) => tally.fail(1, || error.to_string()),
        }
        drop(tally);
        if !flight.over {
            self.send(&mut flight);
        }
    }

    fn pushed(&self, _: &str, _: &[u8]) {}

    fn kicked(&self, _: Option<&KickReason>) {}
}

/// Its own for each request of each session.
fn body(session: i64, number: u64) -> [u8; BODY] {
    let mut body = [b'b'; BODY];
    body[..8].copy_from_slice(&session.to_le_bytes());
    body[8..16].copy_from_slice(&number.to_le_bytes());
    body
}

/// A backend whose every method sends the body back.
struct Echo;

impl Callee for Echo {
    fn call(&self, call: IncomingCall, reply: Reply) {
        reply(Ok(call.body));
    }

    fn messages(&self, delivery: Delivery) {
        for index in 0..delivery.len() {
            if let Some(letter) = delivery.get(index) {
                delivery.from().back.answer(letter.ticket, Ok(letter.body));
            }
        }
    }

    fn push(&self, _: &str, _: &str, _: &[u8]) -> bool {
        false
    }

    fn kick(&self, _: &str, _: Option<&KickReason>) -> bool {
        false
    }

    fn bound_elsewhere(&self, _: &Login) {}
}

/// A panic in a measurement ends it anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
