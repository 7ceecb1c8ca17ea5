//! An app for a test, and what tests measure with.

use pitaya_client::Client;
use pitaya_runtime::prelude::*;
use std::time::Duration;

/// No test waits longer for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// Whether the long form of a proof was asked for: `./tests/run --long`.
pub fn long() -> bool {
    std::env::var_os("TESTS_LONG").is_some()
}

/// Builds an app with one TCP acceptor on a free port and starts it.
pub async fn serve(builder: Builder) -> App {
    let app = builder.acceptor(Tcp::bind("127.0.0.1:0")).build().expect("a valid app");
    app.start().await.expect("a free port");
    app
}

pub async fn connect(app: &App) -> Client {
    Client::connect(&address(app)).await.expect("the app accepts")
}

pub fn address(app: &App) -> String {
    format!("tcp://{}", app.addresses()[0])
}

/// Waits until `done`, looking often; for states that announce themselves nowhere.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !done() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The latency that `share` of the samples did not exceed.
pub fn quantile(samples: &mut [Duration], share: f64) -> Duration {
    assert!(!samples.is_empty());
    samples.sort_unstable();
    samples[((samples.len() as f64 * share) as usize).min(samples.len() - 1)]
}

pub fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("comparable"));
    values[values.len() / 2]
}
