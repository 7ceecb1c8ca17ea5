//! Clients that come, say who they are, ask once and go: a login storm, or, when it goes on, churn.

use std::process::ExitCode;
use std::time::Duration;

use pitaya_benches::args::Args;
use pitaya_benches::crowd::Crowd;
use pitaya_benches::player::Event;
use pitaya_benches::procfs::{self, Cost};
use pitaya_benches::report::{LoadReport, LoginReport};
use pitaya_benches::tally::Tally;
use serde_json::json;

const USAGE: &str = "usage: logins --addr HOST:PORT [--count 10000] [--at-once 200] [--secs S] [--server-pid PID,..]
  --secs S     for so long instead of a count";
const BIND: &str = "connector.room.bindto";
const ASK: &str = "connector.room.join";
/// How long one client may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the last one has gone: what the server still does for them belongs to them.
const SETTLE: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("logins: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let args = Args::parse(std::env::args().skip(1), &["addr", "count", "at-once", "secs", "server-pid"], &[]);
    let args = args.map_err(|e| format!("{e}\n{USAGE}"))?;
    let addr = args.text("addr").ok_or(USAGE)?;
    let storm = Storm {
        crowd: Crowd::new(addr.parse().map_err(|_| format!("--addr: {addr:?} is no IP:PORT"))?)?,
        visits: Vec::new(),
        tally: Tally::default(),
        servers: args.list("server-pid")?,
    };
    let end = match args.text("secs") {
        Some(_) => End::After(Duration::from_secs_f64(args.value("secs", 1.0)?)),
        None => End::Count(args.value("count", 10_000)?),
    };
    Ok(json!(storm.run(args.value("at-once", 200)?, end)?).to_string())
}

#[derive(Clone, Copy)]
enum End {
    Count(u64),
    After(Duration),
}

/// One client on its way.
#[derive(Clone)]
struct Visit {
    uid: String,
    since: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Dialled,
    Bound,
    Asked,
    Gone,
}

struct Storm {
    crowd: Crowd,
    /// By the number the crowd gives.
    visits: Vec<Visit>,
    tally: Tally,
    servers: Vec<u32>,
}

impl Storm {
    fn run(mut self, at_once: usize, end: End) -> Result<LoginReport, String> {
        let (before, start) = (Cost::now(&self.servers)?, self.crowd.now());
        self.tally.open(start..u64::MAX);
        let mut came = 0;
        let mut settled = None;
        let mut here = 0;
        loop {
            let (more, tenth) = match end {
                End::Count(count) => (came < count, self.tally.answers >= count / 10),
                End::After(time) => {
                    let spent = self.crowd.now() - start;
                    (u128::from(spent) < time.as_nanos(), u128::from(spent) > time.as_nanos() / 10)
                }
            };
            if settled.is_none() && tenth {
                settled = Some(self.memory()?);
            }
            if !more && here == 0 {
                break;
            }
            if more && here < at_once {
                self.come(came)?;
                came += 1;
                here += 1;
                continue;
            }
            here -= self.turn()?;
        }
        let secs = (self.crowd.now() - start) as f64 / 1e9;
        std::thread::sleep(SETTLE);
        let after = Cost::now(&self.servers)?;
        let settled = settled.unwrap_or_default();
        let growth_percent = if settled > 0.0 { (self.memory()? / settled - 1.0) * 100.0 } else { 0.0 };
        let generator = after.generator - before.generator;
        let load = LoadReport::new(self.tally, secs, generator, &after.servers_since(&before));
        Ok(LoginReport { load, growth_percent })
    }

    fn come(&mut self, number: u64) -> Result<(), String> {
        let since = self.crowd.now();
        let at = self.crowd.dial(None)?;
        let visit = Visit { uid: format!("u{number:07}"), since, stage: Stage::Dialled };
        if at == self.visits.len() {
            self.visits.push(visit);
        } else {
            self.visits[at] = visit;
        }
        Ok(())
    }

    /// Returns how many have gone.
    fn turn(&mut self) -> Result<usize, String> {
        let (visits, tally) = (&mut self.visits, &mut self.tally);
        let mut stepped = Vec::new();
        let heard = |at: usize, event: Event<'_>, now: u64| {
            let visit = &mut visits[at];
            let (right, next) = match (visit.stage, event) {
                (Stage::Dialled, Event::Ready) => (true, Stage::Bound),
                // A bare server sends back what it gets.
                (Stage::Bound, Event::Answer(body)) => (body == b"bound" || body == visit.uid.as_bytes(), Stage::Asked),
                (Stage::Asked, Event::Answer(body)) => (body == visit.uid.as_bytes(), Stage::Gone),
                _ => (false, Stage::Gone),
            };
            if !right {
                tally.fail(1, || format!("a wrong answer to {}", visit.uid));
            } else if next == Stage::Gone {
                tally.answered(visit.since, now);
            }
            visit.stage = next;
            stepped.push(at);
        };
        self.crowd.turn(Duration::from_millis(100), heard)?;
        if stepped.is_empty() {
            let now = self.crowd.now();
            let waiting = |visit: &Visit| visit.stage != Stage::Gone && now - visit.since > PATIENCE.as_nanos() as u64;
            if self.visits.iter().any(waiting) {
                return Err("a client had no answer in 10 s".to_owned());
            }
        }
        let mut gone = 0;
        for at in stepped {
            let visit = &self.visits[at];
            match visit.stage {
                Stage::Bound => self.crowd.request(at, BIND, visit.uid.as_bytes())?,
                Stage::Asked => self.crowd.request(at, ASK, visit.uid.as_bytes())?,
                _ => {
                    self.crowd.leave(at);
                    gone += 1;
                }
            }
        }
        Ok(gone)
    }

    fn memory(&self) -> Result<f64, String> {
        let bytes: Result<u64, String> = self.servers.iter().map(|pid| procfs::resident_bytes(*pid)).sum();
        Ok(bytes? as f64)
    }
}
