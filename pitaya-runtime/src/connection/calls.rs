//! Calls: from a route to an answer, or to a turn that goes on.

use super::messages::Next;
use super::outcome::unheard;
use super::turn::{Call, Head, Turn};
use super::{Connection, Work};
use crate::accept::Framing;
use crate::call::{Staged, panicked};
use crate::server::Server;
use crate::trace::{self, Span};
use bytes::Bytes;
use pitaya_core::handler::{Route, Step};
use pitaya_core::turn::Place;
use pitaya_core::{CloseReason, Context, Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Poll};
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Calls a handler. Its answer is in the buffer when this returns, or it has become the turn.
    pub(super) fn call(
        &mut self,
        cx: &mut task::Context<'_>,
        head: Head,
        route: &'static Route,
        body: &[u8],
        work: &mut Work,
    ) -> Result<Next, CloseReason> {
        let server = &self.server;
        let Some(entry) = server.registry.entry(head.route) else {
            return self.fail(work, head, &Error::internal("internal error")).map(|()| Next::Runs);
        };
        let staged = server.pipeline.has_raw();
        let (out, place, tally) = work.parts(head.route);
        let at = head.open(out);
        let context = &mut self.context;
        context.enter(head.route, head.id);
        let span = server.tracer.received(&self.session, entry.name(), head.answers);
        tally.began(head.route, 1);
        let step = catch_unwind(AssertUnwindSafe(|| {
            let _inside = span.as_ref().map(Span::enter);
            let step = match staged {
                false => entry.call(context, body, out, place),
                true => stage(server, context, body, place, head.route),
            };
            match step {
                Step::Done(outcome) => Poll::Ready(outcome),
                Step::Later => place.poll(cx, out),
            }
        }));
        if staged && matches!(step, Ok(Poll::Ready(_))) {
            // Its memory is of no use to the next call, and it holds the app.
            place.take();
        }
        self.came_to(head, route, at, step, span, work)
    }

    /// What a call has come to: an answer, a panic, or nothing yet.
    pub(super) fn came_to(
        &mut self,
        head: Head,
        route: &Route,
        at: usize,
        step: thread::Result<Poll<Result<()>>>,
        span: Option<Span>,
        work: &mut Work,
    ) -> Result<Next, CloseReason> {
        let outcome = match step {
            Ok(Poll::Ready(outcome)) => {
                trace::end(span, outcome.as_ref().copied());
                outcome
            }
            Ok(Poll::Pending) => {
                self.wait_for(head, route, at, span, work);
                return Ok(self.next());
            }
            Err(panic) => {
                work.parts(head.route).1.take();
                Err(panicked(&self.server, head.route, &*panic))
            }
        };
        // What may stand in the way of the next one is as it was.
        self.finish(work, at, head, outcome, None).map(|()| Next::Runs)
    }

    /// A call that is not ready at once becomes the turn, or leaves the connection.
    fn wait_for(&mut self, head: Head, route: &Route, at: usize, span: Option<Span>, work: &mut Work) {
        let (out, place, tally) = work.parts(head.route);
        let Some(turn) = place.take() else { return };
        out.truncate(at);
        let server = &self.server;
        let keeps = server.pipeline.has_after() || server.meter.as_ref().is_some_and(|meter| meter.has_tags());
        let context = keeps.then(|| Box::new(self.context.clone()));
        let arrived = tally.times().map(|times| times.since);
        let turn = trace::turn(span, turn);
        let call = Call { turn, head, started: Instant::now(), arrived, warned: false, context };
        if route.concurrent {
            self.leave(call);
        } else {
            self.turn = Some(Turn::Call(call));
            self.arm_for_the_turn();
        }
    }

    /// An answer without a call.
    #[cold]
    pub(super) fn fail(&mut self, work: &mut Work, head: Head, error: &Error) -> Result<(), CloseReason> {
        if let Some(meter) = &self.server.meter {
            work.tally.special(meter, head.route, None, Some(error), None);
        }
        self.tell(work, head, error)
    }

    /// [`fail`](Self::fail) for what has been measured.
    pub(super) fn tell(&mut self, work: &mut Work, head: Head, error: &Error) -> Result<(), CloseReason> {
        if head.answers {
            let at = head.open(&mut work.out);
            self.server.finish_answer(&mut work.out, at, head.id, Err(error), self.agent.form());
            // The answers of other servers to what came before.
            if self.agent.outbox.is_dirty() {
                return self.pushes_first(work, at);
            }
        } else {
            unheard(&self.agent, head.route, error);
        }
        Ok(())
    }
}

/// Steps on its bytes come before a call.
#[cold]
fn stage(server: &Arc<Server>, context: &Context, body: &[u8], place: &mut Place, route: u32) -> Step {
    let staged = Staged::new(server, context.clone(), route, Bytes::copy_from_slice(body));
    place.put_turn(Box::new(staged));
    Step::Later
}
