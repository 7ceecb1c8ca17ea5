//! What an app tells of itself in numbers: under the names and labels of Go Pitaya, so that its dashboards go on working.
//!
//! Nothing is measured unless somebody listens: Prometheus (`pitaya.metrics.prometheus.enabled`), StatsD
//! (`pitaya.metrics.statsd.enabled`) or recorders of one's own ([`Builder::recorder`](crate::Builder::recorder)), any number
//! of them. Each app has its own: nothing is installed for the process. `docs/metrics.md` lists all metrics.
//!
//! The way of a number: `tally` (a poll of a connection), `flights` (messages that are with other servers) and `calls` to
//! `meter`, which has a handle for each route and outcome; `readings` are taken at intervals. Handles lead through
//! `reporters` to each recorder; `families` is the table of what there is.

mod calls;
mod custom;
mod families;
mod flights;
mod meter;
mod prometheus;
mod readings;
mod reporters;
mod series;
mod statsd;
mod tags;
mod tally;

pub use ::metrics::Recorder;
pub use custom::MetricError;
pub use families::{Family, Kind};

pub(crate) use calls::Timed;
pub(crate) use flights::Flights;
pub(crate) use meter::{Meter, Times};
pub(crate) use reporters::AnyRecorder;
pub(crate) use tally::Tally;

use crate::server::Server;
use custom::{Custom, Handle};
use pitaya_core::registry::Registry;
use prometheus::Prometheus;
use readings::Readings;
use reporters::Reporters;
use statsd::Statsd;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How long a line for StatsD waits for others to share a datagram with.
const FLUSH: Duration = Duration::from_secs(1);

/// The metrics of an app, and the way to report the application's own. A cheap handle, lent to components:
///
/// ```
/// use pitaya_runtime::prelude::*;
///
/// struct Room;
/// #[handler]
/// impl Room {
///     pub fn score(&self, metrics: &Metrics, points: u32) -> Result<()> {
///         metrics.count("goals", &[("team", "red")], 1)?;
///         metrics.observe("points", &[], f64::from(points))?;
///         Ok(())
///     }
/// }
///
/// let file = serde_json::json!({ "pitaya": { "metrics": { "custom": {
///     "counters": [{ "subsystem": "game", "name": "goals", "help": "goals", "labels": ["team"] }],
///     "summaries": [{ "subsystem": "game", "name": "points", "objectives": { "0.5": 0.05 } }],
/// } } } });
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("config.json");
/// # std::fs::write(&path, file.to_string())?;
/// let config = Config::from_sources(Some(&path), [])?.config;
/// let app = Builder::new("game")
///     .config(config)
///     .configure(|c| c.metrics.prometheus.enabled = true)
///     .acceptor(Tcp::bind("127.0.0.1:0"))
///     .handlers(Room)
///     .build()?;
/// app.metrics().count("goals", &[("team", "blue")], 2)?;
/// assert!(app.metrics().render().contains(r#"pitaya_game_goals{game="",serverType="game",team="blue"} 2"#));
/// assert!(app.metrics().count("gaols", &[], 1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    families: Vec<Family>,
    custom: HashMap<String, Custom>,
    reporters: Arc<Reporters>,
    prometheus: Option<Arc<Prometheus>>,
    statsd: Option<Arc<Statsd>>,
    readings: Option<Readings>,
    /// Values that were not reported because they are no numbers.
    rejected: Arc<AtomicU64>,
    period: Duration,
    histograms: bool,
    /// What is read. It holds the app's state, which holds this.
    server: OnceLock<Weak<Server>>,
}

/// What keeps the settings from being used.
pub(crate) fn problems(keys: &crate::config::Metrics) -> Vec<String> {
    families::problems(keys)
}

impl Metrics {
    /// `transport` are the counters of the way between servers.
    pub(crate) fn new(
        kind: &str,
        keys: &crate::config::Metrics,
        mut recorders: Vec<AnyRecorder>,
        transport: &[(&str, &str, u64)],
    ) -> Self {
        let mut families = families::of_framework(transport);
        let own = families::custom(keys);
        families.extend(own.iter().cloned());
        let prometheus = keys.prometheus.enabled.then(|| Arc::new(Prometheus::new(&families)));
        let rejected = Arc::new(AtomicU64::new(0));
        let statsd = || Arc::new(Statsd::new(&keys.statsd, &families, rejected.clone()));
        let statsd = keys.statsd.enabled.then(statsd);
        recorders.extend(prometheus.clone().map(|recorder| recorder as AnyRecorder));
        recorders.extend(statsd.clone().map(|recorder| recorder as AnyRecorder));
        let reporters = Arc::new(Reporters::new(recorders, kind, keys));
        reporters.describe(&families);
        let custom = |family: Family| (family.short.clone(), Custom::new(family, reporters.clone()));
        Self(Arc::new(Inner {
            custom: own.into_iter().map(custom).collect(),
            readings: reporters.any().then(|| Readings::new(&reporters, transport)),
            families,
            reporters,
            prometheus,
            statsd,
            rejected,
            period: keys.period,
            histograms: keys.histograms,
            server: OnceLock::new(),
        }))
    }

