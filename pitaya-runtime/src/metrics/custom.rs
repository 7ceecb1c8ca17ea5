//! The application's own metrics, reported by their names.

use super::families::{Family, Kind};
use super::reporters::Reporters;
use super::series::{OTHER, bounded};
use super::tags::Tags;
use metrics::{Counter, Gauge, Histogram};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Combinations of label values that a metric has series for.
const SERIES: usize = 1024;

/// Why a value was not reported.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// No metric has this name. Go's `ErrMetricNotKnown`.
    #[error("there is no metric `{0}`: announce it under pitaya.metrics.custom")]
    Unknown(String),
    /// The metric is reported in another way.
    #[error("`{name}` is a {kind}, which is not reported by `{call}`")]
    Kind {
        /// The metric.
        name: String,
        /// What it is.
        kind: Kind,
        /// What was called.
        call: &'static str,
    },
    /// NaN or an infinity was observed.
    #[error("`{name}` takes no {value}: it would spoil the sum and the quantiles of all values; report numbers")]
    NotFinite {
        /// The metric.
        name: String,
        /// The value.
        value: String,
    },
    /// The labels are not those it was announced with.
    #[error("`{name}` has the labels {expected:?}, each of which needs one value")]
    Labels {
        /// The metric.
        name: String,
        /// Its labels.
        expected: Vec<String>,
    },
}

crate::readable::debug_as_display!(MetricError);

/// One metric of the application.
pub(super) struct Custom {
    family: Family,
    reporters: Arc<Reporters>,
    /// By the values of its labels, in their order, as [`key`] writes them.
    series: RwLock<HashMap<String, Handle>>,
}

#[derive(Clone)]
pub(super) enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Custom {
    pub(super) fn new(family: Family, reporters: Arc<Reporters>) -> Self {
        Self { family, reporters, series: RwLock::default() }
    }

    pub(super) fn kind(&self) -> Kind {
        self.family.kind
    }

    pub(super) fn wrong_kind(&self, call: &'static str) -> MetricError {
        MetricError::Kind { name: self.family.short.clone(), kind: self.family.kind, call }
    }

    /// The series of these labels, which may be written in any order. Values that are too long are `other`; beyond
    /// [`SERIES`] series all values are.
    pub(super) fn handle(&self, labels: &[(&str, &str)]) -> Result<Handle, MetricError> {
        let names = &self.family.labels;
        let wrong = || MetricError::Labels { name: self.family.short.clone(), expected: names.clone() };
        let value = |name: &String| labels.iter().find(|(given, _)| given == name).map(|(_, value)| bounded(value));
        let values: Vec<&str> = names.iter().map(value).collect::<Option<_>>().ok_or_else(wrong)?;
        if labels.len() != names.len() {
            return Err(wrong());
        }
        let key = key(&values);
        if let Some(handle) = self.series.read().get(&key) {
            return Ok(handle.clone());
        }
        let mut series = self.series.write();
        let others = vec![OTHER; names.len()];
        let (key, values) = match series.len() < SERIES || series.contains_key(&key) {
            true => (key, values),
            false => (self::key(&others), others),
        };
        Ok(series.entry(key).or_insert_with(|| self.make(&values)).clone())
    }

    fn make(&self, values: &[&str]) -> Handle {
        let (to, family, none) = (&self.reporters, &self.family, &Tags::default());
        match family.kind {
            Kind::Counter => Handle::Counter(to.counter(family, values, none)),
            Kind::Gauge => Handle::Gauge(to.gauge(family, values, none)),
            Kind::Summary | Kind::Histogram => Handle::Histogram(to.histogram(family, values, none)),
        }
    }
}

/// Several values as one text: each with its length in front, so that no two lists have the same.
fn key(values: &[&str]) -> String {
    let mut key = String::with_capacity(values.iter().map(|value| value.len() + 4).sum());
    for value in values {
        // Writing to a text does not fail.
        let _ = write!(key, "{}:{value}", value.len());
    }
    key
}
