//! Whole processes, as an orchestrator has them.

use crate::support::{SOON, ask, ready};
use pitaya_client::Client;
use pitaya_tests::binary;
use pitaya_tests::process::Conformance;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

/// What Kubernetes does: the hook, then SIGTERM. The player finishes meanwhile.
#[tokio::test]
async fn the_hook_and_then_the_signal() {
    let at = free();
    let mut server = Conformance::start(
        &[],
        &[
            ("PITAYA_HEALTH_ENABLED", "true"),
            ("PITAYA_HEALTH_PRESTOP_ENABLED", "true"),
            ("PITAYA_HEALTH_PRESTOP_DELAY", "10ms"),
            ("PITAYA_METRICS_PROMETHEUS_PORT", &at.port().to_string()),
            ("PITAYA_SESSION_DRAIN_ENABLED", "true"),
        ],
    );
    ready(at, 200, "").await;
    let client = Client::connect(&format!("tcp://{}", server.address())).await.expect("accepted");
    let ending = tokio::spawn(async move { ask(at, "GET /pre-stop").await });
    ready(at, 503, "app: draining\n").await;
    assert!(!ending.is_finished());
    drop(client);
    let ended = timeout(SOON, ending).await.expect("in time").expect("no panic").expect("an answer");
    assert_eq!(ended, (200, "drained: 0 sessions left\n".to_owned()));
    assert!(server.is_alive(), "it waits for the signal");
    assert!(server.terminate().success());
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All file descriptors are players': nobody is to be sent here, and nobody is to end it.
#[tokio::test]
async fn a_process_without_file_descriptors_lives_and_is_not_ready() {
    let (at, players) = (free(), free());
    let shell =
        format!("ulimit -n 64; exec '{}' -standalone -addr {players}", binary::example("conformance").display());
    let mut command = Command::new("bash");
    command.args(["-c", &shell]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("PITAYA_HEALTH_ENABLED", "true").env("PITAYA_METRICS_PROMETHEUS_PORT", at.port().to_string());
    // More than it can have.
    command.env("PITAYA_LIMITS_CONNECTIONS_TOTAL", "1000");
    let _server = Killed(command.spawn().expect("there is a bash"));
    let end = tokio::time::Instant::now() + SOON;
    while ask(at, "GET /livez").await.is_err() {
        assert!(tokio::time::Instant::now() < end, "it does not start");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    ready(at, 200, "").await;
    let mut crowd = Vec::new();
    // Silent ones at the admin port take no descriptor that a probe needs.
    for _ in 0..20 {
        crowd.push(TcpStream::connect(at).await.expect("the system takes it"));
    }
    for _ in 0..200 {
        crowd.push(TcpStream::connect(players).await.expect("the system takes it"));
    }
    ready(at, 503, "acceptors: no file descriptor is left").await;
    // For as long as they are there, whatever is free for a moment.
    for _ in 0..50 {
        let (status, body) = ask(at, "GET /readyz").await.expect("an answer");
        assert_eq!(status, 503, "{body}");
        assert_eq!(ask(at, "GET /livez").await.expect("an answer").0, 200);
    }
    drop(crowd);
    ready(at, 200, "").await;
}
