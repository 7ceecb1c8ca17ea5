//! A StatsD server gets Datadog's lines.

use crate::game::{PATIENCE, connect, game, keys, serve};
use pitaya_runtime::prelude::*;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

async fn listen(rate: f64) -> (Lines, Builder) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("it works");
    let host = socket.local_addr().expect("it works").to_string();
    let keys = keys(&json!({
        "period": "50ms",
        "constlabels": { "zone": "e|u" },
        "statsd": { "enabled": true, "host": host, "prefix": "my.", "rate": rate },
        "custom": { "counters": [{ "subsystem": "shop", "name": "sold", "labels": ["thing"] }] },
    }));
    (Lines { socket, seen: Vec::new() }, game().configure(|c| c.metrics = keys))
}

/// What has come.
struct Lines {
    socket: UdpSocket,
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
            assert!(text.len() <= 1432, "a datagram fits a frame: {}", text.len());
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
    let dropped = || crate::text::Scrape::of(&app).one("pitaya_statsd_dropped_bytes_total", &[]).unwrap_or(0.0) > 0.0;
    crate::game::eventually("what was not sent is counted", || dropped().then_some(())).await;
    app.shutdown().await;
}
