//! The keys of what is measured.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::{secs, section};
use crate::config::ByteSize;
use crate::config::setting::Setting;

section! {
    /// `pitaya.metrics`: what is measured and how it is reported.
    "pitaya.metrics" Metrics {
        /// Time between two reports of the process's own figures.
        period: Duration = secs(15),
        /// The value of the label `game` on every metric.
        game: String = String::new(),
        /// Labels with the same value on every metric.
        constlabels: BTreeMap<String, String> = BTreeMap::new(),
        /// Labels that calls may set, each with the value it has otherwise.
        additionallabels: BTreeMap<String, String> = BTreeMap::new(),
        /// Whether response times are also counted in buckets, which can be added up over servers:
        /// `pitaya_handler_response_time_seconds`.
        #[go = "has them under the name of the summary, and does not export them."]
        histograms: bool = false,
        custom: CustomMetrics,
        prometheus: Prometheus,
        statsd: Statsd,
    }
}

section! {
    /// `pitaya.metrics.custom`: the application's own metrics. In a variable each list is written as JSON.
    "pitaya.metrics.custom" CustomMetrics {
        /// Values whose quantiles are reported: `subsystem`, `name`, `help`, `labels`, `objectives`.
        summaries: Vec<CustomMetric> = Vec::new(),
        /// Values that are counted in buckets: `subsystem`, `name`, `help`, `labels`, `buckets`.
        #[go = "does not export them."]
        histograms: Vec<CustomMetric> = Vec::new(),
        /// Values that go up and down: `subsystem`, `name`, `help`, `labels`.
        gauges: Vec<CustomMetric> = Vec::new(),
        /// Values that only grow: `subsystem`, `name`, `help`, `labels`.
        counters: Vec<CustomMetric> = Vec::new(),
    }
}

section! {
    /// `pitaya.metrics.prometheus`: metrics to be fetched.
    "pitaya.metrics.prometheus" Prometheus {
        /// Whether metrics are served on `/metrics`.
        enabled: bool = false,
        /// The address of this machine they are served on, as is `pitaya.health`. `::` is all of IPv4 and IPv6.
        #[go = "is always on all addresses."]
        host: String = "0.0.0.0".to_owned(),
        /// The port they are served on, as is `pitaya.health`; `0` takes a free one.
        port: u16 = 9090,
    }
}

section! {
    /// `pitaya.metrics.statsd`: metrics to be sent.
    "pitaya.metrics.statsd" Statsd {
        /// Whether metrics are sent.
        enabled: bool = false,
        /// Where to, `host:port`.
        #[redacted = "logins"]
        host: String = "localhost:9125".to_owned(),
        /// Put before every name.
        prefix: String = "pitaya.".to_owned(),
        /// The share of values that is sent, above 0 and up to 1.
        rate: f64 = 1.0,
        /// The largest datagram, from 512 to 65507 bytes. The default fits the frames of most networks; a longer line is
        /// dropped and counted.
        datagram: ByteSize = ByteSize::new(1432),
    }
}

/// A metric of the application's own, reported by its code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CustomMetric {
    /// The middle of the metric's name.
    pub subsystem: String,
    /// The end of the metric's name. Must not be empty.
    pub name: String,
    /// What is measured.
    pub help: String,
    /// The labels each report brings values for.
    pub labels: Vec<String>,
    /// Of a summary: the quantiles, each with the error that is allowed. In a file: `{0.5: 0.05, 0.99: 0.001}`.
    #[serde(with = "quantiles", skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<(f64, f64)>,
    /// Of a histogram: the upper bounds, each above the one before. Left out: Go's defaults.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "buckets")]
    pub buckets: Vec<f64>,
}

/// Buckets that are written have at least one bound.
fn buckets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let bounds = Vec::<f64>::deserialize(deserializer)?;
    match bounds.is_empty() {
        true => Err(D::Error::custom("`buckets` is empty; write upper bounds, or leave it out for 0.005 to 10")),
        false => Ok(bounds),
    }
}

impl Setting for Vec<CustomMetric> {
    fn kind(&self) -> &'static str {
        "list of metrics"
    }

    fn read(&mut self, value: &Value) -> Result<(), String> {
        let list = match value {
            Value::String(json) => serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))?,
            other => other.clone(),
        };
        let Value::Array(items) = list else { return Err("write a list of metrics".to_owned()) };
        *self = items
            .into_iter()
            .map(|item| serde_json::from_value(lower_names(item)).map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    fn value(&self) -> Value {
        self.iter().map(|metric| serde_json::to_value(metric).unwrap_or_default()).collect()
    }
}

/// Go's manual writes `Subsystem`, its demos `subsystem`.
fn lower_names(item: Value) -> Value {
    match item {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Quantiles as a file writes them: a table whose names are numbers.
mod quantiles {
    use super::*;

    pub(super) fn serialize<S: Serializer>(list: &[(f64, f64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(list.iter().map(|(quantile, error)| (quantile.to_string(), error)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(f64, f64)>, D::Error> {
        let table = BTreeMap::<String, f64>::deserialize(deserializer)?;
        let number = |text: &str| text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a quantile")));
        table.iter().map(|(quantile, error)| Ok((number(quantile)?, *error))).collect()
    }
}
