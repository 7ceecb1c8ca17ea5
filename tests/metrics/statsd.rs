//! A StatsD server gets Datadog's lines.

use crate::game::{PATIENCE, connect, game, keys, serve};
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::ThreadLog;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

async fn listen(rate: f64) -> (Lines, Builder) {
    listen_to(rate, 1432).await
}

/// With datagrams of this size at most.
async fn listen_to(rate: f64, datagram: usize) -> (Lines, Builder) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("it works");
    let host = socket.local_addr().expect("it works").to_string();
    let keys = keys(&json!({
        "period": "50ms",
        "constlabels": { "zone": "e|u" },
        "statsd": { "enabled": true, "host": host, "prefix": "my.", "rate": rate, "datagram": datagram },
        "custom": {
            "counters": [{ "subsystem": "shop", "name": "sold", "labels": ["thing"] }],
            "gauges": [{ "subsystem": "shop", "name": "balance" }],
            "summaries": [{ "subsystem": "shop", "name": "price", "objectives": { "0.5": 0.05 } }],
        },
    }));
    (Lines { socket, datagram, seen: Vec::new() }, game().configure(|c| c.metrics = keys))
}

/// What has come.
struct Lines {
    socket: UdpSocket,
    datagram: usize,
    seen: Vec<String>,
}

impl Lines {
    /// The first line that fits, now or later; it is taken out.
    async fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 65536];
        loop {
            if let Some(index) = self.seen.iter().position(|line| fits(line)) {
                return self.seen.remove(index);
            }
            let Ok(length) = timeout_at(end, self.socket.recv(&mut buffer)).await else {
                panic!("no such line among {:#?}", self.seen);
            };
            let text = std::str::from_utf8(&buffer[..length.expect("it works")]).expect("it works");
            assert!(text.len() <= self.datagram, "a datagram is no longer than it may be: {}", text.len());
            // What stands together came together.
            self.seen.push("-".to_owned());
            self.seen.extend(text.lines().map(str::to_owned));
        }
    }
}

#[tokio::test]
async fn every_kind_of_line() {
    let (mut socket, builder) = listen(1.0).await;
    let app = serve(builder).await;
    let gauge = socket.line(|line| line.starts_with("my.connected_clients:")).await;
    assert_eq!(gauge, "my.connected_clients:0|g|#serverType:game,zone:e_u");
    let client = connect(&app).await;
    client.request_raw("game.room.echo", &b"{}"[..]).await.expect("it works");
    let time = socket.line(|line| line.starts_with("my.response_time_ns:")).await;
    let (value, rest) = time["my.response_time_ns:".len()..].split_once('|').expect("it works");
    assert!((100.0..10e9).contains(&value.parse::<f64>().expect("it works")), "nanoseconds, as from Go: {time}");
    assert_eq!(rest, "ms|#serverType:game,zone:e_u,route:game.room.echo,status:ok,type:handler");
    app.metrics().count("sold", &[("thing", "a|b#c")], 3).expect("it works");
    let count = socket.line(|line| line.starts_with("my.sold:")).await;
    assert_eq!(count, "my.sold:3|c|#serverType:game,zone:e_u,thing:a_b_c");
    let own = socket.line(|line| line.starts_with("my.server_messages_total:")).await;
    assert_eq!(own, "my.server_messages_total:1|c|#serverType:game,zone:e_u", "what has come since the last time");
    // What happens at the very end is sent too.
    drop(client);
    app.shutdown().await;
    socket.line(|line| line.starts_with("my.closed_total:1|c|#") && line.contains("reason:")).await;
}

#[tokio::test]
async fn negative_gauges_are_set_and_what_is_no_number_is_counted() {
    let (mut socket, builder) = listen_to(1.0, 512).await;
    let app = serve(builder).await;
    let metrics = app.metrics();
    for value in [7.0, -5.5, f64::NAN, f64::NEG_INFINITY, -0.0] {
        metrics.gauge("balance", &[], value).expect("it works");
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = metrics.observe("price", &[], value).expect_err("refused");
        assert!(error.to_string().starts_with("`price` takes no "), "{error}");
    }
    metrics.observe("price", &[], -2.5).expect("it works");
    let rejected = socket.line(|line| line.starts_with("my.rejected_values_total:")).await;
    assert!(rejected.starts_with("my.rejected_values_total:5|c|#"), "{rejected}");
    let tags = "|g|#serverType:game,zone:e_u";
    socket.line(|line| line.starts_with("my.price:-2.5|ms")).await;
    let seen = socket.seen.iter().filter(|line| line.starts_with("my.balance:") || *line == "-");
    let seen: Vec<_> = seen.map(|line| line.replace(tags, "")).collect();
    let gauges: Vec<_> = seen.iter().filter(|line| *line != "-").collect();
    assert_eq!(gauges, ["my.balance:7", "my.balance:0", "my.balance:-5.5", "my.balance:0"], "{seen:?}");
    let zero = seen.iter().position(|line| line == "my.balance:0").expect("it came");
    assert_eq!(seen[zero + 1], "my.balance:-5.5", "in the same datagram: else it is a change of what stands there");
    app.shutdown().await;
}

#[tokio::test]
async fn a_share_of_the_values_says_so() {
    let (mut socket, builder) = listen(0.5).await;
    let app = serve(builder).await;
    for _ in 0..64 {
        app.metrics().count("sold", &[("thing", "hat")], 1).expect("it works");
    }
    app.metrics().count("sold", &[("thing", "end")], 1).expect("it works");
    let sold = socket.line(|line| line.starts_with("my.sold:1|c|@0.5|#")).await;
    assert!(sold.ends_with("thing:hat") || sold.ends_with("thing:end"));
}

#[tokio::test]
async fn nobody_there_is_no_harm() {
    let log = ThreadLog::start(tracing::Level::WARN);
    let (socket, builder) = listen(1.0).await;
    drop(socket);
    let app = serve(builder.configure(|c| {
        c.metrics.prometheus.enabled = true;
        c.metrics.prometheus.host = "127.0.0.1".to_owned();
        c.metrics.prometheus.port = 0;
    }))
    .await;
    let client = connect(&app).await;
    for _ in 0..100 {
        client.request_raw("game.room.echo", &b"{}"[..]).await.expect("it works");
    }
    let dropped = || crate::text::Scrape::of(&app).one("pitaya_statsd_dropped_bytes_total", &[]).unwrap_or(0.0);
    for _ in 0..3 {
        let before = dropped();
        crate::game::eventually("what was not sent is counted", || (dropped() > before).then_some(())).await;
    }
    app.shutdown().await;
    let log = log.text();
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(log.contains("StatsD unreachable") && log.contains("pitaya.metrics.statsd.host"), "{log}");
}
