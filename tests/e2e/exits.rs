//! Programs that cannot start say why, to people, and exit with 1.

use pitaya_tests::binary;
use std::net::TcpListener;
use std::process::{Command, Output};

const MANIFEST: &str = include_str!("../../examples/Cargo.toml");

/// Runs a program without the variables of the surrounding shell.
fn ran(example: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary::example(example));
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("PITAYA_")).for_each(
        |name| {
            command.env_remove(name);
        },
    );
    command.args(arguments).env_remove("RUST_LOG").envs(variables.iter().copied()).output().expect("it runs")
}

/// Asserts that it exited with 1, with a last line for people that has these parts.
fn says(example: &str, output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{example}: {said}");
    let last = said.lines().last().unwrap_or_default();
    for part in parts {
        assert!(last.contains(part), "{example}: no `{part}` in {said}");
    }
    for debug in [" { ", "([", "Err(", "Some(", "\\n", "Error: \""] {
        assert!(!last.contains(debug), "{example}: `{debug}` is for programmers: {said}");
    }
}

fn examples() -> Vec<&'static str> {
    let all = MANIFEST.split("[[example]]\nname = \"").skip(1);
    all.map(|rest| rest.split('"').next().expect("a name")).collect()
}

#[test]
fn a_value_that_cannot_be() {
    for example in examples() {
        let output = ran(example, &[], &[("PITAYA_HEARTBEAT_INTERVAL", "soon")]);
        says(example, &output, &["pitaya.heartbeat.interval", "soon", "PITAYA_HEARTBEAT_INTERVAL"]);
    }
}

#[test]
fn a_taken_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let port = address.port().to_string();
    for example in examples() {
        // Those that choose free ports by themselves get a taken admin port.
        let (arguments, admin): (&[&str], _) = match example {
            "chat" => (&["--port", &port, "--tcp-port", "0"], false),
            "tls" => (&["--port", &port, "--web-port", "0"], false),
            "cluster" => (&["--port", &port], false),
            "metrics" => (&["--port", &port, "--metrics-port", "0", "--bots", "0"], false),
            "conformance" => (&["-standalone", "-addr", &address.to_string()], false),
            _ => (&[], true),
        };
        let probes = [
            ("PITAYA_HEALTH_ENABLED", "true"),
            ("PITAYA_METRICS_PROMETHEUS_HOST", "127.0.0.1"),
            ("PITAYA_METRICS_PROMETHEUS_PORT", &*port),
        ];
        let output = ran(example, arguments, if admin { &probes } else { &[] });
        says(example, &output, &["cannot listen on", &address.to_string(), "another program"]);
    }
}

/// A broker that is away: the log says what is waited for, and the program ends.
#[test]
fn a_broker_that_is_away() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = closed.local_addr().expect("bound").to_string();
    drop(closed);
    let nats = format!("nats://{address}");
    let arguments = ["--role", "room", "--nats", &nats, "--etcd", &format!("http://{address}")];
    let output = ran("cluster", &arguments, &[("PITAYA_CLUSTER_RPC_CLIENT_NATS_MAXRECONNECTIONRETRIES", "1")]);
    says("cluster", &output, &["NATS", &address]);
    let log = String::from_utf8_lossy(&output.stderr);
    for part in ["INFO", "connecting to NATS", "waiting for NATS"] {
        assert!(log.contains(part), "no `{part}` in {log}");
    }
}
