//! Calls that leave their connection: concurrent ones, and those whose client is gone.

use super::Connection;
use super::outcome::unheard;
use super::turn::{Call, Turn};
use crate::accept::Framing;
use crate::agent::Agent;
use crate::call::{after, overdue, panicked};
use crate::counters::count;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Concurrent calls are still running elsewhere.
    pub(super) fn has_concurrent(&self) -> bool {
        self.agent.concurrent.load(Acquire) > 0
    }

    /// A concurrent call goes on as a task of its own: later messages may overtake it.
    pub(super) fn leave(&self, call: Call) {
        let agent = self.agent.clone();
        agent.concurrent.fetch_add(1, AcqRel);
        let route = self.server.registry.entry(call.head.route).map(|entry| entry.route());
        let cancel = route.is_some_and(|route| route.cancel);
        let session = self.session.clone();
        self.spawn(call.head.route, async move {
            // Also when the task is dropped: a session must not wait for what is gone.
            let _count = InFlight(&agent);
            let mut work = pin!(finish_elsewhere(&agent, call, true));
            tokio::select! {
                // An answer that is there is never dropped for an end that came with it.
                biased;
                () = &mut work => return,
                _ = session.closed() => {}
            }
            if !cancel {
                match left_alone(&agent) {
                    Some(limit) if timeout(limit, work.as_mut()).await.is_err() => {
                        count(&agent.server.counters.overdue_handlers);
                    }
                    Some(_) => {}
                    None => work.await,
                }
            }
        });
    }

    /// The session is over: a call in progress is finished, unless its route asks to be dropped.
    pub(super) fn let_go(&mut self) {
        let Some(Turn::Call(call)) = self.turn.take() else { return };
        let entry = self.server.registry.entry(call.head.route);
        if entry.is_some_and(|entry| entry.route().cancel) {
            return;
        }
        let agent = self.agent.clone();
        self.spawn(call.head.route, async move { finish_elsewhere(&agent, call, false).await });
    }

    /// Runs until the time that a stop of the server gives is over: the components' `shutdown` is the last thing to run.
    fn spawn(&self, route: u32, work: impl Future<Output = ()> + Send + 'static) {
        let server = self.server.clone();
        self.server.tasks.spawn(async move {
            let cut_off = server.aborting.run_until_cancelled(work).await.is_none();
            if cut_off && let Some(route) = server.names.get(route as usize) {
                server.cut_off.note(route.clone());
            }
        });
    }
}

/// A call that no connection polls any more. Its answer goes through the outbox, if anybody still waits for it.
async fn finish_elsewhere(agent: &Arc<Agent>, mut call: Call, wanted: bool) {
    let settings = &agent.server.settings;
    let head = call.head;
    let mut out = Vec::new();
    let turn = std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.turn.poll(cx, &mut out))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panicked(&agent.server, head.route, &*panic))),
    });
    let limit = if wanted { settings.handler_hard } else { left_alone(agent) };
    let outcome = match limit {
        Some(limit) => timeout(limit, turn).await,
        None => Ok(turn.await),
    };
    call.warn_if_slow(&agent.server);
    let ended = outcome.is_err();
    let outcome = outcome.unwrap_or_else(|_| {
        count(&agent.server.counters.overdue_handlers);
        Err(overdue())
    });
    let pipeline = &agent.server.pipeline;
    let outcome = match &call.context {
        // Behind steps on bytes the call has run the last steps itself, unless it was ended.
        Some(context) if ended || !pipeline.has_raw() => after(pipeline, context, &mut out, 0, outcome, &agent.server),
        _ => outcome,
    };
    if let Some((meter, arrived)) = agent.server.meter.as_ref().zip(call.arrived).filter(|_| head.is_here()) {
        let tags = call.context.as_ref().and_then(|context| context.metric_tags());
        meter.handled(head.route, arrived, outcome.as_ref().err(), tags);
    }
    match &outcome {
        _ if wanted && head.answers => agent.answer(head.id, head.route, outcome.as_ref().map(|()| &out[..])),
        Ok(()) if head.answers => count(&agent.server.counters.late_answers),
        Ok(()) => {}
        Err(error) => unheard(agent, head.route, error),
    }
}

/// How long a call goes on that nobody waits for: without a hard limit as long as a slow handler may take.
fn left_alone(agent: &Agent) -> Option<Duration> {
    agent.server.settings.handler_hard.or(agent.server.settings.handler_soft)
}

struct InFlight<'a>(&'a Agent);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.concurrent.fetch_sub(1, AcqRel);
        // Its connection may have stopped reading because there were too many.
        self.0.outbox.wake();
    }
}
