//! The series of response times, by route and outcome. Both are bounded: whatever clients send and applications answer, a
//! name that is one too many is `other`.

use super::families::{DELAY, Family, RESPONSE_SECONDS, RESPONSE_TIME};
use super::reporters::Reporters;
use super::tags::Tags;
use metrics::Histogram;
use parking_lot::RwLock;
use pitaya_core::Error;
use pitaya_core::error::codes;
use pitaya_core::maps::KeyedMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What stands for all that has no name of its own.
pub(super) const OTHER: &str = "other";
/// Upper bound of a label value, in bytes: a longer one is [`OTHER`]. Without it a value that clients choose would be held
/// in memory, and fetched with each scrape, whatever its size.
pub(super) const LONGEST_VALUE: usize = 128;
/// Codes of applications that have a label value of their own.
const CODES: usize = 32;
/// So long a code may be.
const LONGEST_CODE: usize = 64;
/// Routes of other servers that have a label value of their own.
const ROUTES: usize = 1024;
/// Series with labels that requests have set.
const TAGGED: usize = 4096;

/// Those of the framework itself.
const FRAMEWORK: [&str; 7] = [
    codes::UNKNOWN,
    codes::BAD_REQUEST,
    codes::NOT_FOUND,
    codes::TIMEOUT,
    codes::CLOSED,
    codes::INTERNAL,
    codes::UNAVAILABLE,
];

/// A label value as it is reported.
pub(super) fn bounded(value: &str) -> &str {
    if value.len() > LONGEST_VALUE { OTHER } else { value }
}

/// The response times of one outcome.
#[derive(Clone)]
pub(super) struct Series {
    nanoseconds: Histogram,
    /// In buckets, when that is asked for.
    seconds: Histogram,
}

impl Series {
    #[inline]
    pub(super) fn record(&self, took: Duration, count: usize) {
        self.nanoseconds.record_many(took.as_nanos() as f64, count);
        self.seconds.record_many(took.as_secs_f64(), count);
    }
}

/// One route as one type of call, with a series for each outcome.
pub(super) struct Timed {
    route: Arc<str>,
    kind: &'static str,
    pub(super) ok: Series,
    pub(super) delay: Histogram,
    failed: RwLock<Vec<(Arc<str>, Series)>>,
}

/// Route, type, code, and what the request has set.
type Tagged = (Arc<str>, &'static str, Arc<str>, Tags);

/// Makes them.
pub(super) struct Factory {
    pub(super) reporters: Arc<Reporters>,
    time: Family,
    seconds: Option<Family>,
    delay: Family,
    codes: RwLock<Vec<Arc<str>>>,
    tagged: RwLock<HashMap<Tagged, Series>>,
}

impl Factory {
    pub(super) fn new(reporters: Arc<Reporters>, histograms: bool) -> Self {
        Self {
            reporters,
            time: RESPONSE_TIME.family(),
            seconds: histograms.then(|| RESPONSE_SECONDS.family()),
            delay: DELAY.family(),
            codes: RwLock::new(FRAMEWORK.map(Arc::from).to_vec()),
            tagged: RwLock::default(),
        }
    }

    /// `delay` is the type under which delays are reported, if they are.
    pub(super) fn timed(&self, route: &str, kind: &'static str, delay: Option<&str>) -> Timed {
        let delay = delay.map(|kind| self.reporters.histogram(&self.delay, &[route, kind], &Tags::default()));
        Timed {
            ok: self.series(route, kind, "", &Tags::default()),
            delay: delay.unwrap_or(Histogram::noop()),
            failed: RwLock::default(),
            route: route.into(),
            kind,
        }
    }

    fn series(&self, route: &str, kind: &str, code: &str, tags: &Tags) -> Series {
        let status = if code.is_empty() { "ok" } else { "failed" };
        let values = [route, status, kind, code];
        let seconds = self.seconds.as_ref().map(|family| self.reporters.histogram(family, &values, tags));
        Series {
            nanoseconds: self.reporters.histogram(&self.time, &values, tags),
            seconds: seconds.unwrap_or(Histogram::noop()),
        }
    }

    /// The label value of a code.
    fn code(&self, code: &str) -> Arc<str> {
        if let Some(known) = self.codes.read().iter().find(|known| ***known == *code) {
            return known.clone();
        }
        let mut known = self.codes.write();
        if known.len() >= FRAMEWORK.len() + CODES || code.len() > LONGEST_CODE || code.is_empty() {
            return OTHER.into();
        }
        if let Some(known) = known.iter().find(|known| ***known == *code) {
            return known.clone();
        }
        known.push(code.into());
        code.into()
    }

    /// The series of an outcome.
    pub(super) fn outcome(&self, timed: &Timed, error: Option<&Error>, tags: &Tags) -> Series {
        let Some(error) = error else {
            return if tags.is_empty() { timed.ok.clone() } else { self.tagged(timed, "".into(), tags) };
        };
        if tags.is_empty()
            && let Some((_, series)) = timed.failed.read().iter().find(|(code, _)| **code == *error.code())
        {
            return series.clone();
        }
        let code = self.code(error.code());
        if !tags.is_empty() {
            return self.tagged(timed, code, tags);
        }
        let mut failed = timed.failed.write();
        if let Some((_, series)) = failed.iter().find(|(known, _)| *known == code) {
            return series.clone();
        }
        let series = self.series(&timed.route, timed.kind, &code, tags);
        failed.push((code, series.clone()));
        series
    }

    fn tagged(&self, timed: &Timed, code: Arc<str>, tags: &Tags) -> Series {
        let key = (timed.route.clone(), timed.kind, code, tags.clone());
        if let Some(series) = self.tagged.read().get(&key) {
            return series.clone();
        }
        let mut tagged = self.tagged.write();
        if tagged.len() >= TAGGED && !tagged.contains_key(&key) {
            drop(tagged);
            // One too many: as if the request had said nothing.
            let error = (!key.2.is_empty()).then(|| Error::new(key.2.to_string(), ""));
            return self.outcome(timed, error.as_ref(), &Tags::default());
        }
        let make = || self.series(&timed.route, timed.kind, &key.2, tags);
        tagged.entry(key.clone()).or_insert_with(make).clone()
    }
}

/// Routes that are not known at build: those of other servers.
pub(super) struct Named {
    known: RwLock<KeyedMap<Box<str>, Arc<Timed>>>,
    pub(super) other: Arc<Timed>,
    kind: &'static str,
    delay: Option<&'static str>,
}

impl Named {
    pub(super) fn new(factory: &Factory, kind: &'static str, delay: Option<&'static str>) -> Self {
        Self { known: RwLock::default(), other: Arc::new(factory.timed(OTHER, kind, delay)), kind, delay }
    }

    pub(super) fn find(&self, route: &str) -> Option<Arc<Timed>> {
        self.known.read().get(route).cloned()
    }

    /// The handles of a route as far as it is known, else those of all others.
    pub(super) fn known(&self, route: &str) -> Arc<Timed> {
        self.find(route).unwrap_or_else(|| self.other.clone())
    }

    /// Gives the route a name of its own, if there is one left.
    pub(super) fn learn(&self, factory: &Factory, route: &str) -> Arc<Timed> {
        if let Some(known) = self.find(route) {
            return known;
        }
        if route.len() > LONGEST_VALUE {
            return self.other.clone();
        }
        let mut known = self.known.write();
        if known.len() >= ROUTES && !known.contains_key(route) {
            return self.other.clone();
        }
        let make = || Arc::new(factory.timed(route, self.kind, self.delay));
        known.entry(route.into()).or_insert_with(make).clone()
    }
}
