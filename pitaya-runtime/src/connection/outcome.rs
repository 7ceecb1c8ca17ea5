//! What became of a call, beside its answer: steps after it, panics, errors that nobody is told.

use super::turn::Head;
use crate::agent::Agent;
use crate::counters::count;
use crate::server::Server;
use pitaya_core::pipeline::Pipeline;
use pitaya_core::{CloseReason, Context, Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) fn malformed(error: impl std::fmt::Display) -> CloseReason {
    CloseReason::Malformed(error.to_string())
}

/// Runs the steps after a handler on what it wrote behind `at`.
#[cold]
pub(super) fn after(
    pipeline: &Pipeline,
    context: &Context,
    out: &mut Vec<u8>,
    at: usize,
    outcome: Result<()>,
    server: &Server,
    head: Head,
) -> Result<()> {
    let body = out.split_off(at);
    let outcome = catch_unwind(AssertUnwindSafe(|| pipeline.after(context, outcome.map(|()| body))));
    let body = outcome.unwrap_or_else(|panic| Err(panicked(server, head.route, &*panic)))?;
    out.extend_from_slice(&body);
    Ok(())
}

/// What a client gets for a call that `pitaya.limits.handler.hard` ended.
#[cold]
pub(super) fn overdue() -> Error {
    Error::new(pitaya_core::codes::TIMEOUT, "the handler took too long")
}

/// The error of a notify, or of a request whose client is gone.
#[cold]
pub(super) fn unheard(agent: &Agent, route: u32, error: &Error) {
    count(&agent.server.counters.failed_notifies);
    let route = agent.server.names.get(route as usize).map_or("", |name| name);
    tracing::debug!(route, "an error that no client is told: {error}");
}

/// A panic in the handler of a route, or in a step around it.
#[cold]
pub(super) fn panicked(server: &Server, route: u32, panic: &(dyn std::any::Any + Send)) -> Error {
    server.panicked(server.names.get(route as usize).map(|name| &**name), panic)
}
