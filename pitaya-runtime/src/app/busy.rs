//! Report of the work that a stop of the app did not wait for any longer.

use super::{App, Inner};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Upper bound of the names in each part of the report.
const NAMES: usize = 10;

/// Calls of handlers that were cut off, by route. There are no more entries than routes.
#[derive(Debug, Default)]
pub(crate) struct CutOff(Mutex<BTreeMap<Arc<str>, usize>>);

impl CutOff {
    /// Notes one call.
    #[cold]
    pub(crate) fn note(&self, route: Arc<str>) {
        *self.0.lock().entry(route).or_default() += 1;
    }

    /// The calls so far.
    pub(super) fn by_route(&self) -> BTreeMap<Arc<str>, usize> {
        self.0.lock().clone()
    }
}

/// Calls of handlers that keep a session from ending, by the numbers of the session and of the route.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<BTreeSet<(i64, u32)>>);

impl Pending {
    /// Notes one call.
    #[cold]
    pub(crate) fn note(&self, session: i64, route: u32) {
        self.0.lock().insert((session, route));
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The calls noted since it was cleared.
    pub(super) fn by_route(&self, names: &[Arc<str>]) -> BTreeMap<Arc<str>, usize> {
        let mut routes = BTreeMap::new();
        for (_, route) in &*self.0.lock() {
            if let Some(name) = names.get(*route as usize) {
                *routes.entry(name.clone()).or_default() += 1;
            }
        }
        routes
    }
}

/// Work in progress, as it stands when the time to finish it is over.
#[derive(Debug)]
pub(super) struct Busy {
    timers: Vec<String>,
    sessions: usize,
    remotes: usize,
    forwarded: usize,
}

impl Busy {
    pub(super) fn of(app: &App) -> Self {
        let Inner { server, timers, .. } = &*app.0;
        let places = server.settings.calls.min(Semaphore::MAX_PERMITS);
        Self {
            timers: timers.running(),
            sessions: server.sessions.count(),
            remotes: places.saturating_sub(server.calls.available_permits()),
            forwarded: server.forwarded.used().messages,
        }
    }

    /// The report, with the calls of handlers by route, and the number of tasks that run all the same.
    pub(super) fn report(&self, handlers: &BTreeMap<Arc<str>, usize>, tasks: usize) -> String {
        let mut parts = Vec::new();
        let mut named = |what: &str, names: &mut dyn ExactSizeIterator<Item = String>| {
            let all = names.len();
            if all > 0 {
                let mut part = format!("{what} {}", names.take(NAMES).collect::<Vec<_>>().join(", "));
                if all > NAMES {
                    let _ = write!(part, " and {} more", all - NAMES);
                }
                parts.push(part);
            }
        };
        named("timers", &mut self.timers.iter().cloned());
        let counted = |(route, count): (&Arc<str>, &usize)| match count {
            1 => route.to_string(),
            _ => format!("{route} (x{count})"),
        };
        named("handlers", &mut handlers.iter().map(counted));
        for (count, what) in [
            (self.sessions, "sessions"),
            (self.remotes, "calls of remotes"),
            (self.forwarded, "messages of other servers' clients"),
            (tasks, "tasks that run on"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.join("; ")
    }
}
