//! Mixed clusters: our servers and Go Pitaya's in one, over a real nats-server and a real etcd.
//!
//! `tests/interop/go/run mixed` starts the brokers, builds the Go server of `tests/interop/go/peer` and then this. Every case
//! runs in each pair of a frontend and a backend, in each serializer. Go with Go is the oracle: what passes there is what
//! Go does, and ours must be told from it only where a case names the difference.

mod body;
mod cases;
mod cluster;
mod etcd;
mod player;
mod server;

use body::Codec;
use cluster::{Cluster, Row};
use server::Program;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    if std::env::var_os("INTEROP_PEER").is_none() {
        println!(
            "interop with Go: skipped: tests/interop/go/run runs it, where PITAYA_GO_DIR names a checkout of Go Pitaya"
        );
        return ExitCode::SUCCESS;
    }
    // As for any test: words are parts of names, the rest is for another harness.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = 0;
    for row in rows() {
        failed += run(row, &wanted);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The pairs in `INTEROP_COMBINATIONS`, written `go/ours go/go`; all four without it. Each in both serializers.
fn rows() -> Vec<Row> {
    let combinations = std::env::var("INTEROP_COMBINATIONS").unwrap_or_default();
    let combinations =
        if combinations.is_empty() { "go/go go/ours ours/go ours/ours".to_owned() } else { combinations };
    let pair = |text: &str| {
        let (front, back) = text.split_once('/').unwrap_or_else(|| panic!("{text}: a frontend, a slash, a backend"));
        (Program::named(front), Program::named(back))
    };
    let pairs = combinations.split_whitespace().map(pair);
    pairs.flat_map(|(front, back)| [Codec::Json, Codec::Protobuf].map(|codec| Row { front, back, codec })).collect()
}

/// Runs the cases of a row, one after the other in one cluster, and counts those that failed.
fn run(row: Row, wanted: &[String]) -> usize {
    let cases =
        || cases::ALL.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| name.contains(word)));
    let started = Instant::now();
    // What went wrong has been told when this returns: a panic prints itself.
    let Ok(cluster) = catch_unwind(|| Cluster::start(row)) else {
        println!("{row}: FAILED: the cluster did not start");
        return cases().count();
    };
    println!("{row}: three servers know each other after {} ms", started.elapsed().as_millis());
    let mut failed = 0;
    for (name, case) in cases() {
        let started = Instant::now();
        cluster.logs().for_each(drop);
        let passed = catch_unwind(AssertUnwindSafe(|| case(&cluster))).is_ok();
        println!("{row}: {} {name}, {} ms", if passed { "ok" } else { "FAILED" }, started.elapsed().as_millis());
        if !passed {
            failed += 1;
            cluster.logs().for_each(|line| println!("{row}: {line}"));
        }
    }
    println!("{row}: {} passed, {failed} failed, {} ms", cases().count() - failed, started.elapsed().as_millis());
    failed
}
