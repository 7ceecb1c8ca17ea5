//! What the maker of a timer keeps: a look at it and a way to stop it.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

/// One timer. A cheap handle; dropping it does **not** stop the timer.
#[derive(Clone)]
pub struct Timer(Arc<State>);

struct State {
    name: Name,
    stop: CancellationToken,
    runs: AtomicU64,
    panics: AtomicU64,
}

/// What a timer is called in logs.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Given(Arc<str>),
    Line(&'static Location<'static>),
}

impl Timer {
    pub(super) fn new(name: Name, stop: CancellationToken) -> Self {
        Self(Arc::new(State { name, stop, runs: AtomicU64::new(0), panics: AtomicU64::new(0) }))
    }

    /// Stops the timer: a run in progress is finished, and no other begins. Stopping twice is fine.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Whether no run will begin any more: it was stopped, has run as often as it should, or the app stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// How many runs have ended, those that panicked among them.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.0.runs.load(Ordering::Relaxed)
    }

    /// How many times a run, or the condition, has panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }

    pub(super) fn name(&self) -> String {
        self.0.name.to_string()
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Waits for an event; false when the timer was stopped first.
    pub(super) async fn sees<T>(&self, event: impl Future<Output = T>) -> bool {
        // Of an event and a stop at the same time the stop wins: after `stop()` no run begins.
        self.0.stop.run_until_cancelled(event).await.is_some() && !self.is_stopped()
    }

    pub(super) fn has_no_time_left(&self) {
        tracing::info!(timer = %self.0.name, "a timer ends: its expression names no further time");
    }

    pub(super) fn count_run(&self) {
        self.0.runs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_panic(&self, payload: &(dyn Any + Send)) {
        self.0.panics.fetch_add(1, Ordering::Relaxed);
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("not a text");
        tracing::error!(timer = %self.0.name, panic = text, "a timer panicked; it goes on");
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("name", &format_args!("{}", self.0.name))
            .field("runs", &self.runs())
            .field("panics", &self.panics())
            .field("stopped", &self.is_stopped())
            .finish()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) => f.write_str(name),
            Self::Line(line) => write!(f, "{}:{}", line.file(), line.line()),
        }
    }
}
