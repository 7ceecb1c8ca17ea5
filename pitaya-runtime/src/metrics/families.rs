//! Which metrics there are: the table of Go's, the counters of this framework, and the application's own.

use crate::accept::Refused;
use crate::config::{CustomMetric, Metrics as Keys};
use crate::counters::Counts;
use pitaya_core::CloseReason;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// How the values of a family are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Quantiles of the last ten minutes.
    Summary,
    /// Counts of values, in buckets.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        })
    }
}

/// A metric with all its labels: one name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Family {
    /// How it is reported.
    pub kind: Kind,
    /// The whole name, as Prometheus and custom recorders see it: `pitaya_<subsystem>_<name>`.
    pub name: String,
    /// The end of the name, which is all that StatsD sees behind the prefix.
    pub short: String,
    /// What is measured.
    pub help: String,
    /// The labels beside those that every metric has.
    pub labels: Vec<String>,
    /// The quantiles of a summary, or the upper bounds of the buckets of a histogram.
    pub bounds: Vec<f64>,
}

/// Quantiles of Go's summaries (`pkg/metrics/prometheus_reporter.go`).
const QUANTILES: &[f64] = &[0.7, 0.95, 0.99];
/// The buckets of Go's histogram of response times, which Go declares and never fills: meant as milliseconds.
const TIMES: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.3, 0.5, 1.0, 5.0, 10.0];
const CAPACITIES: &[f64] =
    &[0.0, 1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 1500.0, 2000.0, 3000.0, 4000.0, 5000.0];
/// What a custom summary or histogram has that names none: Go's defaults.
const CUSTOM_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

pub(super) struct Fixed {
    kind: Kind,
    subsystem: &'static str,
    pub(super) name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
}

