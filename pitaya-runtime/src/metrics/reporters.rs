//! Several recorders as one, and the labels that every metric has.

use super::families::Family;
use super::tags::Tags;
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, Label, Level, Metadata, Recorder};
use std::sync::Arc;

const METADATA: Metadata<'static> = Metadata::new("pitaya", Level::INFO, None);

pub(crate) type AnyRecorder = Arc<dyn Recorder + Send + Sync>;

/// Where an app reports to.
pub(super) struct Reporters {
    all: Vec<AnyRecorder>,
    /// `serverType`, `game` and those of `pitaya.metrics.constlabels`.
    constant: Vec<Label>,
    /// Those of `pitaya.metrics.additionallabels`, each with what it is when a request says nothing.
    additional: Vec<(String, String)>,
}

impl Reporters {
    pub(super) fn new(all: Vec<AnyRecorder>, kind: &str, keys: &crate::config::Metrics) -> Self {
        let mut constant = vec![Label::new("serverType", kind.to_owned()), Label::new("game", keys.game.clone())];
        constant.extend(keys.constlabels.iter().map(|(name, value)| Label::new(name.clone(), value.clone())));
        let additional = keys.additionallabels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { all, constant, additional }
    }

    /// Whether anybody listens.
    pub(super) fn any(&self) -> bool {
        !self.all.is_empty()
    }

    /// The names of the labels that a request may set.
    pub(super) fn additional(&self) -> &[(String, String)] {
        &self.additional
    }

    pub(super) fn describe(&self, families: &[Family]) {
        use super::families::Kind;
        for (recorder, family) in self.all.iter().flat_map(|r| families.iter().map(move |family| (r, family))) {
            let (name, help) = (family.name.clone().into(), family.help.clone().into());
            match family.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Summary | Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
    }

    fn key(&self, family: &Family, values: &[&str], tags: &Tags) -> Key {
        let mut labels = self.constant.clone();
        let additional = self.additional.iter().enumerate();
        labels.extend(
            additional
                .map(|(i, (name, default))| Label::new(name.clone(), tags.value(i).unwrap_or(default).to_owned())),
        );
        let own = family.labels.iter().zip(values);
        labels.extend(own.map(|(name, value)| Label::new(name.clone(), (*value).to_owned())));
        Key::from_parts(family.name.clone(), labels)
    }

    pub(super) fn counter(&self, family: &Family, values: &[&str], tags: &Tags) -> Counter {
        let key = self.key(family, values, tags);
        let mut all: Vec<_> = self.all.iter().map(|to| to.register_counter(&key, &METADATA)).collect();
        match all.len() {
            0 => Counter::noop(),
            1 => all.remove(0),
            _ => Counter::from_arc(Arc::new(Fan(all))),
        }
    }

    pub(super) fn gauge(&self, family: &Family, values: &[&str], tags: &Tags) -> Gauge {
        let key = self.key(family, values, tags);
        let mut all: Vec<_> = self.all.iter().map(|to| to.register_gauge(&key, &METADATA)).collect();
        match all.len() {
            0 => Gauge::noop(),
            1 => all.remove(0),
            _ => Gauge::from_arc(Arc::new(Fan(all))),
        }
    }

    /// Of a summary or of a histogram: recorders do not tell them apart.
    pub(super) fn histogram(&self, family: &Family, values: &[&str], tags: &Tags) -> Histogram {
        let key = self.key(family, values, tags);
        let mut all: Vec<_> = self.all.iter().map(|to| to.register_histogram(&key, &METADATA)).collect();
        match all.len() {
            0 => Histogram::noop(),
            1 => all.remove(0),
            _ => Histogram::from_arc(Arc::new(Fan(all))),
        }
    }
}

/// The handles of one metric, one of each recorder.
struct Fan<T>(Vec<T>);

impl CounterFn for Fan<Counter> {
    fn increment(&self, value: u64) {
        self.0.iter().for_each(|to| to.increment(value));
    }

    fn absolute(&self, value: u64) {
        self.0.iter().for_each(|to| to.absolute(value));
    }
}

impl GaugeFn for Fan<Gauge> {
    fn increment(&self, value: f64) {
        self.0.iter().for_each(|to| to.increment(value));
    }

    fn decrement(&self, value: f64) {
        self.0.iter().for_each(|to| to.decrement(value));
    }

    fn set(&self, value: f64) {
        self.0.iter().for_each(|to| to.set(value));
    }
}

impl HistogramFn for Fan<Histogram> {
    fn record(&self, value: f64) {
        self.0.iter().for_each(|to| to.record(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        self.0.iter().for_each(|to| to.record_many(value, count));
    }
}
