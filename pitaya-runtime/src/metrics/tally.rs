//! What became of the messages of one poll. It is reported once for all of them, with one look at the clock: what a client
//! feels ends when its answers are written, and they are written together.

use super::meter::{Meter, Times};
use super::series::Series;
use pitaya_core::Error;
use pitaya_core::rpc::Metadata;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No poll that takes less is looked at more closely.
const LONG: Duration = Duration::from_millis(1);

/// Lent with the buffers of a worker; empty between two polls.
#[derive(Default)]
pub(crate) struct Tally {
    /// Anybody listens to the app whose connection is polled.
    on: bool,
    /// When what is handled now had come, and when that began.
    arrived: Option<Times>,
    /// When the message had come whose turn ends now.
    resumed: Option<Instant>,
    runs: Vec<Run>,
    late: Vec<(Series, Instant)>,
}

/// Messages of one route that came together.
struct Run {
    route: u32,
    times: Times,
    began: usize,
    answered: usize,
}

impl Tally {
    /// A connection is polled.
    #[inline]
    pub(crate) fn begin(&mut self, on: bool) {
        self.on = on;
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Bytes were read: their messages came now. One look at the clock a poll; what comes later in it came hardly later.
    #[inline]
    pub(crate) fn read(&mut self) {
        if self.is_on() && self.arrived.is_none_or(|times| !times.waited.is_zero()) {
            self.arrived = Some(Times { since: Instant::now(), waited: Duration::ZERO });
        }
    }

    /// What has waited since then is handled now.
    pub(crate) fn waited(&mut self, since: Option<Instant>) {
        if let Some(since) = since.filter(|_| self.is_on()) {
            self.arrived = Some(Times { since, waited: since.elapsed() });
        }
    }

    /// When the messages that are handled now had come.
    pub(crate) fn times(&self) -> Option<Times> {
        self.arrived
    }

    fn run(&mut self, route: u32) -> Option<&mut Run> {
        let times = self.arrived?;
        let same = self.runs.last().is_some_and(|run| run.route == route && run.times.since == times.since);
        if !same {
            self.runs.push(Run { route, times, began: 0, answered: 0 });
        }
        self.runs.last_mut()
    }

    /// Handlers are called.
    #[inline]
    pub(crate) fn began(&mut self, route: u32, calls: u32) {
        if self.is_on()
            && calls > 0
            && let Some(run) = self.run(route)
        {
            run.began += calls as usize;
        }
    }

    /// Messages that came in this poll were answered well, by the last handlers that were called.
    #[inline]
    pub(crate) fn answered(&mut self, route: u32, calls: u32) {
        if self.is_on()
            && calls > 0
            && let Some(run) = self.run(route)
        {
            run.answered += calls as usize;
        }
    }

    /// A turn of an earlier poll is over.
    pub(crate) fn resumed(&mut self, arrived: Option<Instant>) {
        self.resumed = arrived;
    }

    /// [`resumed`](Self::resumed), once.
    pub(crate) fn take_resumed(&mut self) -> Option<Instant> {
        self.resumed.take()
    }

    /// A message was not answered well, had waited for its turn to end, or has labels of its own.
    pub(crate) fn special(
        &mut self,
        meter: &Meter,
        route: u32,
        since: Option<Instant>,
        error: Option<&Error>,
        tags: Option<&Metadata>,
    ) {
        if let Some(since) = since.or(self.arrived.map(|times| times.since)) {
            self.late.push((meter.outcome(route, error, tags), since));
        }
    }

    /// The poll is over, and what was to be written is. Says which route's handlers were called last, and how long the poll
    /// took, if that is long.
    #[inline]
    pub(crate) fn end(&mut self, meter: Option<&Arc<Meter>>) -> Option<(u32, Duration)> {
        meter.and_then(|meter| self.report(meter))
    }

    fn report(&mut self, meter: &Meter) -> Option<(u32, Duration)> {
        self.arrived = None;
        if self.runs.is_empty() && self.late.is_empty() {
            return None;
        }
        let now = Instant::now();
        // What has waited did not keep the thread.
        let last = self.runs.last().map(|run| (run.route, now - run.times.since.min(now)));
        let waited = self.runs.last().map_or(Duration::ZERO, |run| run.times.waited);
        let took = last.map(|(route, since)| (route, since.saturating_sub(waited))).filter(|(_, took)| *took >= LONG);
        for run in self.runs.drain(..) {
            meter.began(run.route, run.times.waited, run.began);
            meter.answered(run.route, now - run.times.since, run.answered);
        }
        for (series, since) in self.late.drain(..) {
            series.record(now - since, 1);
        }
        took
    }
}