macro_rules! fixed {
    ($($(#[doc = $help:literal])+ $id:ident = $kind:ident $subsystem:literal $name:literal $labels:expr, $bounds:expr;)*) => {
        $(pub(super) const $id: &Fixed = &Fixed {
            kind: Kind::$kind,
            subsystem: $subsystem,
            name: $name,
            help: concat!($($help),+),
            labels: &$labels,
            bounds: $bounds,
        };)*
        const FIXED: &[&Fixed] = &[$($id),*];
    };
}

// Names, labels and bounds of `pkg/metrics/prometheus_reporter.go` and `constants.go`, as far as not said otherwise.
fixed! {
    /// the time to process a message in nanoseconds
    RESPONSE_TIME = Summary "handler" "response_time_ns" ["route", "status", "type", "code"], QUANTILES;
    /// the time to process a message in seconds (pitaya.metrics.histograms)
    RESPONSE_SECONDS = Histogram "handler" "response_time_seconds" ["route", "status", "type", "code"], TIMES;
    /// the delay to start processing a message in nanoseconds
    DELAY = Summary "handler" "handler_delay_ns" ["route", "type"], QUANTILES;
    /// the number of clients connected right now
    CONNECTED = Gauge "acceptor" "connected_clients" [], &[];
    /// the number of blocked requests by exceeded rate limiting
    RATE_LIMITED = Counter "acceptor" "exceeded_rate_limiting" [], &[];
    /// the number of discovered servers by service discovery
    SERVERS = Gauge "service_discovery" "count_servers" ["type"], &[];
    /// the available capacity of the channel
    CAPACITY = Histogram "channel" "channel_capacity" ["channel"], CAPACITIES;
    /// the number of rpc server dropped messages (messages that are not handled)
    DROPPED = Gauge "rpc_server" "dropped_messages" [], &[];
    /// the number of calls or messages of other servers in work
    BUSY = Gauge "worker_pool" "busy_workers" ["pool"], &[];
    /// how many calls or messages of other servers may be in work
    WORKERS = Gauge "worker_pool" "total_workers" ["pool"], &[];
    /// the current number of tasks, which are what goroutines are in Go
    TASKS = Gauge "sys" "goroutines" [], &[];
    /// the bytes held for clients: packets that have not come whole, messages that wait, what clients have not taken
    BUFFERED = Gauge "server" "buffered_bytes" [], &[];
    /// the memory that the process holds, in bytes
    MEMORY = Gauge "sys" "heapsize" [], &[];
    /// sessions closed, by reason
    CLOSED = Counter "server" "closed_total" ["reason"], &[];
    /// connections that did not become sessions, by reason
    REFUSED = Counter "server" "refused_connections_total" ["reason"], &[];
    /// bytes of metrics that could not be sent to StatsD
    UNSENT = Counter "statsd" "dropped_bytes_total" [], &[];
    /// values that were not reported because they are no numbers: NaN and infinities
    REJECTED = Counter "metrics" "rejected_values_total" [], &[];
}

impl Fixed {
    pub(super) fn family(&self) -> Family {
        Family {
            kind: self.kind,
            name: full(self.subsystem, self.name),
            short: self.name.to_owned(),
            help: self.help.trim().to_owned(),
            labels: self.labels.iter().map(|&label| label.to_owned()).collect(),
            bounds: self.bounds.to_vec(),
        }
    }
}

/// A counter of the framework's own, by its name in [`Counts`] or in those of a transport.
pub(super) fn counter(subsystem: &str, name: &str, help: &str) -> Family {
    let short = format!("{name}_total");
    Family {
        kind: Kind::Counter,
        name: full(subsystem, &short),
        short: format!("{subsystem}_{short}"),
        help: help.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned(),
        labels: Vec::new(),
        bounds: Vec::new(),
    }
}

/// Go leaves out an empty subsystem (`prometheus.BuildFQName`).
fn full(subsystem: &str, name: &str) -> String {
    if subsystem.is_empty() { format!("pitaya_{name}") } else { format!("pitaya_{subsystem}_{name}") }
}

/// What the framework reports, in the order of the reference; `transport` are the counters of the way between servers.
pub(super) fn of_framework(transport: &[(&str, &str, u64)]) -> Vec<Family> {
    let fixed = FIXED.iter().map(|fixed| fixed.family());
    let own = Counts::default().fields().into_iter().filter(|(name, ..)| *name != RATE_LIMITED.name);
    let own = own.map(|(name, help, _)| counter("server", name, help));
    let transport = transport.iter().map(|(name, help, _)| counter("transport", name, help));
    fixed.chain(own).chain(transport).collect()
}

/// The application's own.
pub(super) fn custom(keys: &Keys) -> Vec<Family> {
    let custom = &keys.custom;
    let lists = [
        (Kind::Summary, &custom.summaries),
        (Kind::Histogram, &custom.histograms),
        (Kind::Gauge, &custom.gauges),
        (Kind::Counter, &custom.counters),
    ];
    lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |metric| one(kind, metric))).collect()
}

fn one(kind: Kind, metric: &CustomMetric) -> Family {
    let mut bounds = match kind {
        Kind::Summary => metric.objectives.iter().map(|(quantile, _)| *quantile).collect(),
        Kind::Histogram if metric.buckets.is_empty() => CUSTOM_BUCKETS.to_vec(),
        _ => metric.buckets.clone(),
    };
    bounds.sort_by(f64::total_cmp);
    Family {
        kind,
        name: full(&metric.subsystem, &metric.name),
        short: metric.name.clone(),
        help: metric.help.clone(),
        labels: metric.labels.clone(),
        bounds,
    }
}

