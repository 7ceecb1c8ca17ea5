//! What is read at intervals and when somebody asks, not counted as it happens.

use super::families::{self, Family};
use super::reporters::Reporters;
use super::series::LONGEST_VALUE;
use super::tags::Tags;
use crate::server::Server;
use metrics::{Counter, Gauge, Histogram};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Server types that have a gauge of their own.
const KINDS: usize = 256;
/// Names of Go's pools of goroutines, which here are places for work of other servers.
const DISPATCH: &str = "handler_dispatch";
const REMOTE: &str = "rpc_server_remote";

/// The handles of one app.
pub(super) struct Readings {
    reporters: Arc<Reporters>,
    /// In the order of [`Counts::fields`](crate::Counts).
    counters: Vec<Counter>,
    closed: Vec<Counter>,
    refused: Vec<Counter>,
    /// In the order of [`Transport::counters`](pitaya_core::cluster::Transport::counters).
    transport: Vec<Counter>,
    unsent: Counter,
    rejected: Counter,
    rate_limited: Counter,
    connected: Gauge,
    servers: (Family, Mutex<HashMap<Arc<str>, Gauge>>),
    dropped: Gauge,
    dispatch: Pool,
    remote: Pool,
    tasks: Gauge,
    buffered: Gauge,
    memory: Gauge,
}

/// Places, and what is free of them.
struct Pool {
    busy: Gauge,
    total: Gauge,
    /// Go's channel of the same purpose.
    free: Histogram,
}

impl Pool {
    fn new(reporters: &Reporters, pool: &str, channel: &str) -> Self {
        let none = Tags::default();
        Self {
            busy: reporters.gauge(&families::BUSY.family(), &[pool], &none),
            total: reporters.gauge(&families::WORKERS.family(), &[pool], &none),
            free: reporters.histogram(&families::CAPACITY.family(), &[channel], &none),
        }
    }

    fn read(&self, busy: usize, total: usize) {
        self.busy.set(busy as f64);
        self.total.set(total as f64);
        self.free.record(total.saturating_sub(busy) as f64);
    }
}

impl Readings {
    pub(super) fn new(reporters: &Arc<Reporters>, transport: &[(&str, &str, u64)]) -> Self {
        let none = &Tags::default();
        let gauge = |fixed: &families::Fixed| reporters.gauge(&fixed.family(), &[], none);
        let counter = |fixed: &families::Fixed| reporters.counter(&fixed.family(), &[], none);
        let named = |subsystem, name, help| reporters.counter(&families::counter(subsystem, name, help), &[], none);
        let (closed, refused) = (families::CLOSED.family(), families::REFUSED.family());
        Self {
            counters: crate::Counts::default()
                .fields()
                .into_iter()
                .map(|(name, help, _)| match name == families::RATE_LIMITED.name {
                    // Go has a name for it.
                    true => Counter::noop(),
                    false => named("server", name, help),
                })
                .collect(),
            closed: families::REASONS.iter().map(|reason| reporters.counter(&closed, &[reason], none)).collect(),
            refused: families::REFUSALS.iter().map(|reason| reporters.counter(&refused, &[reason], none)).collect(),
            transport: transport.iter().map(|(name, help, _)| named("transport", name, help)).collect(),
            unsent: counter(families::UNSENT),
            rejected: counter(families::REJECTED),
            rate_limited: counter(families::RATE_LIMITED),
            connected: gauge(families::CONNECTED),
            servers: (families::SERVERS.family(), Mutex::default()),
            dropped: gauge(families::DROPPED),
            dispatch: Pool::new(reporters, DISPATCH, "rpc_server_subchan"),
            remote: Pool::new(reporters, REMOTE, "rpc_server_calls"),
            tasks: gauge(families::TASKS),
            buffered: gauge(families::BUFFERED),
            memory: gauge(families::MEMORY),
            reporters: reporters.clone(),
        }
    }

    pub(super) fn read(&self, server: &Server, unsent: u64, rejected: u64) {
        let counts = server.counters.read();
        for (counter, (_, _, value)) in self.counters.iter().zip(counts.fields()) {
            counter.absolute(value);
        }
        self.closed.iter().zip(counts.closed).for_each(|(counter, value)| counter.absolute(value));
        self.refused.iter().zip(counts.refused).for_each(|(counter, value)| counter.absolute(value));
        let transport = server.cluster.transport.counters();
        self.transport.iter().zip(&transport).for_each(|(counter, (_, _, value))| counter.absolute(*value));
        let lost = transport.iter().filter(|(name, ..)| ["dropped", "late"].contains(name));
        let lost = lost.map(|(_, _, value)| value).sum::<u64>();
        self.dropped.set((lost + counts.refused_messages + counts.overdue_messages + counts.refused_calls) as f64);
        self.unsent.absolute(unsent);
        self.rejected.absolute(rejected);
        let fields = counts.fields();
        let limited = fields.iter().find(|(name, ..)| *name == families::RATE_LIMITED.name);
        self.rate_limited.absolute(limited.map_or(0, |(_, _, value)| *value));
        self.connected.set(server.sessions.count() as f64);
        self.count_servers(server);
        self.dispatch.read(server.forwarded.used().messages, server.settings.forwarded);
        let calls = server.settings.calls.min(Semaphore::MAX_PERMITS);
        self.remote.read(calls.saturating_sub(server.calls.available_permits()), calls);
        self.buffered.set(server.budget.held() as f64);
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.set(runtime.metrics().num_alive_tasks() as f64);
        }
        if let Some(bytes) = memory() {
            self.memory.set(bytes as f64);
        }
    }

    /// A type whose last server is gone is told as none.
    fn count_servers(&self, server: &Server) {
        let (family, gauges) = &self.servers;
        let mut counts: HashMap<Arc<str>, usize> = HashMap::new();
        for info in server.cluster.servers.all() {
            *counts.entry(info.kind.clone()).or_default() += 1;
        }
        let mut gauges = gauges.lock();
        for kind in counts.keys() {
            if gauges.len() < KINDS && kind.len() <= LONGEST_VALUE && !gauges.contains_key(kind) {
                gauges.insert(kind.clone(), self.reporters.gauge(family, &[kind], &Tags::default()));
            }
        }
        for (kind, gauge) in &*gauges {
            gauge.set(counts.get(kind).copied().unwrap_or(0) as f64);
        }
    }
}

/// What the process holds of the machine's memory, where the system tells: on Linux.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
