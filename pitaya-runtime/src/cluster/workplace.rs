//! Where calls that came together begin: what one runs with is used again by the next.

use super::now;
use super::serve::{after, bare, check_share, context, dropped, failed};
use crate::counters::count;
use crate::server::Server;
use bytes::Bytes;
use pitaya_core::cluster::ReceivedCall;
use pitaya_core::handler::Step;
use pitaya_core::registry::Entry;
use pitaya_core::turn::{Place, Turn};
use pitaya_core::{Error, RemoteContext, Result};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{self, Poll};
use std::time::Instant;
use tokio::time::timeout_at;

/// A buffer for answers, memory for a future, and what the last call was run with.
#[derive(Default)]
pub(super) struct Workplace {
    out: Vec<u8>,
    place: Place,
    context: Option<RemoteContext>,
    /// The route of the last call, as its caller wrote it, and which one it is.
    last: Option<(Vec<u8>, u32)>,
}

pub(super) enum Begun<'a> {
    /// The answer.
    Over(Result<&'a [u8]>),
    Pending(Box<Pending>),
}

/// A remote that was pending at its first poll.
pub(super) struct Pending {
    turn: Box<dyn Turn>,
    context: RemoteContext,
    route: u32,
    since: Option<Instant>,
    deadline: Instant,
}

impl Workplace {
    /// Runs a call as far as it goes now, unless more stands around it than the method: then `None`, and nothing is done.
    pub(super) fn begin(
        &mut self,
        server: &Server,
        cx: &mut task::Context<'_>,
        call: &ReceivedCall,
    ) -> Option<Begun<'_>> {
        if server.tracer.is_on() || server.remote_pipeline.has_raw() {
            return None;
        }
        let route = self.find(server, call.route())?;
        let entry = server.registry.remotes().entry(route)?;
        // Only those who listen pay for a clock.
        let since = server.meter.as_ref().map(|_| now());
        count(&server.counters.calls);
        let mut context = match check_share(server, route).and_then(|()| self.context(server, entry, call)) {
            Ok(context) => context,
            Err(error) => return Some(Begun::Over(Err(error))),
        };
        let Self { out, place, .. } = self;
        out.clear();
        let step = catch_unwind(AssertUnwindSafe(|| match entry.call(&mut context, call.body(), out, place) {
            Step::Done(outcome) => Poll::Ready(outcome),
            Step::Later => place.poll(cx, out),
        }));
        let mut outcome = match step {
            Ok(Poll::Pending) => {
                let deadline = call.deadline;
                return Some(match place.take() {
                    Some(turn) => Begun::Pending(Box::new(Pending { turn, context, route, since, deadline })),
                    None => Begun::Over(Err(Error::internal("internal error"))),
                });
            }
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => Err(server.panicked(Some(entry.name()), &*panic)),
        };
        if outcome.is_err() {
            // Its memory is of no use to the next call, and it holds the app.
            place.take();
        }
        if server.remote_pipeline.has_after() {
            let body = std::mem::take(out);
            outcome = after(server, &context, outcome.map(|()| body)).map(|body| *out = body);
        }
        over(server, &context, (route, since), outcome.as_ref().err());
        self.context = Some(context);
        Some(Begun::Over(outcome.map(|()| &self.out[..])))
    }

    fn find(&mut self, server: &Server, written: &[u8]) -> Option<u32> {
        if let Some((last, route)) = &self.last
            && last == written
        {
            return Some(*route);
        }
        let route = server.registry.remotes().find(bare(written))?;
        self.last = Some((written.to_vec(), route));
        Some(route)
    }

    /// That of the last call, if it was such a one and nobody holds it.
    fn context(&mut self, server: &Server, entry: &Entry<RemoteContext>, call: &ReceivedCall) -> Result<RemoteContext> {
        let metadata = &call.from.metadata;
        if let Some(mut context) = self.context.take()
            && context.renew(entry.name(), metadata, call.deadline)
        {
            return Ok(context);
        }
        context(server, entry, call.from.peer.clone(), metadata.clone(), call.deadline)
    }
}

impl Pending {
    /// Goes on to the end, at most until the deadline: then it is dropped where it stands, and there is no answer.
    pub(super) async fn finish(self: Box<Self>, server: &Server) -> Option<Result<Bytes>> {
        let Self { mut turn, context, route, since, deadline } = *self;
        let _pending = server.remotes.enter(route);
        let mut out = Vec::new();
        let work = poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| turn.poll(cx, &mut out)))
                .unwrap_or_else(|panic| Poll::Ready(Err(server.panicked(Some(context.route()), &*panic))))
        });
        let (outcome, in_time) = match timeout_at(deadline.into(), work).await {
            Ok(outcome) => (after(server, &context, outcome.map(|()| out)), true),
            Err(_) => (Err(dropped(server, context.route())), false),
        };
        over(server, &context, (route, since), outcome.as_ref().err());
        in_time.then(|| outcome.map(Bytes::from))
    }
}

/// What is said of a call that has ended.
fn over(server: &Server, context: &RemoteContext, (route, since): (u32, Option<Instant>), error: Option<&Error>) {
    if let (Some(meter), Some(since)) = (&server.meter, since) {
        meter.served(Some(route), since, error, context.metadata());
    }
    if let Some(error) = error {
        failed(context.route(), error);
    }
}
