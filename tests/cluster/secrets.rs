//! Logins of the services that a cluster uses stand in no output: a marker in each of them is looked for everywhere.

use crate::world::{connect, eventually};
use pitaya_runtime::config::Secret;
use pitaya_runtime::prelude::*;
use pitaya_tests::capture::Capture;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer as Nats;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MARKER: &str = "mArKeR";

struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }
}

/// A builder whose every login has the marker in it.
fn marked(nats: &str, etcd: &str) -> Builder {
    let url = nats.replace("://", &format!("://user:{MARKER}@"));
    Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0")).handlers(Room).clustered().configure(|config| {
        config.cluster.rpc.client.nats.connect.clone_from(&url);
        config.cluster.rpc.server.nats.connect = url;
        config.cluster.rpc.client.nats.maxreconnectionretries = 1;
        config.cluster.rpc.client.nats.reconnectwait = Duration::from_millis(1);
        let (discovery, groups) = (&mut config.cluster.sd.etcd, &mut config.groups.etcd);
        for (endpoints, user, pass) in [
            (&mut discovery.endpoints, &mut discovery.user, &mut discovery.pass),
            (&mut groups.endpoints, &mut groups.user, &mut groups.pass),
        ] {
            *endpoints = vec![etcd.to_owned()];
            *user = "root".to_owned();
            *pass = Secret::new(MARKER);
        }
        discovery.grantlease.maxretries = 1;
        discovery.grantlease.retryinterval = Duration::from_millis(1);
        discovery.dialtimeout = Duration::from_millis(500);
        config.cluster.rpc.authentication.keys = Secret::new(MARKER.repeat(6));
        config.worker.redis.password = Secret::new(MARKER);
        config.worker.redis.serverurl = format!("redis://:{MARKER}@127.0.0.1:1");
        config.health.enabled = true;
        config.metrics.prometheus.enabled = true;
        config.metrics.prometheus.host = "127.0.0.1".to_owned();
        config.metrics.prometheus.port = 0;
    })
}

fn assert_hidden(what: &str, text: &str) {
    assert!(!text.contains(MARKER), "{what}: {}", text.lines().find(|line| line.contains(MARKER)).unwrap_or(text));
}

async fn ask(app: &App, path: &str) -> String {
    let at = app.admin_address().expect("an admin port");
    let mut stream = tokio::net::TcpStream::connect(at).await.expect("open");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a text");
    answer
}

/// On one thread, so that the lines of all tasks are seen.
#[tokio::test]
async fn a_server_that_runs_and_loses_its_services_shows_no_login() {
    let (log, _guard) = Capture::filtered("trace");
    let (mut nats, mut etcd) = (Nats::start(&[]), Etcd::start());
    let app = marked(&nats.url(), &etcd.endpoint()).build().expect("a valid app");
    app.start().await.expect("neither wants a login");
    let client = connect(&app).await;
    client.request_raw("game.room.echo", "x").await.expect("served");
    for path in ["/", "/metrics", "/livez", "/healthz", "/readyz", "/nothing"] {
        assert_hidden(path, &ask(&app, path).await);
    }
    nats.kill();
    eventually("the loss is told", || !log.lines("NATS connection lost").is_empty()).await;
    etcd.kill();
    assert_hidden("/readyz", &ask(&app, "/readyz").await);
    nats.restart();
    eventually("it is back", || !log.lines("NATS connection restored").is_empty()).await;
    assert_hidden("the app", &format!("{app:?}"));
    app.shutdown().await;
    let text = log.text();
    assert!(text.contains("async_nats") && text.contains("h2"), "libraries are heard, too");
    assert_hidden("the log", &text);
}

#[tokio::test]
async fn a_start_that_fails_shows_no_login() {
    let (log, _guard) = Capture::filtered("trace");
    let (nats, strict) = (Nats::start(&[]), Nats::start(&["--user", "user", "--pass", "other"]));
    let etcd = Etcd::start();
    let nowhere = "127.0.0.1:1";
    let cases = [
        ("NATS is away", format!("nats://{nowhere}"), etcd.endpoint()),
        ("NATS refuses", strict.url(), etcd.endpoint()),
        ("NATS has no such scheme", nats.url().replace("nats", "ws"), etcd.endpoint()),
        ("NATS has no address", format!("nats://{nowhere}x y"), etcd.endpoint()),
        ("etcd is away", nats.url(), nowhere.to_owned()),
        ("etcd has a login in its address", nats.url(), format!("http://root:{MARKER}@{nowhere}")),
        ("etcd has no address", nats.url(), format!("x y://root:{MARKER}@")),
    ];
    for (name, nats, etcd) in cases {
        let error: Box<dyn std::error::Error> = match marked(&nats, &etcd).build() {
            Err(error) => error.into(),
            Ok(app) => app.start().await.expect_err(name).into(),
        };
        assert_hidden(name, &format!("{error} {error:?} {error:#?}"));
    }
    // A login that etcd refuses.
    for args in [&["user", "add", "root:other"][..], &["auth", "enable"]] {
        let _ = etcd.ctl(args);
    }
    let app = marked(&nats.url(), &etcd.endpoint()).build().expect("a valid app");
    let error = app.start().await.expect_err("a wrong password");
    assert_hidden("etcd refuses", &format!("{error} {error:?}"));
    assert_hidden("the log", &log.text());
}
