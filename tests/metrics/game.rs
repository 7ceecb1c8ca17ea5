//! An app for a test.

use pitaya_client::Client;
use pitaya_runtime::config::Metrics as Keys;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

pub use pitaya_tests::PATIENCE;

/// Opens what waits.
pub struct Gate(pub Arc<Notify>);

pub struct Room;

#[handler]
impl Room {
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    pub fn fail(&self, code: String) -> Result<u8> {
        Err(Error::new(code, "as asked"))
    }

    #[route(notify)]
    pub fn note(&self, _raw: Raw) {}

    /// Answers when the gate is opened.
    pub async fn wait(&self, cx: &Context) -> Result<u8> {
        cx.state::<Gate>()?.0.notified().await;
        Ok(1)
    }
}

/// A server type `game` with the room, reporting to Prometheus, on no port but that of clients.
pub fn game() -> Builder {
    measured(Builder::new("game").handlers(Room).warn_unmounted(false))
}

/// Prometheus on a free port.
pub fn measured(builder: Builder) -> Builder {
    builder.configure(|c| {
        c.metrics.prometheus.enabled = true;
        c.metrics.prometheus.host = "127.0.0.1".to_owned();
        c.metrics.prometheus.port = 0;
    })
}

/// Settings as a file has them.
pub fn keys(metrics: &serde_json::Value) -> Keys {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json");
    std::fs::write(&path, serde_json::json!({ "pitaya": { "metrics": metrics } }).to_string()).expect("a file");
    Config::from_sources(Some(&path), []).expect("a valid file").config.metrics
}

pub async fn serve(builder: Builder) -> App {
    let app = builder.acceptor(Tcp::bind("127.0.0.1:0")).build().expect("a valid app");
    app.start().await.expect("a free port");
    app
}

pub async fn connect(app: &App) -> Client {
    Client::connect(&format!("tcp://{}", app.addresses()[0])).await.expect("the app accepts")
}

/// Looks often until it is so; for what announces itself nowhere.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
