//! The real Prometheus, and its linter.

use crate::game::{PATIENCE, eventually};
use pitaya_tests::binary;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example, with bots that play, and where its metrics are.
fn example() -> (Running, SocketAddr) {
    let mut command = Command::new(binary::example("metrics"));
    command.args(["--port", "0", "--metrics-port", "0", "--bots", "2"]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the example starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.and_then(|address| address.parse().ok());
    (Running(child), address.unwrap_or_else(|| panic!("no address in {line:?}")))
}

/// The body of an answer.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    assert!(path != "/metrics" || head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    Ok(body.to_owned())
}

#[tokio::test]
async fn it_scrapes_and_answers_a_query() {
    let (_example, target) = example();
    let folder = tempfile::tempdir().expect("it works");
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "scrape_configs:\n  - job_name: pitaya\n    scrape_interval: 250ms\n    scrape_timeout: 250ms\n    static_configs: [{{ targets: [\"{target}\"] }}]\n"
    );
    std::fs::write(&config, text).expect("it works");
    let port = TcpListener::bind("127.0.0.1:0").expect("it works").local_addr().expect("it works");
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address={port}")).stderr(Stdio::null());
    let _prometheus = Running(command.spawn().expect("prometheus is installed: tests/run does it"));

    let ask = |query: &str| {
        let body = get(port, &format!("/api/v1/query?query={query}")).ok()?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        let result = answer["data"]["result"].as_array()?.clone();
        (!result.is_empty()).then_some(result)
    };
    let query = "pitaya_handler_response_time_ns%7Bstatus%3D%22ok%22,quantile%3D%220.99%22,platform%3D%22phone%22%7D";
    let result = eventually("Prometheus knows the response time", || ask(query)).await;
    let metric = &result[0]["metric"];
    for (label, value) in [
        ("route", "arena.arena.play"),
        ("type", "handler"),
        ("serverType", "arena"),
        ("game", "arena"),
        ("zone", "local"),
    ] {
        assert_eq!(metric[label], value, "{metric}");
    }
    let value: f64 = result[0]["value"][1].as_str().expect("it works").parse().expect("it works");
    assert!(value > 100.0, "{value} ns");
    eventually("and the example's own", || ask("pitaya_arena_shots_bucket")).await;
}

/// What the linter says of names that are Go's, and that we keep.
fn is_of_go(complaint: &str) -> bool {
    let (name, what) = complaint.split_once(' ').unwrap_or_default();
    match what {
        "label names should be written in 'snake_case' not 'camelCase'" => true, // serverType
        "metric names should not contain abbreviated units" => {
            ["pitaya_handler_response_time_ns", "pitaya_handler_handler_delay_ns"].contains(&name)
        }
        "counter metrics should have \"_total\" suffix" => name == "pitaya_acceptor_exceeded_rate_limiting",
        _ => false,
    }
}

#[tokio::test]
async fn its_linter_complains_of_gos_names_alone() {
    let (_example, target) = example();
    // Until everything has a value.
    let text = eventually("the bots have played", || {
        let text = get(target, "/metrics").ok()?;
        (text.contains("outcome=\"refused\"") && text.contains("code=\"ARENA-1\"")).then_some(text)
    })
    .await;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is installed: tests/run does it");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it works");
    let output = child.wait_with_output().expect("it works");
    let said =
        String::from_utf8(output.stderr).expect("it works") + &String::from_utf8(output.stdout).expect("it works");
    // 3 says that it read everything and has advice; a text that it cannot read is 1.
    assert!([Some(0), Some(3)].contains(&output.status.code()), "{said}\n{text}");
    let others: Vec<_> = said.lines().filter(|line| !is_of_go(line)).collect();
    assert!(others.is_empty(), "{others:#?}");
}