/// What cannot be reported: names and labels that Prometheus does not take, or that stand for two things.
pub(super) fn problems(keys: &Keys) -> Vec<String> {
    let mut found = Vec::new();
    let mut everywhere: HashSet<&str> = HashSet::from(["game", "serverType"]);
    let lists = [
        ("pitaya.metrics.constlabels", keys.constlabels.keys().collect::<Vec<_>>()),
        ("pitaya.metrics.additionallabels", keys.additionallabels.keys().collect()),
    ];
    for (key, labels) in &lists {
        for label in labels {
            if RESERVED.contains(&&***label) {
                found.push(format!("{key}: the label `{label}` is reserved for histograms and summaries"));
            } else if !is_label(label) {
                found.push(format!("{key}: `{label}` cannot be a label: letters, digits and `_` only, no digit first"));
            } else if !everywhere.insert(label) {
                found.push(format!("{key}: every metric has the label `{label}` already; choose another name"));
            }
        }
    }
    let framework = of_framework(&[]);
    for family in &framework {
        for label in family.labels.iter().filter(|label| everywhere.contains(&***label)) {
            found.push(format!(
                "pitaya.metrics: `{}` has the label `{label}` already; choose another name",
                family.name
            ));
        }
    }
    let mut names: HashSet<String> =
        framework.iter().flat_map(|known| [known.name.clone(), known.short.clone()]).collect();
    let mut series: HashMap<String, String> = HashMap::new();
    for family in &framework {
        series.extend(family.series().map(|series| (series, family.name.clone())));
    }
    for family in custom(keys) {
        let name = &family.name;
        let key = "pitaya.metrics.custom";
        let taken = family.series().find_map(|one| Some((series.get(&one)?.clone(), one)));
        if let Some((other, one)) = taken.filter(|(other, _)| other != name) {
            found.push(format!("{key}: `{name}` and `{other}` would both write `{one}`; choose another name"));
        }
        series.extend(family.series().map(|one| (one, name.clone())));
        if !is_label(name) {
            found.push(format!("{key}: `{name}` cannot be a name: letters, digits and `_` only"));
        }
        let fresh = [names.insert(name.clone()), names.insert(family.short.clone()) || *name == family.short];
        if fresh.contains(&false) {
            found.push(format!("{key}: there is another `{}`: code reports to it by this name alone", family.short));
        }
        let mut labels = everywhere.clone();
        for label in &family.labels {
            if RESERVED.contains(&&**label) {
                found.push(format!("{key}: `{name}`: the label `{label}` is reserved for histograms and summaries"));
            } else if !is_label(label) {
                found.push(format!("{key}: `{name}`: `{label}` cannot be a label: letters, digits and `_` only"));
            } else if !labels.insert(label) {
                found.push(format!(
                    "{key}: `{name}` has the label `{label}` twice, by itself or because every metric has it"
                ));
            }
        }
        let sane = match family.kind {
            Kind::Summary => family.bounds.iter().all(|bound| (0.0..=1.0).contains(bound)),
            _ => family.bounds.iter().all(|bound| bound.is_finite()),
        };
        if !sane {
            found.push(format!("{key}: `{name}`: objectives are quantiles from 0 to 1, buckets are finite numbers"));
        }
    }
    found
}

/// Labels to which Prometheus gives a meaning of its own.
const RESERVED: [&str; 2] = ["le", "quantile"];

impl Family {
    /// Names of the series that Prometheus sees of it.
    fn series(&self) -> impl Iterator<Item = String> {
        let ends: &[&str] = match self.kind {
            Kind::Counter | Kind::Gauge => &[""],
            Kind::Summary => &["", "_sum", "_count"],
            Kind::Histogram => &["", "_sum", "_count", "_bucket"],
        };
        ends.iter().map(|end| format!("{}{end}", self.name))
    }
}

/// What Prometheus takes, without those it gives a meaning of its own.
fn is_label(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let all = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    first && all && !name.starts_with("__") && !RESERVED.contains(&name)
}

/// The labels of the counter of closed sessions.
pub(super) const REASONS: [&str; CloseReason::LABELS.len()] = CloseReason::LABELS;

/// The labels of the counter of refused connections.
pub(super) const REFUSALS: [&str; Refused::LABELS.len()] = Refused::LABELS;
