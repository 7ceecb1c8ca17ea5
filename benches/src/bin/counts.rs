//! The gate: instructions and system calls per message, against the baseline that stands in the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use pitaya_benches::args::Args;
use pitaya_benches::counts::{COUNTED, Count, Counts, LENGTHS, TRACED_LENGTHS, excesses, regressions};
use pitaya_benches::judge::{median, range};
use pitaya_benches::server::{Bench, installed};
use pitaya_benches::suite::row::Row;
use pitaya_benches::suite::stage::Stage;

const USAGE: &str = "usage: counts [--rounds 1] [--check] [--bounds] [--update]
  --check     fail when a count has grown past the baseline's
  --bounds    fail when a raw message takes more instructions than it may, compared with the bare server's
  --update    write the baseline, benches/baseline.json";
const BASELINE: &str = "benches/baseline.json";
/// How long a tool may take to write what it counted.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match run() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("\ncheck failed:\n  {}", broken.join("\n  "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("counts: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what `--check` and `--bounds` complain of; always empty without them.
fn run() -> Result<Vec<String>, String> {
    let args = Args::parse(std::env::args().skip(1), &["rounds"], &["help", "check", "bounds", "update"]);
    let args = args.map_err(|e| format!("{e}\n{USAGE}"))?;
    if args.given("help") {
        println!("{USAGE}");
        return Ok(Vec::new());
    }
    let missing: Vec<&str> =
        ["valgrind", "callgrind_control", "strace"].into_iter().filter(|tool| !installed(tool)).collect();
    if !missing.is_empty() {
        return Err(format!("not installed: {}", missing.join(", ")));
    }
    let rounds: usize = args.value("rounds", 1)?;
    let counter = Counter { results: Bench::new()?.results(), stage: Stage::new(Bench::new()?, 1.0)? };
    let before: Counts = match fs::read_to_string(BASELINE) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| format!("{BASELINE}: {e}"))?,
        Err(_) => Counts::new(),
    };
    println!(
        "| row | instructions a message (range) | baseline | of the bare server | system calls a message | baseline |"
    );
    println!("|---|---|---|---|---|---|");
    let mut now = Counts::new();
    for counted in COUNTED {
        let row = &counted.row;
        let mut runs = Vec::new();
        for _ in 0..rounds {
            runs.push(counter.count(row).map_err(|why| format!("{}: {why}", row.name))?);
        }
        let instructions = || runs.iter().map(|count| count.instructions);
        let (min, max) = range(instructions());
        let count = Count {
            instructions: median(instructions()),
            system_calls: median(runs.iter().map(|count| count.system_calls)),
        };
        let was = before.get(row.name);
        let times = counted.by.and_then(|by| now.get(by)).map(|bare: &Count| count.instructions / bare.instructions);
        println!(
            "| `{}` | {:.0} ({min:.0}..{max:.0}) | {} | {} | {:.3} | {} |",
            row.name,
            count.instructions,
            was.map_or_else(|| "–".to_owned(), |was| format!("{:.0}", was.instructions)),
            times.map_or_else(|| "–".to_owned(), |times| format!("{times:.2}")),
            count.system_calls,
            was.map_or_else(|| "–".to_owned(), |was| format!("{:.3}", was.system_calls)),
        );
        now.insert(row.name.to_owned(), count);
    }
    if args.given("update") {
        let text = serde_json::to_string_pretty(&now).map_err(|e| e.to_string())? + "\n";
        fs::write(BASELINE, text).map_err(|e| format!("{BASELINE}: {e}"))?;
        println!("\n{BASELINE} is written.");
    }
    let mut broken = Vec::new();
    if args.given("check") {
        broken.extend(regressions(&now, if args.given("update") { &now } else { &before }));
    }
    if args.given("bounds") {
        broken.extend(excesses(&now));
    }
    Ok(broken)
}

struct Counter {
    results: PathBuf,
    stage: Stage,
}

impl Counter {
    fn count(&self, row: &Row) -> Result<Count, String> {
        let per_message = |[short, long]: [u64; 2], [a, b]: [u64; 2]| (b as f64 - a as f64) / (long - short) as f64;
        let [short, long] = TRACED_LENGTHS;
        let system_calls = [self.system_calls(row, short)?, self.system_calls(row, long)?];
        Ok(Count {
            instructions: per_message(LENGTHS, self.instructions(row)?),
            system_calls: per_message(TRACED_LENGTHS, system_calls),
        })
    }

    /// Of both lengths, on one server: after each the tool writes what was counted since it last did.
    fn instructions(&self, row: &Row) -> Result<[u64; 2], String> {
        let out = self.results.join(format!("callgrind-{}", std::process::id()));
        let dump = |number: usize| PathBuf::from(format!("{}.{number}", out.display()));
        let mut wrapper = Command::new("valgrind");
        wrapper.args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
        let running = self.stage.start_in(wrapper, row)?;
        let mut counts = [0; 2];
        // The first run is for what is done once: it is written, and not counted.
        for (number, messages) in [LENGTHS[0], LENGTHS[0], LENGTHS[1]].into_iter().enumerate() {
            self.stage.exactly(row, &running, messages)?;
            let written = dump(number + 1);
            let mut control = Command::new("callgrind_control");
            let output = control.args(["-d", &running.pid().to_string()]).output();
            output.map_err(|e| format!("callgrind_control: {e}"))?;
            let count = awaited(&written, instructions_in)?;
            let _ = fs::remove_file(&written);
            if number > 0 {
                counts[number - 1] = count;
            }
        }
        drop(running);
        let _ = fs::remove_file(&out);
        Ok(counts)
    }

    fn system_calls(&self, row: &Row, messages: u64) -> Result<u64, String> {
        let out = self.results.join(format!("strace-{}", std::process::id()));
        // A summary of an earlier run must not be taken for this one's.
        let _ = fs::remove_file(&out);
        let mut wrapper = Command::new("strace");
        // -D: the tracer is the grandchild, so that the process we know and end is the server.
        wrapper.args(["-D", "-f", "-c", "-o"]).arg(&out);
        let running = self.stage.start_in(wrapper, row)?;
        self.stage.exactly(row, &running, messages)?;
        drop(running);
        let calls = awaited(&out, pitaya_benches::server::total_calls);
        let _ = fs::remove_file(&out);
        calls
    }
}

/// What a tool counted, once it has written it.
fn awaited(path: &Path, read: impl Fn(&str) -> Option<u64>) -> Result<u64, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(count) = fs::read_to_string(path).ok().as_deref().and_then(&read) {
            return Ok(count);
        }
        if Instant::now() > deadline {
            return Err(format!("{} was not written (is ptrace allowed here?)", path.display()));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The last line of what callgrind writes.
fn instructions_in(dump: &str) -> Option<u64> {
    dump.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}
