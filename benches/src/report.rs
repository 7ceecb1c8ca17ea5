//! What the generator prints: one JSON object on one line.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tally::Tally;

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
    /// The servers' CPU time in the window, in per cent of one core; 0 without `--server-pid`.
    pub server_percent: f64,
    /// The servers' CPU time per message; 0 without `--server-pid`.
    pub server_us_per_msg: f64,
    /// The same for each of them, in the order of `--server-pid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each_us_per_msg: Vec<f64>,
}

impl LoadReport {
    /// What a run came to: its answers, the length of its window, and what the generator and each server used in it.
    #[must_use]
    pub fn new(tally: Tally, secs: f64, generator: Duration, servers: &[Duration]) -> Self {
        let msgs = tally.in_window;
        let per_msg = |cpu: Duration| if msgs == 0 { 0.0 } else { cpu.as_secs_f64() * 1e6 / msgs as f64 };
        let percent = |cpu: Duration| cpu.as_secs_f64() / secs * 100.0;
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let (latency, all) = (&tally.latency, servers.iter().sum());
        Self {
            msgs,
            answers: tally.answers,
            errors: tally.failures,
            secs,
            msgs_per_sec: msgs as f64 / secs,
            p50_us: micros(latency.percentile(50.0)),
            p90_us: micros(latency.percentile(90.0)),
            p99_us: micros(latency.percentile(99.0)),
            p999_us: micros(latency.percentile(99.9)),
            max_us: micros(latency.max()),
            generator_percent: percent(generator),
            generator_us_per_msg: per_msg(generator),
            server_percent: percent(all),
            server_us_per_msg: per_msg(all),
            each_us_per_msg: servers.iter().map(|cpu| per_msg(*cpu)).collect(),
            first_error: tally.first_failure,
        }
    }
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
    /// The servers' CPU time while all were held, in per cent of one core.
    #[serde(default)]
    pub server_percent: f64,
}

/// Clients that come, say who they are, ask once and go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoginReport {
    /// Each client is a message: its latency is from the dial to its last answer.
    pub load: LoadReport,
    /// Growth of the servers' resident memory from after the first tenth to the end, in per cent.
    pub growth_percent: f64,
}

/// Pushes to many.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PushReport {
    /// Each push that a client heard is a message: its latency is from when it was due to be told.
    pub load: LoadReport,
    /// From the telling to the last client that hears it, median of the rounds, in milliseconds.
    pub last_ms: f64,
}
