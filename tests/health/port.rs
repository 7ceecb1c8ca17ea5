//! Who asks for nothing good at the admin port.

use crate::support::{Room, SOON, ask, get, probed, started};
use pitaya_tests::process::Conformance;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn one_that_drips_is_cut_and_is_in_nobodys_way() {
    let app = started(probed("game").handlers(Room::default())).await;
    let at = app.admin_address().expect("open");
    let begun = Instant::now();
    let (mut reading, mut writing) = TcpStream::connect(at).await.expect("accepted").into_split();
    let dripping = tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nA: ".iter().chain(std::iter::repeat(&b'x')) {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(get(&app, "/livez").await.0, 200);
    let mut answer = Vec::new();
    // Cut, with or without a reset, and without a word.
    let _ = timeout(SOON, reading.read_to_end(&mut answer)).await.expect("cut in time");
    assert_eq!(answer, b"");
    assert!(begun.elapsed() >= Duration::from_millis(900), "it had its time");
    timeout(SOON, dripping).await.expect("it notices").expect("no panic");
    app.shutdown().await;
}

#[tokio::test]
async fn heads_are_bounded_and_nonsense_refused() {
    let app = started(probed("game").handlers(Room::default())).await;
    let at = app.admin_address().expect("open");
    let long = format!("GET /livez HTTP/1.1\r\nCookie: {}", "x".repeat(100_000));
    assert_eq!(ask(at, &long).await.expect("an answer").0, 431);
    assert_eq!(ask(at, "\u{1}\u{0}{}").await.expect("an answer").0, 400);
    assert_eq!(ask(at, "DELETE /livez").await.expect("an answer"), (405, "GET or HEAD\n".to_owned()));
    assert_eq!(ask(at, "HEAD /livez").await.expect("an answer"), (200, String::new()));
    assert_eq!(ask(at, "GET /nothing").await.expect("an answer").0, 404);
    app.shutdown().await;
}

/// Opens a connection that says this and then nothing, or a byte now and then, and comes again when it is ended.
async fn hostile(at: std::net::SocketAddr, says: &'static [u8], drips: bool) {
    loop {
        let Ok(mut stream) = TcpStream::connect(at).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.write_all(says).await;
        let mut byte = [0];
        let ended = async {
            // What it is answered it reads byte by byte, or not at all.
            while !matches!(stream.read(&mut byte).await, Ok(0) | Err(_)) {
                sleep(Duration::from_millis(100)).await;
                if drips && stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(Duration::from_secs(2), ended).await;
    }
}

/// Asks from another address than the crowd's, as an orchestrator does.
async fn probe(at: std::net::SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
    let asking = async {
        let mut stream = socket.connect(at).await.expect("accepted");
        stream.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    timeout(SOON, asking).await.expect("an answer in time");
}

/// Silent ones, dripping ones, those who take the metrics and do not read them, those who ask for what does not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_connections_keep_no_probe_waiting() {
    let server = Conformance::start(
        &[],
        &[
            ("PITAYA_HEALTH_ENABLED", "true"),
            ("PITAYA_METRICS_PROMETHEUS_ENABLED", "true"),
            ("PITAYA_METRICS_PROMETHEUS_HOST", "127.0.0.1"),
            ("PITAYA_METRICS_PROMETHEUS_PORT", "0"),
            ("RUST_LOG", "info"),
        ],
    );
    let line = server.logged_before_ready().iter().find(|line| line.contains("on http://")).expect("the admin port");
    let (_, address) = line.split_once("on http://").expect("found");
    let at: std::net::SocketAddr = address.trim().parse().expect("an address");
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        match number % 4 {
            0 => crowd.spawn(hostile(at, b"", false)),
            1 => crowd.spawn(hostile(at, b"GET /livez HTTP/1.1\r\nA: ", true)),
            2 => crowd.spawn(hostile(at, b"GET /metrics HTTP/1.1\r\n\r\n", false)),
            _ => crowd.spawn(hostile(at, b"GET /livez HTTP/1.1\r\n\r\n", true)),
        };
    }
    // One that nobody attacks says what else the machine has to do.
    let calm = started(probed("game").handlers(Room::default())).await;
    let others = calm.admin_address().expect("open");
    let (mut took, mut elsewhere) = (Vec::new(), Vec::new());
    while took.len() < 100 {
        for (at, times) in [(at, &mut took), (others, &mut elsewhere)] {
            let begun = Instant::now();
            probe(at).await;
            times.push(begun.elapsed());
        }
        sleep(Duration::from_millis(10)).await;
    }
    took.sort_unstable();
    elsewhere.sort_unstable();
    let (middle, calm) = (took[50], elsewhere[50]);
    println!("livez under attack: p50 {middle:?}, p95 {:?}, longest {:?}; elsewhere {calm:?}", took[95], took[99]);
    assert!(middle < Duration::from_millis(50).max(calm * 4), "{took:?}");
    crowd.abort_all();
}
