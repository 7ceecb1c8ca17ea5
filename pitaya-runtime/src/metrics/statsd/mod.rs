//! The recorder that sends to StatsD, in Datadog's format: one line an event, many lines a datagram.

mod sender;

use super::families::{Family, Kind};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata};
use metrics::{Recorder, SharedString, Unit};
use sender::Sender;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(super) struct Statsd {
    out: Arc<Out>,
    /// What a family is called here, and how its values are sent.
    names: HashMap<String, (String, Kind)>,
}

struct Out {
    prefix: String,
    rate: f64,
    sender: Sender,
    /// Counts values that cannot be sent because they are no numbers.
    rejected: Arc<AtomicU64>,
    /// Chooses the values that are sent.
    random: AtomicU64,
}

impl Statsd {
    pub(super) fn new(keys: &crate::config::Statsd, families: &[Family], rejected: Arc<AtomicU64>) -> Self {
        let names = families.iter().map(|family| (family.name.clone(), (family.short.clone(), family.kind)));
        Self {
            out: Arc::new(Out {
                prefix: keys.prefix.clone(),
                rate: keys.rate,
                sender: Sender::new(&keys.host, keys.datagram.bytes()),
                rejected,
                random: AtomicU64::new(0),
            }),
            names: names.collect(),
        }
    }

    /// Finds the receiver, if that is due.
    pub(super) async fn refresh(&self) {
        self.out.sender.refresh().await;
    }

    /// Sends what waits.
    pub(super) fn flush(&self) {
        self.out.sender.flush();
    }

    /// How many bytes could not be sent.
    pub(super) fn dropped(&self) -> u64 {
        self.out.sender.dropped()
    }

    fn event(&self, key: &Key, fallback: Kind) -> Arc<Event> {
        let (name, kind) = self.names.get(key.name()).cloned().unwrap_or_else(|| (key.name().to_owned(), fallback));
        let mark = match kind {
            Kind::Counter => "c",
            Kind::Gauge => "g",
            // Go sends them as timings.
            Kind::Summary => "ms",
            Kind::Histogram => "h",
        };
        let mut tags = String::new();
        for label in key.labels().filter(|label| !label.value().is_empty()) {
            let mark = if tags.is_empty() { "|#" } else { "," };
            let _ = write!(tags, "{mark}{}:{}", label.key(), clean(label.value()));
        }
        let head = format!("{}{name}:", clean(&self.out.prefix));
        Arc::new(Event { out: self.out.clone(), head, mark, tags, last: AtomicU64::new(0) })
    }
}

/// Nothing in a value may end it.
fn clean(value: &str) -> String {
    value.replace(['|', ',', '#', '\n', '\r'], "_")
}

impl Out {
    /// Whether the next value is one of the share that is sent.
    fn chosen(&self) -> bool {
        if self.rate >= 1.0 {
            return true;
        }
        // Weyl's sequence: as even as chance, and no more is needed.
        let next = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        (next >> 11) as f64 / (1u64 << 53) as f64 <= self.rate
    }
}

/// A metric with its labels.
struct Event {
    out: Arc<Out>,
    head: String,
    mark: &'static str,
    tags: String,
    /// The bits of a gauge, or what of a counter has been sent.
    last: AtomicU64,
}

impl Event {
    /// `stands_for` values: the receiver multiplies by what follows the `@`.
    fn send(&self, value: f64, stands_for: f64) {
        if !self.is_number(value) || !self.out.chosen() {
            return;
        }
        let rate = self.out.rate / stands_for;
        let mut line = format!("{}{value}|{}", self.head, self.mark);
        // Gauges are not counted.
        if rate < 1.0 && self.mark != "g" {
            let _ = write!(line, "|@{rate}");
        }
        line.push_str(&self.tags);
        self.out.sender.put(&line);
    }

    /// Sends what a gauge has become.
    fn send_gauge(&self, mut value: f64) {
        let Self { out, head, mark, tags, last } = self;
        loop {
            let line = match value {
                // A sign makes it a change of what the receiver has, by the protocol: from zero, in the same datagram.
                value if value < 0.0 => format!("{head}0|{mark}{tags}\n{head}{value}|{mark}{tags}"),
                // Without the sign of a negative zero.
                value => format!("{head}{}|{mark}{tags}", value.abs()),
            };
            out.sender.put(&line);
            // Another thread may have changed it and sent its line first: the last line has the last value.
            let now = last.load(Relaxed);
            if now == value.to_bits() {
                return;
            }
            value = f64::from_bits(now);
        }
    }

    /// The format has no text for NaN and infinities: they are counted.
    fn is_number(&self, value: f64) -> bool {
        if !value.is_finite() {
            self.out.rejected.fetch_add(1, Relaxed);
        }
        value.is_finite()
    }
}

impl CounterFn for Event {
    fn increment(&self, value: u64) {
        self.last.fetch_add(value, Relaxed);
        self.send(value as f64, 1.0);
    }

    fn absolute(&self, value: u64) {
        let before = self.last.fetch_max(value, Relaxed);
        if value > before {
            // What has grown since: nothing of it is left to chance.
            let line = format!("{}{}|{}{}", self.head, value - before, self.mark, self.tags);
            self.out.sender.put(&line);
        }
    }
}

impl GaugeFn for Event {
    fn increment(&self, value: f64) {
        let grow = |bits| Some(f64::from_bits(bits) + value).filter(|grown| grown.is_finite()).map(f64::to_bits);
        let (Ok(before) | Err(before)) = self.last.fetch_update(Relaxed, Relaxed, grow);
        let value = f64::from_bits(before) + value;
        if self.is_number(value) {
            self.send_gauge(value);
        }
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        if !self.is_number(value) {
            return;
        }
        self.last.store(value.to_bits(), Relaxed);
        self.send_gauge(value);
    }
}

impl HistogramFn for Event {
    fn record(&self, value: f64) {
        self.send(value, 1.0);
    }

    fn record_many(&self, value: f64, count: usize) {
        if count > 0 {
            self.send(value, count as f64);
        }
    }
}

impl Recorder for Statsd {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.event(key, Kind::Counter))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.event(key, Kind::Gauge))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.event(key, Kind::Summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[tokio::test]
    async fn changes_of_a_gauge_from_several_threads_add_up() {
        const TIMES: usize = 20_000;
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let mut keys = crate::config::Config::default().metrics.statsd;
        keys.host = receiver.local_addr().expect("it is bound").to_string();
        let statsd = Statsd::new(&keys, &[], Arc::default());
        let gauge = statsd.event(&Key::from_name("balance"), Kind::Gauge);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..TIMES {
                        GaugeFn::increment(&*gauge, 2.0);
                        GaugeFn::decrement(&*gauge, 1.0);
                    }
                });
            }
        });
        assert_eq!(f64::from_bits(gauge.last.load(Relaxed)), 4.0 * TIMES as f64);
        GaugeFn::increment(&*gauge, f64::INFINITY);
        assert_eq!(f64::from_bits(gauge.last.load(Relaxed)), 4.0 * TIMES as f64, "no number: it stays");
        assert_eq!(gauge.out.rejected.load(Relaxed), 1);
    }
}
