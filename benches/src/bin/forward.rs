//! What a request costs that a frontend hands to a backend over NATS, divided by the least it could cost.

use std::fs;
use std::io::Write;
use std::process::{Command, ExitCode};

use pitaya_benches::args::Args;
use pitaya_benches::cluster::Brokers;
use pitaya_benches::forward::{CONNS, Cost, Load, ROUTE, ROWS, Rounds, Row};
use pitaya_benches::judge::{Refusal, median, range};
use pitaya_benches::procfs;
use pitaya_benches::report::LoadReport;
use pitaya_benches::server::{Bench, Server, free_port, report_of};
use pitaya_benches::variant::Program;
use serde_json::json;

const USAGE: &str = "usage: forward [--rounds 5] [--secs 2] [--quick] [--check]
  --quick     1 round of 0.5 s: does everything run?
  --check     fail when a bound is exceeded, or cannot be shown to hold";

fn main() -> ExitCode {
    match run() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("\ncheck failed:\n  {}", broken.join("\n  "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("forward: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what `--check` complains of; always empty without it.
fn run() -> Result<Vec<String>, String> {
    let switches = ["help", "quick", "check"];
    let args = Args::parse(std::env::args().skip(1), &["rounds", "secs"], &switches);
    let args = args.map_err(|e| format!("{e}\n{USAGE}"))?;
    if args.given("help") {
        println!("{USAGE}");
        return Ok(Vec::new());
    }
    let quick = args.given("quick");
    let rounds: usize = args.value("rounds", if quick { 1 } else { 5 })?;
    let bench = Bench::new()?;
    println!("# {}\n\nLoad average before: {}.", procfs::machine(), procfs::load_average());
    let missing = Brokers::missing();
    let absent = (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")));
    if let Some(why) = absent.or_else(|| bench.absent(Program::Project)) {
        println!("Nothing was measured ({why}).");
        return Ok(if args.given("check") { vec![why] } else { Vec::new() });
    }
    let mut session = Session {
        log: bench.log("forward")?,
        brokers: Brokers::start(&bench.results())?,
        bench,
        secs: args.value("secs", if quick { 0.5 } else { 2.0 })?,
        runs: Rounds::default(),
    };
    for round in 1..=rounds {
        session.round(round, rounds)?;
    }
    println!(
        "\n{CONNS} connections unless a row says more, {rounds} rounds of {} s, medians; CPU in us per request:\n",
        session.secs
    );
    let mut broken = session.print();
    println!("\nLoad average after: {}.", procfs::load_average());
    if rounds < 2 {
        broken.push(Refusal::TooFewRounds.to_string());
    }
    Ok(if args.given("check") { broken } else { Vec::new() })
}

struct Session {
    brokers: Brokers,
    /// Every run as a line of JSON.
    log: fs::File,
    bench: Bench,
    secs: f64,
    runs: Rounds,
}

impl Session {
    /// One after the other within a round, so that a busy minute hits a row and what it is divided by alike.
    fn round(&mut self, round: usize, rounds: usize) -> Result<(), String> {
        for (index, row) in ROWS.iter().enumerate() {
            let report = self.measure(row, round).map_err(|why| format!("{}: {why}", row.name))?;
            let cost = Cost::of(row.load, &report);
            let line = json!({"row": row.name, "round": round, "load_average": procfs::load_average(),
                "report": report});
            writeln!(self.log, "{line}").map_err(|e| format!("results: {e}"))?;
            let (rate, front, back) = (report.msgs_per_sec, cost.front, cost.back);
            eprintln!("round {round}/{rounds}: {:8} {rate:8.0} /s  {front:.2} + {back:.2} us", row.name);
            if report.errors > 0 {
                let first = report.first_error.unwrap_or_default();
                return Err(format!("{}: {}", row.name, Refusal::Failures(report.errors, first)));
            }
            self.runs.0[index].push(report);
        }
        Ok(())
    }

    fn measure(&self, row: &Row, round: usize) -> Result<LoadReport, String> {
        let broker = self.brokers.nats_pid();
        match row.load {
            Load::Echo { depth } => {
                let addr = free_port()?;
                let server = Server::start(self.bench.tool("baseline").args(["echo", &addr.to_string()]), addr)?;
                self.clients(&server, (CONNS, depth), &[server.pid()])
            }
            Load::Mux { in_flight } => {
                let url = self.brokers.nats_url();
                let mut respond = self.bench.tool("mux");
                // It listens at the broker, not at an address of its own.
                let responder = Server::start(respond.args(["respond", "--nats", &url]), free_port()?)?;
                let mut request = self.bench.tool("mux");
                request.args(["request", "--nats", &url, "--in-flight", &in_flight.to_string()]);
                self.run(&mut request, &[responder.pid(), broker])
            }
            Load::Bus { sessions, depth, plain } => {
                let url = self.brokers.nats_url();
                let plain = plain.then_some("--plain");
                let mut respond = self.bench.tool("bus");
                respond.args(["respond", "--nats", &url]).args(plain);
                let responder = Server::start(&mut respond, free_port()?)?;
                let mut request = self.bench.tool("bus");
                request.args(["request", "--nats", &url]).args(plain);
                request.args(["--sessions", &sessions.to_string(), "--depth", &depth.to_string()]);
                self.run(&mut request, &[responder.pid(), broker])
            }
            Load::Forwarded { conns, depth, plain } => {
                let pair =
                    self.brokers.pair(&self.bench.path(Program::Project), &format!("{}-{round}", row.name), plain)?;
                self.clients(&pair.front, (conns, depth), &[pair.front.pid(), pair.back.pid(), broker])
            }
        }
    }

    fn clients(&self, server: &Server, (conns, depth): (usize, usize), pids: &[u32]) -> Result<LoadReport, String> {
        let mut command = self.bench.tool("loadgen");
        command.args(["--addr", &server.addr().to_string(), "--route", ROUTE]);
        self.run(command.args(["--conns", &conns.to_string(), "--depth", &depth.to_string()]), pids)
    }

    fn run(&self, command: &mut Command, pids: &[u32]) -> Result<LoadReport, String> {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let (secs, warm_up) = (self.secs.to_string(), (self.secs.min(1.0) * 0.3).to_string());
        report_of(command.args(["--secs", &secs, "--warmup", &warm_up, "--server-pid", &pids.join(",")]))
    }

    /// The table; returns the bounds that do not hold or cannot be shown to hold.
    fn print(&self) -> Vec<String> {
        println!("| row | requests/s | front | back | both (range) | broker | ratio (range) | bound | p99 us |");
        println!("|---|---|---|---|---|---|---|---|---|");
        let (mut broken, mut notes) = (Vec::new(), Vec::new());
        for (row, runs) in ROWS.iter().zip(&self.runs.0) {
            let costs = || runs.iter().map(|run| Cost::of(row.load, run));
            let (min, max) = range(costs().map(|cost| cost.sides()));
            let ratio = match self.runs.ratio(row) {
                None => "-".to_owned(),
                Some(Err(refusal)) => {
                    notes.push(format!("{}: no ratio, {refusal}.", row.name));
                    broken.push(format!("{}: {refusal}", row.name));
                    "refused".to_owned()
                }
                Some(Ok(ratio)) => {
                    let shown = format!("{:.2} ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max);
                    if let Some(claim) = row.claim.filter(|claim| !claim.kept_by(&ratio)) {
                        broken.push(format!("{}: {shown}, bound {}", row.name, claim.bound()));
                    }
                    format!("**{:.2}** ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max)
                }
            };
            println!(
                "| {} (`{}`) | {:.0} | {:.2} | {:.2} | {:.2} ({min:.2}..{max:.2}) | {:.2} | {ratio} | {} | {:.0} |",
                row.title,
                row.name,
                median(runs.iter().map(|run| run.msgs_per_sec)),
                median(costs().map(|cost| cost.front)),
                median(costs().map(|cost| cost.back)),
                median(costs().map(|cost| cost.sides())),
                median(costs().map(|cost| cost.broker)),
                row.claim.map_or("-".to_owned(), |claim| claim.bound()),
                median(runs.iter().map(|run| run.p99_us)),
            );
        }
        notes.iter().for_each(|note| println!("\n{note}"));
        broken
    }
}
