//! The one command from end to end, with the bare servers only: it must run everywhere, also where nothing else is built.

use std::path::Path;
use std::process::{Command, Output};

use pitaya_benches::cluster::Brokers;
use pitaya_benches::report::{LoadReport, PushReport};
use pitaya_benches::server::{Server, free_port, report_of};

fn ratios(options: &str) -> Output {
    // The other two programs lie beside it: Cargo builds all of a package's programs for its integration tests.
    Command::new(env!("CARGO_BIN_EXE_ratios")).args(options.split_whitespace()).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The cells of the row whose name contains `name`.
fn row(table: &str, name: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.starts_with('|') && line.contains(name));
    let line = line.unwrap_or_else(|| panic!("no row {name:?} in\n{table}"));
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn a_table_with_a_ratio_or_the_reason_why_there_is_none() {
    let output = ratios("--rounds 2 --secs 0.2 --conns 4 --only lean,ws");
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    for name in ["(`echo`)", "(`lean`)", "(`ws`)"] {
        let rate: f64 = row(&table, name)[1].parse().expect("a rate");
        assert!(rate > 0.0, "{table}");
    }
    assert_eq!(row(&table, "(`echo`)")[3], "1");
    let ratio = &row(&table, "(`lean`)")[3];
    assert!(ratio.starts_with("**") || table.contains("\nlean: no ratio, "), "{table}");
    assert!(table.contains("Load average before: "), "{table}");
}

#[test]
fn the_memory_of_an_idle_session_is_a_plausible_figure() {
    let output = ratios("--idle 300 --only echo");
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    let bytes: f64 = row(&table, "bare, no buffers held")[2].parse().expect("a number");
    assert!((200.0..8_000.0).contains(&bytes), "{table}");
}

#[test]
fn a_check_under_another_load_and_an_unknown_variant_are_refused() {
    let output = ratios("--check --depth 1");
    assert!(!output.status.success());
    assert_eq!(text(&output.stderr), "ratios: --check: the bounds are stated for --conns 64 --depth 16\n");
    let output = ratios("--only sink");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("unknown variant \"sink\""));
}

#[test]
fn the_multiplexer_gets_every_answer_and_says_when_nobody_is_there() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let brokers = Brokers::start(folder).expect("brokers");
    let url = brokers.nats_url();
    let request = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mux"));
        command.args(["request", "--nats", &url, "--in-flight", "8", "--secs", "0.2", "--warmup", "0"]);
        command
    };
    assert_eq!(report_of::<LoadReport>(&mut request()).unwrap_err(), "mux: the broker answered with status 503");

    let mut respond = Command::new(env!("CARGO_BIN_EXE_mux"));
    let addr = free_port().expect("a port");
    let responder = Server::start(respond.args(["respond", "--nats", &url]), addr).expect("a responder");
    let pids = format!("{},{}", responder.pid(), brokers.nats_pid());
    let report: LoadReport = report_of(request().args(["--server-pid", &pids])).expect("a report");
    assert_eq!((report.errors, report.each_us_per_msg.len()), (0, 2), "{report:?}");
    assert!(report.msgs > 100 && report.answers >= report.msgs + 8, "{report:?}");
}

#[test]
fn the_suite_answers_with_rows_and_claims() {
    let suite = |options: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_suite")).args(options.split_whitespace()).output();
        output.expect("it starts")
    };
    let output = suite("--only S5,S11 --rounds 2 --secs 0.2");
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    for name in ["`bare`", "`bare-1`"] {
        assert!(row(&table, name)[1].parse::<f64>().expect("a rate") > 0.0, "{table}");
    }
    assert!(table.contains("| | 16 in flight, of bare tokio-rustls | "), "{table}");
    assert_eq!(text(&suite("--only S99").stderr), "suite: --only: no scenario \"S99\"; there are S1 to S16\n");
}

#[test]
fn a_push_is_heard_by_everybody_who_reads() {
    let addr = free_port().expect("a port");
    let mut bare = Command::new(env!("CARGO_BIN_EXE_baseline"));
    let server = Server::start(bare.args(["broadcast", &addr.to_string()]), addr).expect("a server");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushes"));
    command.args(["--addr", &addr.to_string(), "--server-pid", &server.pid().to_string()]);
    let report: PushReport =
        report_of(command.args("--members 100 --rounds 5 --slow 10".split(' '))).expect("a report");
    // Two rounds come before the five; ten of a hundred read nothing.
    assert_eq!((report.load.errors, report.load.answers), (0, 7 * 90), "{report:?}");
    assert!(report.last_ms > 0.0 && report.load.max_us >= report.load.p50_us, "{report:?}");
}
