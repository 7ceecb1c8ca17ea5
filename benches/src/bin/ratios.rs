//! The one command: runs every variant against its baseline and prints the ratios.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use pitaya_benches::args::Args;
use pitaya_benches::judge::{self, median, range};
use pitaya_benches::procfs;
use pitaya_benches::report::{IdleReport, LoadReport};
use pitaya_benches::server::{Bench, installed, total_calls};
use pitaya_benches::variant::{self, CONNS, DEPTH, MAX_IDLE_BYTES, MAX_SYSCALLS, Program, Variant};
use serde_json::json;

const USAGE: &str =
    "usage: ratios [--rounds 5] [--secs 2] [--only NAME,..] [--conns 64] [--depth 16] [--quick] [--check]
  --syscalls  system calls per message instead of CPU (needs strace)
  --idle N    memory per idle session instead of CPU
  --all       CPU, then system calls, then memory of 5000 sessions
  --quick     2 rounds of 0.5 s: does everything run?
  --check     fail when a bound is exceeded, or cannot be shown to hold";

const OPTIONS: &[&str] = &["rounds", "secs", "only", "conns", "depth", "idle"];
const SWITCHES: &[&str] = &["help", "quick", "check", "syscalls", "all"];

fn main() -> ExitCode {
    match run() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("\ncheck failed:\n  {}", broken.join("\n  "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("ratios: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what `--check` complains of; always empty without it.
fn run() -> Result<Vec<String>, String> {
    let args = Args::parse(std::env::args().skip(1), OPTIONS, SWITCHES).map_err(|e| format!("{e}\n{USAGE}"))?;
    if args.given("help") {
        println!("{USAGE}");
        return Ok(Vec::new());
    }
    let quick = args.given("quick");
    let bench = Bench::new()?;
    let mut session = Session {
        log: bench.log("ratios")?,
        bench,
        conns: args.value("conns", CONNS)?,
        depth: args.value("depth", DEPTH)?,
        secs: args.value("secs", if quick { 0.5 } else { 2.0 })?,
        broken: Vec::new(),
    };
    let check = args.given("check");
    if check && (session.conns, session.depth) != (CONNS, DEPTH) {
        return Err(format!("--check: the bounds are stated for --conns {CONNS} --depth {DEPTH}"));
    }

    println!("# {}\n", procfs::machine());
    println!("Load average before: {}.", procfs::load_average());
    if !session.bench.pins() {
        println!("Not pinned (taskset or a second CPU is missing): the figures below are rough.");
    }
    let (variants, absent): (Vec<&Variant>, Vec<&Variant>) = variant::select(args.text("only"))?
        .into_iter()
        .partition(|variant| session.bench.absent(variant.program).is_none());
    if let Some(why) = absent.first().and_then(|variant| session.bench.absent(variant.program)) {
        let names: Vec<&str> = absent.iter().map(|variant| variant.name).collect();
        println!("Absent: {} ({why}).", names.join(", "));
        session.broken.push(format!("absent: {}", names.join(", ")));
    }
    let (syscalls, idle, all) = (args.given("syscalls"), args.given("idle"), args.given("all"));
    if all || !(syscalls || idle) {
        session.ratios(&variants, args.value("rounds", if quick { 2 } else { 5 })?)?;
    }
    if all || syscalls {
        session.syscalls(&variants)?;
    }
    if all || idle {
        session.idle(args.value("idle", 5_000)?)?;
    }
    println!("\nLoad average after: {}.", procfs::load_average());
    Ok(if check { session.broken } else { Vec::new() })
}

struct Session {
    bench: Bench,
    conns: usize,
    depth: usize,
    secs: f64,
    /// Every run as a line of JSON.
    log: fs::File,
    /// Bounds that do not hold or could not be shown to hold.
    broken: Vec<String>,
}

impl Session {
    fn record(&mut self, line: &serde_json::Value) -> Result<(), String> {
        writeln!(self.log, "{line}").map_err(|e| format!("results: {e}"))
    }

    fn load_args(&self) -> Vec<String> {
        let (conns, depth, secs) = (self.conns, self.depth, self.secs);
        let warm_up = secs.min(1.0) * 0.3;
        ["--conns", &conns.to_string(), "--depth", &depth.to_string(), "--secs", &secs.to_string()]
            .into_iter()
            .chain(["--warmup", &warm_up.to_string()])
            .map(str::to_owned)
            .collect()
    }

    fn ratios(&mut self, variants: &[&'static Variant], rounds: usize) -> Result<(), String> {
        let mut runs: Vec<Vec<LoadReport>> = vec![Vec::new(); variants.len()];
        for round in 1..=rounds {
            // One after the other within a round, so that a busy minute hits a variant and its baseline alike.
            for (variant, runs) in variants.iter().zip(&mut runs) {
                let server = self.bench.serve(variant.program, variant.web_socket, None)?;
                let report: LoadReport = self
                    .bench
                    .generate(&server, variant, &self.load_args())
                    .map_err(|why| format!("{}: {why}", variant.name))?;
                self.record(&json!({"variant": variant.name, "round": round, "conns": self.conns,
                    "depth": self.depth, "load_average": procfs::load_average(), "report": report}))?;
                eprintln!("round {round}/{rounds}: {:8} {:.3} us", variant.name, report.server_us_per_msg);
                runs.push(report);
            }
        }
        println!("\n{} connections, depth {}, {rounds} rounds of {} s, medians:\n", self.conns, self.depth, self.secs);
        println!(
            "| variant | msgs/s | server CPU us/msg (range) | ratio (range) | bound | p99 us | server CPU % | generator CPU % |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let mut notes = Vec::new();
        let bounded = (self.conns, self.depth) == (CONNS, DEPTH);
        for (variant, own) in variants.iter().zip(&runs) {
            let middle = |field: fn(&LoadReport) -> f64| median(own.iter().map(field));
            let (min, max) = range(own.iter().map(|run| run.server_us_per_msg));
            let baseline = variants.iter().zip(&runs).find(|(v, _)| Some(v.name) == variant.baseline);
            let bound = variant.bound.filter(|_| bounded);
            let ratio = match baseline.map(|(_, base)| judge::ratio(own, base)) {
                None => {
                    if let Some(why) = own.iter().find_map(|run| run.first_error.as_ref()) {
                        notes.push(format!("{}: failures, the first: {why}", variant.name));
                    }
                    "1".to_owned()
                }
                Some(Err(refusal)) => {
                    notes.push(format!("{}: no ratio, {refusal}.", variant.name));
                    if bound.is_some() {
                        self.broken.push(format!("{}: {refusal}", variant.name));
                    }
                    "refused".to_owned()
                }
                Some(Ok(ratio)) => {
                    if let Some(bound) = bound.filter(|bound| ratio.median > *bound) {
                        self.broken.push(format!("{}: {:.2} x, bound {bound} x", variant.name, ratio.median));
                    }
                    format!("**{:.2}** ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max)
                }
            };
            println!(
                "| {} (`{}`) | {:.0} | {:.3} ({min:.3}..{max:.3}) | {ratio} | {} | {:.0} | {:.0} | {:.0} |",
                variant.title,
                variant.name,
                middle(|run| run.msgs_per_sec),
                middle(|run| run.server_us_per_msg),
                bound.map_or("-".to_owned(), |bound| format!("{bound}")),
                middle(|run| run.p99_us),
                middle(|run| run.server_percent),
                middle(|run| run.generator_percent),
            );
        }
        notes.iter().for_each(|note| println!("\n{note}"));
        Ok(())
    }

    fn syscalls(&mut self, variants: &[&'static Variant]) -> Result<(), String> {
        if !installed("strace") {
            println!("\nSystem calls: strace is not installed.");
            self.broken.push("system calls: strace is not installed".to_owned());
            return Ok(());
        }
        println!("\n| variant | messages | system calls per message | bound |\n|---|---|---|---|");
        for variant in variants {
            let summary = self.bench.results().join(format!("strace-{}.txt", variant.name));
            // A summary of an earlier run must not be taken for this one's.
            let _ = fs::remove_file(&summary);
            let server = self.bench.serve(variant.program, variant.web_socket, Some(&summary))?;
            let report: LoadReport = self.bench.generate(&server, variant, &self.load_args())?;
            drop(server);
            let calls = wait_for_summary(&summary)?;
            let per_msg = calls as f64 / report.answers.max(1) as f64;
            let ours = !matches!(variant.program, Program::Bare(_));
            let bound = (ours && (self.conns, self.depth) == (CONNS, DEPTH)).then_some(MAX_SYSCALLS);
            if report.errors > 0 {
                self.broken.push(format!("{}: {} failures under strace", variant.name, report.errors));
            } else if bound.is_some_and(|bound| per_msg > bound) {
                self.broken
                    .push(format!("{}: {per_msg:.3} system calls a message, bound {MAX_SYSCALLS}", variant.name));
            }
            println!(
                "| {} (`{}`) | {} | {per_msg:.3} | {} |",
                variant.title,
                variant.name,
                report.answers,
                bound.map_or("-".to_owned(), |bound| bound.to_string())
            );
            self.record(&json!({"variant": variant.name, "system_calls": calls, "report": report}))?;
        }
        Ok(())
    }

    fn idle(&mut self, sessions: usize) -> Result<(), String> {
        println!("\n| idle sessions | server | bytes per session | bound | opened per second |\n|---|---|---|---|---|");
        let rows = [
            ("bare, no buffers held", Program::Bare("lean"), false, None),
            ("framework, TCP", Program::Project, false, Some(MAX_IDLE_BYTES)),
            ("framework, WebSocket", Program::Project, true, None),
        ];
        for (title, program, web_socket, bound) in rows {
            if let Some(why) = self.bench.absent(program) {
                println!("| {sessions} | {title} | absent: {why} | - | - |");
                self.broken.extend(bound.map(|_| format!("idle, {title}: absent")));
                continue;
            }
            let server = self.bench.serve(program, web_socket, None)?;
            let (name, route) = ("idle", "connector.room.join");
            let row = Variant { name, title, program, route, body: "raw", web_socket, baseline: None, bound };
            let args = ["--idle", &sessions.to_string(), "--secs", "0.5"].map(str::to_owned);
            let report: IdleReport = self.bench.generate(&server, &row, &args)?;
            if report.errors > 0 {
                self.broken.push(format!("idle, {title}: {} sessions lost", report.errors));
            }
            if bound.is_some_and(|bound| report.bytes_per_session > bound) {
                self.broken.push(format!("idle, {title}: {:.0} bytes a session", report.bytes_per_session));
            }
            println!(
                "| {sessions} | {title} | {:.0} | {} | {:.0} |",
                report.bytes_per_session,
                bound.map_or("-".to_owned(), |bound| format!("{bound}")),
                report.sessions_per_sec
            );
            self.record(&json!({"idle": title, "report": report}))?;
        }
        Ok(())
    }
}

/// The tracer writes its summary after the server's end.
fn wait_for_summary(path: &Path) -> Result<u64, String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(calls) = fs::read_to_string(path).ok().as_deref().and_then(total_calls) {
            return Ok(calls);
        }
        if Instant::now() > deadline {
            return Err(format!("strace wrote no summary to {} (is ptrace allowed here?)", path.display()));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
