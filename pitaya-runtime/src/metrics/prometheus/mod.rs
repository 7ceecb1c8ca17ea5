//! The recorder behind `/metrics`: keeps the values of one app, and writes them as Prometheus reads them.
//!
//! A histogram of the `metrics` facade becomes a summary or a histogram, with quantiles or buckets of its own, as its
//! family says. Values are kept in shards: threads that report to one series at the same time do not wait for each other.

mod buckets;
mod shards;
mod summary;
mod text;

use super::families::{Family, Kind};
use buckets::Buckets;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use summary::Summary;

/// A summary forgets in steps of this much: Go's summaries have five of them in ten minutes.
const STEP: Duration = Duration::from_secs(120);

pub(super) struct Prometheus {
    families: Mutex<BTreeMap<String, Stored>>,
    started: Instant,
    /// How many steps have passed, as of the last look at the clock. Reporting reads no clock.
    step: Arc<AtomicU64>,
}

struct Stored {
    family: Family,
    /// By labels, as they are written.
    series: BTreeMap<String, Series>,
}

enum Series {
    Counter(Arc<Total>),
    Gauge(Arc<AtomicU64>),
    Summary(Arc<Summary>),
    Histogram(Arc<Buckets>),
}

impl Prometheus {
    pub(super) fn new(families: &[Family]) -> Self {
        let stored = |family: &Family| Stored { family: family.clone(), series: BTreeMap::new() };
        Self {
            families: Mutex::new(families.iter().map(|family| (family.name.clone(), stored(family))).collect()),
            started: Instant::now(),
            step: Arc::default(),
        }
    }

    /// Lets summaries forget. Called now and then, also when nobody asks for the text.
    pub(super) fn look_at_the_clock(&self) {
        self.step.store(self.started.elapsed().as_secs() / STEP.as_secs(), Relaxed);
    }

    /// Everything, in the text format 0.0.4.
    pub(super) fn render(&self) -> String {
        self.look_at_the_clock();
        let mut out = String::new();
        for stored in self.families.lock().values() {
            stored.write(&mut out, self.step.load(Relaxed));
        }
        out
    }

    fn series<T>(
        &self,
        key: &Key,
        kind: Kind,
        make: impl FnOnce(&Family) -> Series,
        take: impl FnOnce(&Series) -> Option<T>,
    ) -> Option<T> {
        let mut families = self.families.lock();
        // What was not announced is kept too: recorders take any name.
        let stored = families.entry(key.name().to_owned()).or_insert_with(|| Stored::unannounced(key, kind));
        let Stored { family, series } = stored;
        let series = series.entry(text::labels(key)).or_insert_with(|| make(family));
        take(series)
    }
}

impl Stored {
    fn unannounced(key: &Key, kind: Kind) -> Self {
        let name = key.name().to_owned();
        let family =
            Family { kind, short: name.clone(), name, help: String::new(), labels: Vec::new(), bounds: Vec::new() };
        Self { family, series: BTreeMap::new() }
    }

    fn write(&self, out: &mut String, step: u64) {
        let name = &self.family.name;
        let mut begun = false;
        for (labels, series) in &self.series {
            let mut body = String::new();
            match series {
                Series::Counter(total) => text::sample(&mut body, name, "", labels, "", total.0.load(Relaxed) as f64),
                Series::Gauge(bits) => {
                    text::sample(&mut body, name, "", labels, "", f64::from_bits(bits.load(Relaxed)))
                }
                Series::Summary(summary) => summary.write(&mut body, name, labels, &self.family.bounds, step),
                Series::Histogram(buckets) => buckets.write(&mut body, name, labels),
            }
            // A series without a value yet is none.
            if !body.is_empty() && !std::mem::replace(&mut begun, true) {
                text::head(out, &self.family);
            }
            out.push_str(&body);
        }
    }
}

impl Recorder for Prometheus {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let made = |_: &Family| Series::Counter(Arc::default());
        let found = self.series(key, Kind::Counter, made, |series| match series {
            Series::Counter(total) => Some(total.clone()),
            _ => None,
        });
        found.map_or(Counter::noop(), Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let made = |_: &Family| Series::Gauge(Arc::new(AtomicU64::new(0f64.to_bits())));
        let found = self.series(key, Kind::Gauge, made, |series| match series {
            Series::Gauge(bits) => Some(bits.clone()),
            _ => None,
        });
        found.map_or(Gauge::noop(), Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let step = self.step.clone();
        let made = |family: &Family| match family.kind {
            Kind::Histogram => Series::Histogram(Arc::new(Buckets::new(&family.bounds))),
            _ => Series::Summary(Arc::new(Summary::new(step))),
        };
        let found = self.series(key, Kind::Summary, made, |series| match series {
            Series::Summary(summary) => Some(Histogram::from_arc(summary.clone())),
            Series::Histogram(buckets) => Some(Histogram::from_arc(buckets.clone())),
            _ => None,
        });
        found.unwrap_or(Histogram::noop())
    }
}

/// Value of a counter. It stays at its upper bound: from there it would begin again at 0.
#[derive(Default)]
struct Total(AtomicU64);

impl CounterFn for Total {
    fn increment(&self, value: u64) {
        if self.0.fetch_add(value, Relaxed).checked_add(value).is_none() {
            self.0.store(u64::MAX, Relaxed);
        }
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }
}

impl HistogramFn for Summary {
    fn record(&self, value: f64) {
        self.add(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.add(value, count as u64);
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.add(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.add(value, count as u64);
    }
}
