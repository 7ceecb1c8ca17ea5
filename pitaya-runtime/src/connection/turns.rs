//! Turns: one at a time, each to its answer.

use super::outcome::unheard;
use super::turn::{Head, Turn};
use super::{Connection, Work};
use crate::accept::Framing;
use crate::call::{after, overdue, panicked};
use crate::counters::count;
use crate::handshake::Refusal;
use crate::server::{answer_overhead, seal_short};
use pitaya_core::{CloseReason, Context, Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{self, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Goes on with the turn; true when it is over.
    pub(super) fn resume(&mut self, cx: &mut task::Context<'_>, work: &mut Work) -> Result<bool, CloseReason> {
        let call = match self.turn.as_mut() {
            None => return Ok(true),
            Some(Turn::Handshake(verdict)) => {
                let verdict = match catch_unwind(AssertUnwindSafe(|| verdict.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => return Ok(false),
                    Ok(Poll::Ready(verdict)) => verdict,
                    Err(panic) => {
                        let error = panicked(&self.server, u32::MAX, &*panic);
                        Err(("a check that panicked".into(), Refusal::new(error.code(), error.message())))
                    }
                };
                self.turn = None;
                return self.judged(verdict, work).map(|()| true);
            }
            Some(Turn::Call(call)) => call,
        };
        let at = call.head.open(&mut work.out);
        let outcome = match catch_unwind(AssertUnwindSafe(|| call.turn.poll(cx, &mut work.out))) {
            Ok(Poll::Pending) => {
                work.out.truncate(at);
                return Ok(false);
            }
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => Err(panicked(&self.server, call.head.route, &*panic)),
        };
        call.warn_if_slow(&self.server);
        let (head, context) = (call.head, call.context.take());
        work.tally.resumed(call.arrived);
        self.turn = None;
        self.finish(work, at, head, outcome, context.as_deref()).map(|()| true)
    }

    /// Completes the answer that begins at `at`, behind what the handler pushed meanwhile.
    pub(super) fn finish(
        &mut self,
        work: &mut Work,
        at: usize,
        head: Head,
        outcome: Result<()>,
        context: Option<&Context>,
    ) -> Result<(), CloseReason> {
        let plain = outcome.is_ok()
            && head.answers
            && !self.escapes
            && !work.tally.is_on()
            && !self.server.pipeline.has_after();
        if !plain || !seal_short(&mut work.out, at) {
            self.finish_any(work, at, head, outcome, context);
        }
        if self.agent.outbox.is_dirty() { self.pushes_first(work, at) } else { Ok(()) }
    }

    /// The same for every outcome: steps after the call, errors, long answers, none at all.
    #[inline(never)]
    fn finish_any(&self, work: &mut Work, at: usize, head: Head, outcome: Result<()>, context: Option<&Context>) {
        let server = &*self.server;
        let pipeline = &server.pipeline;
        let outcome = if pipeline.has_after() && !pipeline.has_raw() && head.is_here() {
            let body_at = if head.answers { at + answer_overhead(head.id) } else { at };
            after(pipeline, context.unwrap_or(&self.context), &mut work.out, body_at, outcome, server)
        } else {
            outcome
        };
        if work.tally.is_on() {
            self.measure(work, head, outcome.as_ref().err(), context);
        }
        if head.answers {
            let form = self.agent.form();
            if form.escape && outcome.is_ok() {
                self.agent.escape_answer(&mut work.out, at + answer_overhead(head.id), head.route);
            }
            server.finish_answer(&mut work.out, at, head.id, outcome.as_ref().copied(), form);
        } else {
            work.out.truncate(at);
            if let Err(error) = outcome {
                unheard(&self.agent, head.route, &error);
            }
        }
    }

    /// The outcome of a message, for the metrics.
    fn measure(&self, work: &mut Work, head: Head, error: Option<&Error>, context: Option<&Context>) {
        let Some(meter) = &self.server.meter else { return };
        if !head.is_here() {
            return self.agent.came_back(head.answered_id(), error);
        }
        let since = work.tally.take_resumed();
        let tags = if meter.has_tags() { context.unwrap_or(&self.context).metric_tags() } else { None };
        if error.is_none() && since.is_none() && tags.is_none() {
            work.tally.answered(head.route, 1);
        } else {
            work.tally.special(meter, head.route, since, error, tags);
        }
    }

    /// What the handler pushed comes before its answer.
    #[cold]
    pub(super) fn pushes_first(&mut self, work: &mut Work, at: usize) -> Result<(), CloseReason> {
        let answer = work.out.split_off(at);
        let Some(reason) = self.agent.outbox.take(&mut work.out) else {
            work.out.extend_from_slice(&answer);
            return Ok(());
        };
        // A kick is the last thing a client gets.
        if matches!(reason, CloseReason::Kicked(_) | CloseReason::Replaced) {
            if !answer.is_empty() {
                count(&self.server.counters.late_answers);
            }
        } else {
            work.out.extend_from_slice(&answer);
        }
        self.ended(reason)
    }

    /// When the turn has to be looked at: it is slow, or its time is over.
    pub(super) fn turn_deadline(&self) -> Option<Instant> {
        let Some(Turn::Call(call)) = &self.turn else { return None };
        let settings = &self.server.settings;
        let soft = settings.handler_soft.filter(|_| !call.warned);
        let next = match (soft, settings.handler_hard) {
            (Some(soft), Some(hard)) => soft.min(hard),
            (soft, hard) => soft.or(hard)?,
        };
        Some(call.started + next)
    }

    /// Warns of a turn that takes long, and ends one that takes too long: then it is true.
    pub(super) fn look_at_the_turn(&mut self, now: Instant, work: &mut Work) -> Result<bool, CloseReason> {
        let Some(Turn::Call(call)) = &mut self.turn else { return Ok(false) };
        call.warn_if_slow(&self.server);
        let server = &*self.server;
        if server.settings.handler_hard.is_none_or(|hard| now - call.started < hard) {
            return Ok(false);
        }
        let (head, context) = (call.head, call.context.take());
        work.tally.resumed(call.arrived);
        self.turn = None;
        count(&server.counters.overdue_handlers);
        let at = head.open(&mut work.out);
        let mut outcome = Err(overdue());
        if let Some(context) = context.as_deref().filter(|_| server.pipeline.has_raw()) {
            // Behind steps on bytes the call runs the last steps itself, and it is gone.
            let body_at = work.out.len();
            outcome = after(&server.pipeline, context, &mut work.out, body_at, outcome, server);
        }
        self.finish(work, at, head, outcome, context.as_deref()).map(|()| true)
    }
}
