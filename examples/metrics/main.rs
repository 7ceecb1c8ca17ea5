//! A game that is measured: Prometheus fetches the numbers, Grafana shows them, two bots make some.
//!
//! ```text
//! cargo run --example metrics                                         # http://127.0.0.1:9091/metrics, tcp://127.0.0.1:3250
//! cargo run --example metrics -- --port 0 --metrics-port 0 --bots 0   # free ports, nobody plays
//! ```
//!
//! `config.toml` beside this file switches it on and announces the game's own metrics; `README.md` shows them in Grafana.

mod bots;

use parking_lot::Mutex;
use pitaya_runtime::prelude::*;
use std::any::Any;
use std::process::ExitCode;

const USAGE: &str = "usage: metrics [--port PORT] [--metrics-port PORT] [--bots COUNT]   (port 0 takes a free one)";
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/metrics/config.toml");

/// What a player did in a round.
#[derive(serde::Deserialize)]
pub struct Round {
    shots: u32,
    hits: u32,
    platform: String,
}

#[derive(Default)]
struct Arena {
    record: Mutex<u32>,
}

#[handler]
impl Arena {
    /// Counts a round. The names are those of `config.toml`.
    pub async fn play(&self, metrics: &Metrics, round: Round) -> Result<u32> {
        if round.hits > round.shots {
            metrics.count("rounds_total", &[("outcome", "refused")], 1)?;
            return Err(Error::new("ARENA-1", "more hits than shots"));
        }
        let points = round.hits * 10;
        metrics.count("rounds_total", &[("outcome", if points > 0 { "hit" } else { "missed" })], 1)?;
        metrics.observe("points", &[], f64::from(points))?;
        metrics.observe("shots", &[], f64::from(round.shots))?;
        let mut record = self.record.lock();
        *record = points.max(*record);
        metrics.gauge("record", &[], f64::from(*record))?;
        Ok(points)
    }
}

/// Says on which platform a player is, for the label that `config.toml` allows: a step sees a message before its handler.
/// A label takes few values, so not just any text.
fn platform(cx: &mut Context, payload: &mut (dyn Any + Send)) -> Result<()> {
    let Some(round) = payload.downcast_ref::<Round>() else { return Ok(()) };
    let known = ["phone", "desktop"].into_iter().find(|known| *known == round.platform);
    cx.add_metric_tags([("platform", known.unwrap_or("unknown"))]);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("metrics: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse(std::env::args().skip(1))?;
    let mut config = Config::load(CONFIG)?.config;
    pitaya_runtime::logs::init(&config.log)?;
    if let Some(port) = args.metrics_port {
        config.metrics.prometheus.port = port;
    }

    let app = Builder::new("arena")
        .config(config)
        .acceptor(Tcp::bind(format!("127.0.0.1:{}", args.port)))
        .before(platform)
        .handlers(Arena::default())
        .build()?;
    app.start().await?;
    let stopped = app.stop_on_signal();
    if let (&[tcp], Some(metrics)) = (&app.addresses()[..], app.admin_address()) {
        println!("metrics: look at http://{metrics}/metrics; games connect to tcp://{tcp}");
        bots::play(tcp, args.bots);
    }
    stopped.await;
    Ok(())
}

struct Args {
    port: u16,
    /// In place of the one in `config.toml`.
    metrics_port: Option<u16>,
    bots: u32,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let mut parsed = Self { port: 3250, metrics_port: None, bots: 2 };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            let wrong = |_| format!("{value} is not a number for {name}\n{USAGE}");
            match &*name {
                "--port" => parsed.port = value.parse().map_err(wrong)?,
                "--metrics-port" => parsed.metrics_port = Some(value.parse().map_err(wrong)?),
                "--bots" => parsed.bots = value.parse().map_err(wrong)?,
                _ => return Err(format!("unknown argument {name}\n{USAGE}")),
            }
        }
        Ok(parsed)
    }
}
