//! A call of another server, from the bytes that arrived to the bytes of its answer, whatever carried it.

use super::now;
use crate::counters::count;
use crate::server::Server;
use bytes::Bytes;
use futures_util::FutureExt;
use pitaya_core::cluster::IncomingCall;
use pitaya_core::handler::Step;
use pitaya_core::registry::Entry;
use pitaya_core::remote::{Metadata, Peer};
use pitaya_core::turn::Place;
use pitaya_core::{Error, RemoteContext, Result, Rpc, codes};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::time::error::Elapsed;
use tokio::time::timeout_at;

/// Runs the remote, at most until the deadline: then it is dropped where it stands, and there is no answer.
pub(crate) async fn serve(server: &Server, call: &mut IncomingCall) -> Result<Result<Bytes>, Elapsed> {
    let (route, deadline) = (std::mem::take(&mut call.route), call.deadline);
    let measured = server.meter.as_ref().map(|meter| (meter, now(), call.metadata.clone()));
    let measure = |error: Option<&Error>| {
        if let Some((meter, since, metadata)) = &measured {
            meter.served(server.registry.remotes().find(route.as_bytes()), *since, error, metadata);
        }
    };
    // Pinned here: by value the time-out would hold a copy.
    let work = pin!(run(server, &route, call));
    let answer = timeout_at(deadline.into(), work).await.inspect_err(|_| measure(Some(&dropped(server, &route))))?;
    measure(answer.as_ref().err());
    Ok(answer.inspect_err(|error| failed(&route, error)))
}

/// The route without the type of a server: whatever a caller writes in front, it has come to this one.
pub(super) fn bare(route: &[u8]) -> &[u8] {
    let mut dots = route.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
    match (dots.next(), dots.next(), dots.next()) {
        (Some(first), Some(_), None) => &route[first + 1..],
        _ => route,
    }
}

/// Refuses a call of a remote that has its share of `pitaya.limits.calls` already: it has certainly not run.
#[inline]
pub(super) fn check_share(server: &Server, route: u32) -> Result<()> {
    if server.remotes.may_begin(route, server.calls.available_permits()) {
        return Ok(());
    }
    count(&server.counters.refused_calls);
    Err(Error::new(codes::UNAVAILABLE, "the server has too many calls of this remote in work"))
}

/// What a remote may borrow.
pub(super) fn context(
    server: &Server,
    entry: &Entry<RemoteContext>,
    caller: Option<Peer>,
    metadata: Arc<Metadata>,
    deadline: Instant,
) -> Result<RemoteContext> {
    let state = server.state();
    // Nobody waits longer for other servers than for the remote itself.
    let rpc = state.get::<Rpc>()?.with_metadata(metadata).until(deadline);
    let (name, steps) = (entry.name().clone(), server.remote_pipeline.clone());
    Ok(RemoteContext::new(name, caller, Some(deadline), rpc, state, steps))
}

/// The steps after it, whatever the method did.
pub(super) fn after(server: &Server, cx: &RemoteContext, outcome: Result<Vec<u8>>) -> Result<Vec<u8>> {
    let pipeline = &server.remote_pipeline;
    if !pipeline.has_after() {
        return outcome;
    }
    catch_unwind(AssertUnwindSafe(|| pipeline.after(cx, outcome)))
        .unwrap_or_else(|panic| Err(server.panicked(Some(cx.route()), &*panic)))
}

/// It did not end before its deadline. The error is for the metrics: nobody waits any more.
pub(super) fn dropped(server: &Server, route: &str) -> Error {
    count(&server.counters.overdue_calls);
    tracing::debug!(route, "a remote was dropped at its deadline");
    Error::rpc_timeout(route)
}

pub(super) fn failed(route: &str, error: &Error) {
    tracing::debug!(route, code = error.code(), error = error.message(), "a remote failed");
}

async fn run(server: &Server, route: &str, call: &mut IncomingCall) -> Result<Bytes> {
    let remotes = server.registry.remotes();
    let found = remotes.find(route.as_bytes()).and_then(|number| Some((number, remotes.entry(number)?)));
    let (number, entry) = found.ok_or_else(|| Error::remote_not_found(route))?;
    check_share(server, number)?;
    let _pending = server.remotes.enter(number);
    count(&server.counters.calls);
    let mut cx = context(server, entry, call.caller.take(), std::mem::take(&mut call.metadata), call.deadline)?;
    let outcome = match before_raw(server, &mut cx, std::mem::take(&mut call.body)).await {
        Ok(body) => method(server, entry, &mut cx, &body).await,
        Err(error) => Err(error),
    };
    after(server, &cx, outcome).map(Bytes::from)
}

async fn before_raw(server: &Server, cx: &mut RemoteContext, body: Bytes) -> Result<Bytes> {
    let pipeline = &server.remote_pipeline;
    if !pipeline.has_raw() {
        return Ok(body);
    }
    let body = AssertUnwindSafe(pipeline.raw(cx, body)).catch_unwind().await;
    body.unwrap_or_else(|panic| Err(server.panicked(Some(cx.route()), &*panic)))
        .map_err(|error| error.or_code(codes::INTERNAL))
}

async fn method(
    server: &Server,
    entry: &Entry<RemoteContext>,
    cx: &mut RemoteContext,
    body: &Bytes,
) -> Result<Vec<u8>> {
    let (mut out, mut place) = (Vec::new(), Place::default());
    let guarded = |run: &mut dyn FnMut() -> Poll<Result<()>>| {
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|panic| Poll::Ready(Err(server.panicked(Some(entry.name()), &*panic))))
    };
    let first = guarded(&mut || match entry.call(cx, body, &mut out, &mut place) {
        Step::Done(outcome) => Poll::Ready(outcome),
        Step::Later => Poll::Pending,
    });
    match first {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => poll_fn(|cx| guarded(&mut || place.poll(cx, &mut out))).await,
    }
    .map(|()| out)
}
