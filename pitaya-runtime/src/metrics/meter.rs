//! What is measured of messages and calls, while anybody listens.

use super::reporters::Reporters;
use super::series::{Factory, Named, OTHER, Series, Timed};
use super::tags::Tags;
use pitaya_core::Error;
use pitaya_core::error::codes;
use pitaya_core::registry::Registry;
use pitaya_core::rpc::Metadata;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The values of the label `type`. Go has the first two.
const HANDLER: &str = "handler";
const RPC: &str = "rpc";
const FORWARDED: &str = "forwarded";
const REMOTE: &str = "remote";

/// The handles of one app: those of its own routes are made at build.
pub(crate) struct Meter {
    factory: Factory,
    /// Clients' messages that are handled here, by the number of the route.
    handlers: Box<[Timed]>,
    /// Those for which nothing is mounted.
    unknown: Timed,
    /// Those that are sent on to other servers.
    elsewhere: Named,
    /// Clients' messages that other servers sent here, and what came of those for which nothing is mounted.
    forwarded: Box<[Timed]>,
    forwarded_unknown: Timed,
    /// Calls of other servers, likewise.
    remotes: Box<[Timed]>,
    remotes_unknown: Timed,
    /// Calls to other servers.
    rpc: Named,
}

impl Meter {
    pub(super) fn new(reporters: Arc<Reporters>, histograms: bool, registry: &Registry) -> Self {
        let factory = Factory::new(reporters, histograms);
        let own = |kind, delay| {
            let routes = registry.entries().iter();
            routes.map(|entry| factory.timed(entry.name(), kind, delay)).collect()
        };
        let remotes = registry.remotes().entries().iter();
        Self {
            handlers: own(HANDLER, Some("local")),
            unknown: factory.timed(OTHER, HANDLER, None),
            elsewhere: Named::new(&factory, HANDLER, Some("remote")),
            forwarded: own(FORWARDED, None),
            forwarded_unknown: factory.timed(OTHER, FORWARDED, None),
            remotes: remotes.map(|entry| factory.timed(entry.name(), REMOTE, None)).collect(),
            remotes_unknown: factory.timed(OTHER, REMOTE, None),
            rpc: Named::new(&factory, RPC, None),
            factory,
        }
    }

    /// Whether requests may set labels.
    pub(crate) fn has_tags(&self) -> bool {
        !self.factory.reporters.additional().is_empty()
    }

    fn tags(&self, set: Option<&Metadata>) -> Tags {
        Tags::read(self.factory.reporters.additional(), set)
    }

    /// So many messages of a route were answered well, so long after they had come; they had waited for so long before.
    pub(super) fn answered(&self, route: u32, took: Duration, count: usize) {
        if let Some(timed) = self.handlers.get(route as usize) {
            timed.ok.record(took, count);
        }
    }

    /// So many messages of a route have waited for so long before they began.
    pub(super) fn began(&self, route: u32, waited: Duration, count: usize) {
        if let Some(timed) = self.handlers.get(route as usize) {
            timed.delay.record_many(waited.as_nanos() as f64, count);
        }
    }

    /// What one message of a client is counted as.
    #[cold]
    pub(super) fn outcome(&self, route: u32, error: Option<&Error>, tags: Option<&Metadata>) -> Series {
        let timed = self.handlers.get(route as usize).unwrap_or(&self.unknown);
        self.factory.outcome(timed, error, &self.tags(tags))
    }

    /// A client's message was handled here, away from its connection.
    pub(crate) fn handled(&self, route: u32, since: Instant, error: Option<&Error>, tags: Option<&Metadata>) {
        self.outcome(route, error, tags).record(since.elapsed(), 1);
    }

    /// Another server's client's message was handled here; no route when nothing is mounted under what it says.
    pub(crate) fn took_over(&self, route: Option<u32>, since: Instant, error: Option<&Error>, tags: Option<&Metadata>) {
        let timed = route.and_then(|route| self.forwarded.get(route as usize)).unwrap_or(&self.forwarded_unknown);
        self.factory.outcome(timed, error, &self.tags(tags)).record(since.elapsed(), 1);
    }

    /// Another server's call was served.
    pub(crate) fn served(&self, remote: Option<u32>, since: Instant, error: Option<&Error>, tags: &Metadata) {
        let timed = remote.and_then(|remote| self.remotes.get(remote as usize)).unwrap_or(&self.remotes_unknown);
        self.factory.outcome(timed, error, &self.tags(set(tags))).record(since.elapsed(), 1);
    }

    /// Records a call of another server. The route has a label value of its own once a server has run it: a route that is
    /// not found there (PIT-404) takes no place among those that are.
    pub(super) fn called(&self, route: &str, since: Instant, error: Option<&Error>, tags: &Metadata) {
        let timed = match error {
            Some(error) if error.code() == codes::NOT_FOUND => self.rpc.known(route),
            _ => self.rpc.learn(&self.factory, route),
        };
        self.factory.outcome(&timed, error, &self.tags(set(tags))).record(since.elapsed(), 1);
    }

    pub(super) fn elsewhere(&self, route: &str) -> Option<Arc<Timed>> {
        self.elsewhere.find(route)
    }

    /// A message that was sent on is over. Only what another server has answered well is a route: clients write what they
    /// like. Whether a notify was handled is not always known, so it makes no route known.
    pub(super) fn came_back(&self, route: &Route, is_request: bool, times: Times, error: Option<&Error>) {
        let timed = match route {
            Route::Known(timed) => timed.clone(),
            Route::Written(route) if is_request && error.is_none() => self.elsewhere.learn(&self.factory, route),
            Route::Written(_) => self.elsewhere.other.clone(),
        };
        timed.delay.record(times.waited.as_nanos() as f64);
        self.factory.outcome(&timed, error, &Tags::default()).record(times.since.elapsed(), 1);
    }
}

/// What a request has set of the additional labels, in what came with it: where Go puts them (`constants.MetricTagsKey`).
fn set(metadata: &Metadata) -> Option<&Metadata> {
    metadata.get(pitaya_core::context::METRIC_TAGS)?.as_object()
}

/// The route of a message that was sent on.
pub(super) enum Route {
    Known(Arc<Timed>),
    /// As its client wrote it.
    Written(Box<str>),
}

/// When a message had come, and how long it waited before it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) since: Instant,
    pub(crate) waited: Duration,
}