    /// What messages are measured with, when anybody listens.
    pub(crate) fn meter(&self, registry: &Registry) -> Option<Arc<Meter>> {
        let Inner { reporters, histograms, .. } = &*self.0;
        reporters.any().then(|| Arc::new(Meter::new(reporters.clone(), *histograms, registry)))
    }

    /// Reads this server from now on.
    pub(crate) fn watch(&self, server: &Arc<Server>) {
        let _ = self.0.server.set(Arc::downgrade(server));
    }

    /// Whether `/metrics` is to be served.
    pub(crate) fn is_served(&self) -> bool {
        self.0.prometheus.is_some()
    }

    /// Opens the way to StatsD, if there is one and its name is known. It is tried again later.
    pub(crate) async fn open(&self) {
        if let Some(statsd) = &self.0.statsd {
            statsd.refresh().await;
        }
    }

    /// Reports what is read at intervals, until it is dropped.
    pub(crate) async fn run(&self) {
        let Inner { readings, statsd, period, .. } = &*self.0;
        if readings.is_none() {
            return;
        }
        let mut ticks = interval(*period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flushes = interval(FLUSH.min(*period));
        loop {
            tokio::select! {
                _ = ticks.tick() => self.read(),
                _ = flushes.tick(), if statsd.is_some() => self.open().await,
            }
            self.flush();
        }
    }

    /// Reports what is left, at the end.
    pub(crate) fn finish(&self) {
        self.read();
        self.flush();
    }

    fn read(&self) {
        let Inner { readings, server, statsd, prometheus, rejected, .. } = &*self.0;
        let server = server.get().and_then(Weak::upgrade);
        if let Some((readings, server)) = readings.as_ref().zip(server) {
            readings.read(&server, statsd.as_ref().map_or(0, |statsd| statsd.dropped()), rejected.load(Relaxed));
        }
        if let Some(prometheus) = prometheus {
            prometheus.look_at_the_clock();
        }
    }

    fn flush(&self) {
        if let Some(statsd) = &self.0.statsd {
            statsd.flush();
        }
    }

    /// What `/metrics` shows now; empty when `pitaya.metrics.prometheus.enabled` is not set.
    #[must_use]
    pub fn render(&self) -> String {
        let Some(prometheus) = &self.0.prometheus else { return String::new() };
        self.read();
        prometheus.render()
    }

    /// All metrics there are, the application's own at the end.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.0.families
    }

    /// Adds to a counter of the application.
    ///
    /// # Errors
    /// When there is no such counter, or it has other labels.
    pub fn count(&self, name: &str, labels: &[(&str, &str)], more: u64) -> Result<(), MetricError> {
        let custom = self.custom(name, "count", &[Kind::Counter])?;
        let Handle::Counter(counter) = custom.handle(labels)? else { return Err(custom.wrong_kind("count")) };
        counter.increment(more);
        Ok(())
    }

    /// Sets a gauge of the application.
    ///
    /// # Errors
    /// When there is no such gauge, or it has other labels.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), MetricError> {
        let custom = self.custom(name, "gauge", &[Kind::Gauge])?;
        let Handle::Gauge(gauge) = custom.handle(labels)? else { return Err(custom.wrong_kind("gauge")) };
        gauge.set(value);
        Ok(())
    }

    /// Reports a value to a summary or a histogram of the application.
    ///
    /// # Errors
    /// When there is neither, or it has other labels, and for NaN and infinities: they would spoil the sum of all values.
    /// Such values are counted, too.
    pub fn observe(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), MetricError> {
        let custom = self.custom(name, "observe", &[Kind::Summary, Kind::Histogram])?;
        if !value.is_finite() {
            self.0.rejected.fetch_add(1, Relaxed);
            return Err(MetricError::NotFinite { name: name.to_owned(), value: value.to_string() });
        }
        let Handle::Histogram(values) = custom.handle(labels)? else { return Err(custom.wrong_kind("observe")) };
        values.record(value);
        Ok(())
    }

    /// The metric of this name, if it is reported by this call. Asked first: a report that is refused leaves no series.
    fn custom(&self, name: &str, call: &'static str, kinds: &[Kind]) -> Result<&Custom, MetricError> {
        let custom = self.0.custom.get(name).ok_or_else(|| MetricError::Unknown(name.to_owned()))?;
        if kinds.contains(&custom.kind()) { Ok(custom) } else { Err(custom.wrong_kind(call)) }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let custom = self.0.custom.keys().collect::<Vec<_>>();
        f.debug_struct("Metrics").field("listened_to", &self.0.reporters.any()).field("custom", &custom).finish()
    }
}
