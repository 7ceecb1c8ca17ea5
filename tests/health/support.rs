//! Apps with an admin port, and who asks there.

use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// No test waits longer for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// A handler that waits until the test lets it go on.
#[derive(Default, Clone)]
pub struct Room {
    pub gate: Option<Arc<Semaphore>>,
}

#[handler]
impl Room {
    pub async fn wait(&self, raw: Raw) -> Raw {
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("an open gate").forget();
        }
        raw
    }
}

/// A builder of a standalone server with probes, on free ports.
pub fn probed(kind: &str) -> Builder {
    Builder::new(kind).acceptor(Tcp::bind("127.0.0.1:0")).configure(probes)
}

/// Probes on a free port.
pub fn probes(config: &mut Config) {
    config.health.enabled = true;
    config.metrics.prometheus.host = "127.0.0.1".to_owned();
    config.metrics.prometheus.port = 0;
}

pub async fn started(builder: Builder) -> App {
    let app = builder.build().expect("a valid app");
    app.start().await.expect("it starts");
    app
}

pub async fn connect(app: &App) -> Client {
    Client::connect(&format!("tcp://{}", app.addresses()[0])).await.expect("the app accepts")
}

/// Asks, and gives the status with the body.
pub async fn ask(at: SocketAddr, method_and_path: &str) -> std::io::Result<(u16, String)> {
    let asking = async {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(format!("{method_and_path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body.to_owned()))
    };
    timeout(SOON, asking).await.expect("an answer in time")
}

/// Asks an app that serves something.
pub async fn get(app: &App, path: &str) -> (u16, String) {
    let at = app.admin_address().expect("an admin port");
    ask(at, &format!("GET {path}")).await.expect("an answer")
}

/// Waits until `/readyz` has this status and a body with this text; all the while the app says that it lives.
pub async fn ready(at: SocketAddr, status: u16, text: &str) -> String {
    let end = Instant::now() + SOON;
    loop {
        assert_eq!(ask(at, "GET /livez").await.expect("an answer"), (200, "ok\n".to_owned()));
        let (now, body) = ask(at, "GET /readyz").await.expect("an answer");
        if now == status && body.contains(text) {
            return body;
        }
        assert!(Instant::now() < end, "not in time: {status} with `{text}`, but {now} with {body}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until `done`, looking often; for states that announce themselves nowhere.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
