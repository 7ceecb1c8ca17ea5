//! The recorder that sends to StatsD, in Datadog's format: one line an event, many lines a datagram.

use super::families::{Family, Kind};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata};
use metrics::{Recorder, SharedString, Unit};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tokio::net::{UdpSocket, lookup_host};

/// What fits the frames of most networks.
const DATAGRAM: usize = 1432;

pub(super) struct Statsd {
    out: Arc<Out>,
    /// What a family is called here, and how its values are sent.
    names: HashMap<String, (String, Kind)>,
}

struct Out {
    host: String,
    prefix: String,
    rate: f64,
    socket: OnceLock<UdpSocket>,
    waiting: Mutex<String>,
    /// Bytes that could not be sent.
    dropped: AtomicU64,
    /// Chooses the values that are sent.
    random: AtomicU64,
}

impl Statsd {
    pub(super) fn new(keys: &crate::config::Statsd, families: &[Family]) -> Self {
        let names = families.iter().map(|family| (family.name.clone(), (family.short.clone(), family.kind)));
        Self {
            out: Arc::new(Out {
                host: keys.host.clone(),
                prefix: keys.prefix.clone(),
                rate: keys.rate,
                socket: OnceLock::new(),
                waiting: Mutex::default(),
                dropped: AtomicU64::new(0),
                random: AtomicU64::new(0),
            }),
            names: names.collect(),
        }
    }

    /// Opens the socket, if that is not done: a name may become known later.
    pub(super) async fn open(&self) {
        let out = &self.out;
        if out.socket.get().is_some() {
            return;
        }
        match open(&out.host).await {
            Ok(socket) => drop(out.socket.set(socket)),
            Err(error) => tracing::warn!("pitaya.metrics.statsd.host: {}: {error}", out.host),
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&self) {
        self.out.flush(&mut self.out.waiting.lock());
    }

    pub(super) fn dropped(&self) -> u64 {
        self.out.dropped.load(Relaxed)
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

async fn open(host: &str) -> std::io::Result<UdpSocket> {
    let to = lookup_host(host).await?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let socket = match to.is_ipv4() {
        true => UdpSocket::bind("0.0.0.0:0").await?,
        false => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
    };
    socket.connect(to).await?;
    Ok(socket)
}

/// Nothing in a value may end it.
fn clean(value: &str) -> String {
    value.replace(['|', ',', '#', '\n', '\r'], "_")
}

impl Out {
    fn put(&self, line: &str) {
        let mut waiting = self.waiting.lock();
        if !waiting.is_empty() && waiting.len() + 1 + line.len() > DATAGRAM {
            self.flush(&mut waiting);
        }
        if !waiting.is_empty() {
            waiting.push('\n');
        }
        waiting.push_str(line);
    }

    /// Never waits: what the system does not take at once is dropped, and counted.
    fn flush(&self, waiting: &mut String) {
        if waiting.is_empty() {
            return;
        }
        let sent = self.socket.get().is_some_and(|socket| socket.try_send(waiting.as_bytes()).is_ok());
        if !sent {
            self.dropped.fetch_add(waiting.len() as u64, Relaxed);
        }
        waiting.clear();
    }

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
        if !self.out.chosen() {
            return;
        }
        let rate = self.out.rate / stands_for;
        let mut line = format!("{}{value}|{}", self.head, self.mark);
        // Gauges are not counted.
        if rate < 1.0 && self.mark != "g" {
            let _ = write!(line, "|@{rate}");
        }
        line.push_str(&self.tags);
        self.out.put(&line);
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
            self.out.put(&line);
        }
    }
}

impl GaugeFn for Event {
    fn increment(&self, value: f64) {
        self.set(f64::from_bits(self.last.load(Relaxed)) + value);
    }

    fn decrement(&self, value: f64) {
        self.set(f64::from_bits(self.last.load(Relaxed)) - value);
    }

    fn set(&self, value: f64) {
        self.last.store(value.to_bits(), Relaxed);
        let line = format!("{}{value}|{}{}", self.head, self.mark, self.tags);
        self.out.put(&line);
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
