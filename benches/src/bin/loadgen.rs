//! The load generator: speaks the client protocol, checks every answer, prints one line of JSON.

use std::process::ExitCode;
use std::time::Duration;

use pitaya_benches::args::Args;
use pitaya_benches::body::Body;
use pitaya_benches::generator::{Generator, Load, Target};
use pitaya_benches::transport::Transport;
use serde_json::json;

const USAGE: &str = "usage: loadgen --addr HOST:PORT [--conns 64] [--depth 16] [--secs 2] [--warmup 0.3]
  [--route connector.room.join] [--body raw|json|json-1k] [--ws|--tls] [--unordered] [--server-pid PID,..]
  --unordered  the server may answer the requests of a session in any order
  --messages N  N requests in a closed loop, however long that takes
  [--rate N]   open loop: N requests a second over all connections, latency counted from the moment each was due
  [--idle N]   open N sessions through the handshake, hold them for --secs, print the server's memory per session";

const OPTIONS: &[&str] =
    &["addr", "conns", "depth", "secs", "warmup", "route", "body", "rate", "idle", "messages", "server-pid"];

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("loadgen: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let args = Args::parse(std::env::args().skip(1), OPTIONS, &["ws", "tls", "unordered"])
        .map_err(|e| format!("{e}\n{USAGE}"))?;
    let addr = args.text("addr").ok_or(USAGE)?;
    let target = Target {
        addr: addr.parse().map_err(|_| format!("--addr: {addr:?} is no IP:PORT"))?,
        route: args.text("route").unwrap_or("connector.room.join").to_owned(),
        body: args.value("body", Body::Raw)?,
        transport: match (args.given("ws"), args.given("tls")) {
            (false, false) => Transport::Tcp,
            (true, false) => Transport::WebSocket,
            (false, true) => Transport::Tls,
            (true, true) => return Err("--ws and --tls: one of them".to_owned()),
        },
        unordered: args.given("unordered"),
        servers: args.list("server-pid")?,
    };
    let window = seconds(&args, "secs", 2.0)?;
    let line = if args.given("idle") {
        let sessions = positive(&args, "idle", 1)?;
        json!(Generator::new(target)?.idle(sessions, window)?)
    } else {
        let load = Load {
            conns: positive(&args, "conns", 64)?,
            depth: positive(&args, "depth", 16)?,
            window,
            warm_up: seconds(&args, "warmup", 0.3)?,
            rate: args.text("rate").map(|_| rate(&args)).transpose()?,
            messages: args.text("messages").map(|_| positive(&args, "messages", 1)).transpose()?.map(|n| n as u64),
        };
        json!(Generator::new(target)?.load(&load)?)
    };
    Ok(line.to_string())
}

fn positive(args: &Args, name: &str, default: usize) -> Result<usize, String> {
    match args.value(name, default)? {
        0 => Err(format!("--{name} must be at least 1")),
        // Ids of requests in flight must differ, and so must the numbers of clients in their bodies.
        n if n > 6_000 && name == "depth" => Err("--depth is at most 6000".to_owned()),
        n if n > 900_000 => Err(format!("--{name} is at most 900000")),
        n => Ok(n),
    }
}

fn seconds(args: &Args, name: &str, default: f64) -> Result<Duration, String> {
    let secs: f64 = args.value(name, default)?;
    Duration::try_from_secs_f64(secs).map_err(|e| format!("--{name} {secs}: {e}"))
}

fn rate(args: &Args) -> Result<f64, String> {
    match args.value("rate", 0.0)? {
        rate if (1.0..=1e8).contains(&rate) => Ok(rate),
        rate => Err(format!("--rate {rate}: must lie between 1 and 100000000")),
    }
}
