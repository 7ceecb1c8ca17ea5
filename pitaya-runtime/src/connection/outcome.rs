//! What became of a call, when nobody is told.

use crate::agent::Agent;
use crate::counters::count;
use pitaya_core::{CloseReason, Error};

pub(super) fn malformed(error: impl std::fmt::Display) -> CloseReason {
    CloseReason::Malformed(error.to_string())
}

/// The error of a notify, or of a request whose client is gone.
#[cold]
pub(super) fn unheard(agent: &Agent, route: u32, error: &Error) {
    count(&agent.server.counters.failed_notifies);
    let route = agent.server.names.get(route as usize).map_or("", |name| name);
    tracing::debug!(route, code = error.code(), error = error.message(), "an error that no client is told");
}
