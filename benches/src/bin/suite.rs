//! The suite: every scenario against its baselines and peers in the same rounds; what it came to, as Markdown, JSON and SVG.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use pitaya_benches::args::Args;
use pitaya_benches::procfs;
use pitaya_benches::server::Bench;
use pitaya_benches::suite::claim::{Figure, Verdict};
use pitaya_benches::suite::results::{ClaimResult, Results, RowResult, Sample, ScenarioResult};
use pitaya_benches::suite::row::{Drive, Row};
use pitaya_benches::suite::scenarios::{SCENARIOS, Scenario};
use pitaya_benches::suite::stage::{Stage, USUAL_SECS};
use pitaya_benches::suite::{docs, plot, table};

const USAGE: &str = "usage: suite [--rounds 5] [--secs 2] [--only S1,S7,..] [--quick] [--check] [--docs]
  --quick     2 rounds of 0.5 s: does everything run?
  --check     fail when a bound is not kept, or cannot be shown to be
  --docs      write docs/performance.json and .svg, and the results in docs/performance.md; with --only, what was not run
              stays as it was
  --render    the same from the docs/performance.json that is there: nothing is measured";
const PAGE: &str = "docs/performance.md";
const DATA: &str = "docs/performance.json";
const PLOT: &str = "docs/performance.svg";

