//! What the generator prints: one JSON object on one line.

use serde::{Deserialize, Serialize};

/// One run under load. Latencies are microseconds from the moment a request was due.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// Right answers inside the measured window.
    pub msgs: u64,
    /// Right answers of the whole run, warm-up and drain included.
    pub answers: u64,
    /// Wrong, missing and error answers and lost connections of the whole run.
    pub errors: u64,
    /// What the first of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Length of the window.
    pub secs: f64,
    /// `msgs / secs`.
    pub msgs_per_sec: f64,
    /// Median latency.
    pub p50_us: f64,
    /// 90th percentile.
    pub p90_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
    /// Largest latency.
    pub max_us: f64,
    /// The generator's own CPU time in the window, in per cent of one core.
    pub generator_percent: f64,
    /// The generator's own CPU time per message.
    pub generator_us_per_msg: f64,
    /// The server's CPU time in the window, in per cent of one core; 0 without `--server-pid`.
    pub server_percent: f64,
    /// The server's CPU time per message; 0 without `--server-pid`.
    pub server_us_per_msg: f64,
}

/// Many sessions that are through the handshake and silent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct IdleReport {
    /// Sessions that were opened between the two readings of the server's memory.
    pub sessions: usize,
    /// Growth of the server's resident memory per session, in bytes; 0 without `--server-pid`.
    pub bytes_per_session: f64,
    /// Connections lost or refused.
    pub errors: u64,
    /// What the first of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Sessions through the handshake per second while they were opened.
    pub sessions_per_sec: f64,
}
