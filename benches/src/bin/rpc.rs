//! A server that does nothing but call another: `testremotesvc.rpctestptrreturnsptr` of the example, through the public API.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pitaya_benches::args::Args;
use pitaya_benches::procfs::Cost;
use pitaya_benches::report::LoadReport;
use pitaya_benches::tally::Tally;
use pitaya_runtime::prelude::*;
use serde_json::json;
use tokio::task::LocalSet;

const USAGE: &str = "usage: rpc --nats URL --etcd HOST:PORT --prefix PREFIX [--in-flight 512] [--secs 2] [--warmup 0.3]
  [--server-pid PID,..]";
const OPTIONS: &[&str] = &["nats", "etcd", "prefix", "in-flight", "secs", "warmup", "server-pid"];
/// How long the backend may take to be seen, and the last answers to come.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    // One thread, as either side of the bare multiplexer has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|e| e.to_string()).and_then(|runtime| LocalSet::new().block_on(&runtime, run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("rpc: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the remote takes.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, tag = "1")]
    msg: String,
}

/// What it returns.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    msg: String,
}

async fn run() -> std::result::Result<(), String> {
    let args = Args::parse(std::env::args().skip(1), OPTIONS, &[]).map_err(|e| format!("{e}\n{USAGE}"))?;
    let mut config = Config::default();
    let nats = args.text("nats").ok_or(USAGE)?;
    config.cluster.rpc.client.nats.connect = nats.to_owned();
    config.cluster.rpc.server.nats.connect = nats.to_owned();
    config.cluster.sd.etcd.endpoints = vec![args.text("etcd").ok_or(USAGE)?.to_owned()];
    config.cluster.sd.etcd.prefix = args.text("prefix").ok_or(USAGE)?.to_owned();
    let app = Builder::new("caller").config(config).clustered().build().map_err(text)?;
    app.start().await.map_err(text)?;
    seen(&app).await?;

    let servers = args.list("server-pid")?;
    let [warm_up, window] = [args.value("warmup", 0.3)?, args.value("secs", 2.0)?].map(Duration::from_secs_f64);
    let shared = Rc::new(Shared { tally: RefCell::default(), over: RefCell::new(false), epoch: Instant::now() });
    let callers: Vec<_> = (0..args.value("in-flight", 512)?)
        .map(|number: usize| tokio::task::spawn_local(caller(app.clone(), number, shared.clone())))
        .collect();
    tokio::time::sleep(warm_up).await;
    let (before, open) = (Cost::now(&servers)?, shared.now());
    shared.tally.borrow_mut().open(open..open + window.as_nanos() as u64);
    tokio::time::sleep(window).await;
    let (secs, after) = ((shared.now() - open) as f64 / 1e9, Cost::now(&servers)?);
    shared.over.replace(true);
    let end = tokio::time::timeout(PATIENCE, async {
        for caller in callers {
            caller.await.map_err(text)?;
        }
        Ok::<_, String>(())
    });
    let end = end.await;
    let mut tally = shared.tally.take();
    match end {
        Ok(ended) => ended?,
        Err(_) => tally.fail(1, || "no answer".to_owned()),
    }
    println!(
        "{}",
        json!(LoadReport::new(tally, secs, after.generator - before.generator, &after.servers_since(&before)))
    );
    Ok(())
}

struct Shared {
    tally: RefCell<Tally>,
    over: RefCell<bool>,
    epoch: Instant,
}

impl Shared {
    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

/// Until discovery has told of the backend.
async fn seen(app: &App) -> std::result::Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let room = TestRemoteSvcClient::new(app.rpc(), "room");
    loop {
        match room.rpctestptrreturnsptr(&Request { msg: "hello".to_owned() }).await {
            Ok(_) => return Ok(()),
            Err(e) if Instant::now() > deadline => return Err(format!("the backend does not answer: {e}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn caller(app: App, number: usize, shared: Rc<Shared>) {
    let room = TestRemoteSvcClient::new(app.rpc(), "room");
    // 64 bytes, its own for each call: the digits at its end are written anew, as the multiplexer does.
    let mut request = Request { msg: format!("{number:012}{:052}", 0) };
    // The next one is sent when the last is answered: one look at the clock for both.
    let mut sent = shared.now();
    while !*shared.over.borrow() {
        request.msg = next(std::mem::take(&mut request.msg));
        let answer = room.rpctestptrreturnsptr(&request).await;
        let (mut tally, now) = (shared.tally.borrow_mut(), shared.now());
        match answer {
            Ok(Response { code: 200, msg: got }) if got.strip_prefix("got ") == Some(&request.msg) => {
                tally.answered(sent, now);
            }
            Ok(other) => tally.fail(1, || format!("another answer than that to {}: {}", request.msg, other.msg)),
            Err(e) => tally.fail(1, || e.to_string()),
        }
        sent = now;
    }
}

/// The number at the end of this text, and one.
fn next(msg: String) -> String {
    let mut digits = msg.into_bytes();
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            break;
        }
        *digit = b'0';
    }
    // Digits are text.
    String::from_utf8(digits).unwrap_or_default()
}

/// The shape of the example's remote: only its stub is used.
#[allow(dead_code, reason = "the remote runs in the example")]
struct TestRemoteSvc;

#[allow(dead_code, unreachable_pub, reason = "the remote runs in the example")]
#[remote(name = "testremotesvc", codec = Protobuf)]
impl TestRemoteSvc {
    pub async fn rpctestptrreturnsptr(&self, request: Request) -> Result<Response> {
        Ok(Response { code: 200, msg: request.msg })
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