fn main() -> ExitCode {
    match run() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("\nsuite failed:\n  {}", broken.join("\n  "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("suite: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what fails the run: wrong answers always, bounds with `--check`.
fn run() -> Result<Vec<String>, String> {
    let switches = ["help", "quick", "check", "docs", "render"];
    let args = Args::parse(std::env::args().skip(1), &["rounds", "secs", "only"], &switches);
    let args = args.map_err(|e| format!("{e}\n{USAGE}"))?;
    if args.given("help") {
        println!("{USAGE}");
        return Ok(Vec::new());
    }
    if args.given("render") {
        publish(&read(Path::new(DATA))?)?;
        return Ok(Vec::new());
    }
    let quick = args.given("quick");
    let scenarios = select(&args.list("only")?)?;
    let bench = Bench::new()?;
    let kept = bench.results().join("suite.json");
    let mut results = Results {
        date: today(),
        command: std::iter::once("benches/run --suite".to_owned())
            .chain(std::env::args().skip(1))
            .collect::<Vec<_>>()
            .join(" "),
        machine: procfs::machine(),
        rounds: args.value("rounds", if quick { 2 } else { 5 })?,
        secs: args.value("secs", if quick { 0.5 } else { USUAL_SECS })?,
        scenarios: Vec::new(),
    };
    println!("# {}\n\nLoad average before: {}.", results.machine, procfs::load_average());
    if !bench.pins() {
        println!("Not pinned (taskset or a second CPU is missing): the figures below are rough.");
    }
    let mut stage = Stage::new(bench, results.secs)?;
    for scenario in scenarios {
        let result = play(&mut stage, scenario, results.rounds.min(scenario.rounds))?;
        println!("\n{}", table::rows(&result));
        results.scenarios.push(result);
        // Kept as it grows: an hour of measurements is not lost by its last minute.
        write(&kept, &json(&results)?)?;
    }
    println!("\n{}\nLoad average after: {}.", table::claims(&results), procfs::load_average());
    if args.given("docs") {
        publish(&merged(read(Path::new(DATA)).ok(), results.clone()))?;
    }
    let mut broken = results.failures();
    if args.given("check") {
        broken.extend(results.broken());
    }
    Ok(broken)
}

/// All rows of a scenario, one after the other within a round, so that a busy minute hits a row and its baseline alike.
fn play(stage: &mut Stage, scenario: &Scenario, rounds: usize) -> Result<ScenarioResult, String> {
    let before = procfs::load_average();
    let absent = absences(scenario.rows, |row| stage.absent(row));
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); scenario.rows.len()];
    for round in 0..rounds {
        for (at, row) in scenario.rows.iter().enumerate() {
            if absent[at].is_some() {
                continue;
            }
            let rate = match row.drive {
                Drive::HalfOf { row: of, .. } => {
                    let of = scenario.rows.iter().position(|row| row.name == of);
                    of.and_then(|of| samples[of].get(round))
                        .and_then(|sample| sample.figures.get(&Figure::Rate).copied())
                }
                _ => None,
            };
            let sample = stage.measure(row, rate).map_err(|why| format!("{} {}: {why}", scenario.id, row.name))?;
            let shown = |figure| {
                sample.figures.get(&figure).map_or_else(String::new, |value| format!(" {figure:?} {value:.3}"))
            };
            let figures =
                [Figure::Rate, Figure::Cpu, Figure::P99, Figure::Last, Figure::Bytes, Figure::Idle, Figure::Growth];
            let figures: String = figures.into_iter().map(shown).collect();
            eprintln!("{} round {}/{rounds}: {:14}{figures}", scenario.id, round + 1, row.name);
            samples[at].push(sample);
        }
    }
    stage.clear();
    let rows = scenario.rows.iter().zip(absent).zip(samples);
    let rows: Vec<RowResult> =
        rows.map(|((row, absent), rounds)| RowResult { name: row.name.to_owned(), absent, rounds }).collect();
    let claims = scenario.claims.iter().map(|claim| {
        let find = |name: &str| rows.iter().find(|row| row.name == name);
        let named: Vec<&RowResult> =
            std::iter::once(&claim.row).chain(claim.by).filter_map(|name| find(name)).collect();
        let of_peer = scenario.rows.iter().any(|row| row.rig.is_peer() && claim.by.contains(&row.name));
        let rounds_of = |names: &[&str]| -> Vec<&[Sample]> {
            names.iter().filter_map(|name| find(name)).map(|row| &*row.rounds).collect()
        };
        let (by, floor) = (rounds_of(claim.by), rounds_of(claim.floor));
        let at_best = claim.best(&by, &floor);
        let (ratio, verdict) = if let Some(why) = named.iter().find_map(|row| row.absent.clone()) {
            (None, Verdict::Absent { why })
        } else {
            match claim.ratio(&named[0].rounds, &by) {
                Ok(ratio) => {
                    let verdict = claim.verdict_at(&ratio, &named[0].rounds, &floor, at_best, rounds);
                    (Some(ratio.into()), verdict)
                }
                Err(why) => (None, Verdict::Refused { why }),
            }
        };
        ClaimResult { title: claim.title.to_owned(), must_be: claim.must_be(), of_peer, ratio, at_best, verdict }
    });
    let claims = claims.collect();
    Ok(ScenarioResult {
        id: scenario.id.to_owned(),
        title: scenario.title.to_owned(),
        load_average: [before, procfs::load_average()],
        rows,
        claims,
    })
}

/// Why a row cannot be measured, of each row: what it needs is missing, or that of the row before it whose rate it takes.
fn absences(rows: &[Row], absent: impl Fn(&Row) -> Option<String>) -> Vec<Option<String>> {
    let mut found: Vec<Option<String>> = Vec::with_capacity(rows.len());
    for row in rows {
        let source = match row.drive {
            Drive::HalfOf { row: of, .. } => rows.iter().position(|row| row.name == of),
            _ => None,
        };
        let inherited = source.and_then(|at| found.get(at).cloned().flatten());
        found.push(absent(row).or(inherited));
    }
    found
}

fn select(only: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if let Some(unknown) = only.iter().find(|id| !SCENARIOS.iter().any(|scenario| scenario.id == **id)) {
        return Err(format!("--only: no scenario {unknown:?}; there are S1 to S{}", SCENARIOS.len()));
    }
    let chosen = |scenario: &&Scenario| only.is_empty() || only.iter().any(|id| id == scenario.id);
    Ok(SCENARIOS.iter().filter(chosen).collect())
}

/// New results, and old ones of scenarios that were not run.
fn merged(old: Option<Results>, new: Results) -> Results {
    let Some(old) = old else { return new };
    let mut found: Vec<ScenarioResult> = new.scenarios.clone();
    found.extend(old.scenarios.into_iter().filter(|old| !new.scenarios.iter().any(|new| new.id == old.id)));
    found.sort_by_key(|scenario| SCENARIOS.iter().position(|known| known.id == scenario.id));
    Results { scenarios: found, ..new }
}

fn publish(results: &Results) -> Result<(), String> {
    write(Path::new(DATA), &json(results)?)?;
    write(Path::new(PLOT), &plot::svg(results))?;
    let page = fs::read_to_string(PAGE).map_err(|e| format!("{PAGE}: {e}"))?;
    write(Path::new(PAGE), &docs::with_results(&page, results)?)
}

fn read(path: &Path) -> Result<Results, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn json(results: &Results) -> Result<String, String> {
    serde_json::to_string(results).map(|text| text + "\n").map_err(|e| e.to_string())
}

/// As `2025-01-31`, in UTC; empty where there is no `date`.
fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_at_half_the_rate_of_an_absent_row_is_absent_too() {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.id == "S6").expect("latency at half of the capacity");
        let absent = absences(scenario.rows, |row| row.rig.is_peer().then(|| "no Go".to_owned()));
        for (row, absent) in scenario.rows.iter().zip(absent) {
            assert_eq!(absent.is_some(), row.name.contains("go"), "{}", row.name);
        }
    }
}
