//! Messages and the turns they take: one at a time, in order.

use super::staged::Staged;
use super::welcome::Verdict;
use super::{Connection, FLUSH, Work};
use crate::accept::Framing;
use crate::agent::{Agent, answer_head};
use crate::counters::count;
use crate::handshake::Refusal;
use crate::server::{Server, answer_overhead};
use bytes::Bytes;
use pitaya_core::handler::{Kind, Step};
use pitaya_core::session::state::Event;
use pitaya_core::wire::{InflateError, Message, MessageKind, Packet, RouteRef, inflate_within};
use pitaya_core::{CloseReason, Context, Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

/// What a connection is busy with.
pub(super) enum Turn {
    Handshake(Verdict),
    Call(Call),
}

/// A call that was pending at its first poll.
pub(super) struct Call {
    turn: Box<dyn pitaya_core::turn::Turn>,
    head: Head,
    started: Instant,
    warned: bool,
    /// For the steps after it, when there are any.
    context: Option<Context>,
}

/// Whose answer it will be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    id: u64,
    route: u32,
    /// A request with an id; a notify's outcome stays here.
    answers: bool,
}

impl Head {
    /// Opens the answer's packet, or only marks the place.
    #[inline]
    fn open(self, out: &mut Vec<u8>) -> usize {
        if self.answers { answer_head(out, self.id) } else { out.len() }
    }
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Whether the next message may begin.
    #[inline]
    pub(super) fn may_run(&self) -> bool {
        self.turn.is_none()
            && self.unsent.is_empty()
            && self.agent.concurrent.load(Relaxed) < self.server.settings.inflight
    }

    /// Concurrent calls are still running elsewhere.
    pub(super) fn has_concurrent(&self) -> bool {
        self.agent.concurrent.load(Acquire) > 0
    }

    /// Runs packets until there is no whole one, or a turn is pending, or the client does not take its answers. Returns
    /// how many bytes are done with.
    pub(super) fn packets(
        &mut self,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
        work: &mut Work,
    ) -> Result<usize, CloseReason> {
        let mut used = 0;
        while self.may_run() && self.budget > 0 {
            let decoded = Packet::decode(&bytes[used..], self.packet_limit());
            let Some((packet, length)) = decoded.map_err(malformed)? else { break };
            used += length;
            self.budget -= 1;
            match self.machine.packet(packet.kind).map_err(|e| CloseReason::Violation(e.to_string()))? {
                Event::Message => self.message(cx, packet.body, work)?,
                Event::Handshake => self.shake_hands(cx, packet.body, work)?,
                Event::Ready => self.arm(),
                Event::Ignored => {}
            }
            if work.out.len() >= FLUSH {
                self.write(cx, work)?;
            }
        }
        Ok(used)
    }

    #[inline]
    fn message(&mut self, cx: &mut task::Context<'_>, body: &[u8], work: &mut Work) -> Result<(), CloseReason> {
        let message = Message::decode(body).map_err(malformed)?;
        let request = match message.kind {
            MessageKind::Request => true,
            MessageKind::Notify => false,
            other => return Err(CloseReason::Violation(format!("a client cannot send a {other:?}"))),
        };
        let server = &*self.server;
        count(&server.counters.messages);
        if request && message.id == 0 {
            count(&server.counters.requests_without_id);
        }
        let name = match message.route {
            Some(RouteRef::Name(name)) => name,
            Some(RouteRef::Code(code)) => {
                let route = server.dictionary.route(code);
                let route = route.ok_or_else(|| CloseReason::Malformed(format!("no route has the code {code}")))?;
                self.agent.coded.store(true, Relaxed);
                route.as_bytes()
            }
            None => return Err(CloseReason::Malformed("a message without a route".to_owned())),
        };
        let mut head = Head { id: message.id, route: u32::MAX, answers: request && message.id != 0 };
        // An empty name is like the last route before there is one, but no route.
        if name.is_empty() || *self.last.0 != *name {
            let Some(route) = server.registry.find(name) else {
                let error = server.not_served(name);
                return self.fail(work, head, &error);
            };
            self.last.0.clear();
            self.last.0.extend_from_slice(name);
            self.last.1 = route;
        }
        head.route = self.last.1;
        let Some(entry) = server.registry.entry(head.route) else {
            return self.fail(work, head, &Error::internal("internal error"));
        };
        if entry.route().internal {
            let error = Error::handler_not_found(entry.name());
            return self.fail(work, head, &error);
        }
        if request && entry.route().kind == Kind::Notify {
            return self.fail(work, head, &Error::bad_request("tried to request a notify route"));
        }
        let mut inflated = Vec::new();
        let body = if message.compressed {
            inflated = std::mem::take(&mut work.body);
            inflated.clear();
            self.inflate(message.body, &mut inflated)?;
            &inflated[..]
        } else {
            message.body
        };
        let done = self.call(cx, head, body, work);
        if message.compressed {
            work.body = inflated;
        }
        done
    }

    fn inflate(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), CloseReason> {
        let settings = &self.server.settings;
        inflate_within(body, settings.inflate, settings.inflate_ratio, out).map_err(|e| {
            if matches!(e, InflateError::TooLong { .. } | InflateError::Ratio { .. }) {
                count(&self.server.counters.refused_inflates);
            }
            malformed(e)
        })
    }

    /// Calls a handler. Its answer is in the buffer when this returns, or it has become the turn.
    #[inline]
    fn call(
        &mut self,
        cx: &mut task::Context<'_>,
        head: Head,
        body: &[u8],
        work: &mut Work,
    ) -> Result<(), CloseReason> {
        let server = &*self.server;
        let Some(entry) = server.registry.entry(head.route) else { return Ok(()) };
        let (out, place) = work.parts(head.route);
        let at = head.open(out);
        let context = &mut self.context;
        context.enter(head.route, head.id);
        let step = catch_unwind(AssertUnwindSafe(|| {
            let step = if server.pipeline.has_raw() {
                place.put_turn(Box::new(Staged::new(
                    &self.server,
                    context.clone(),
                    head.route,
                    Bytes::copy_from_slice(body),
                )));
                Step::Later
            } else {
                entry.call(context, body, out, place)
            };
            match step {
                Step::Done(outcome) => Poll::Ready(outcome),
                Step::Later => place.poll(cx, out),
            }
        }));
        match step {
            Ok(Poll::Ready(outcome)) => {
                if server.pipeline.has_raw() {
                    // Its memory is of no use to the next call, and it holds the app.
                    place.take();
                }
                self.finish(work, at, head, outcome, None)
            }
            Ok(Poll::Pending) => {
                let Some(turn) = place.take() else { return Ok(()) };
                out.truncate(at);
                let context = server.pipeline.has_after().then(|| self.context.clone());
                let call = Call { turn, head, started: Instant::now(), warned: false, context };
                if entry.route().concurrent {
                    self.leave(call);
                } else {
                    self.turn = Some(Turn::Call(call));
                    if server.settings.handler_hard.is_some() {
                        self.arm();
                    }
                }
                Ok(())
            }
            Err(panic) => {
                place.take();
                let error = panicked(&self.server, head.route, &*panic);
                self.finish(work, at, head, Err(error), None)
            }
        }
    }

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
        let (head, context) = (call.head, call.context.take());
        self.turn = None;
        self.finish(work, at, head, outcome, context.as_ref()).map(|()| true)
    }

    /// Completes the answer that begins at `at`, behind what the handler pushed meanwhile.
    #[inline]
    fn finish(
        &mut self,
        work: &mut Work,
        at: usize,
        head: Head,
        outcome: Result<()>,
        context: Option<&Context>,
    ) -> Result<(), CloseReason> {
        let server = &*self.server;
        let pipeline = &server.pipeline;
        let outcome = if pipeline.has_after() && !pipeline.has_raw() {
            let body_at = if head.answers { at + answer_overhead(head.id) } else { at };
            after(pipeline, context.unwrap_or(&self.context), &mut work.out, body_at, outcome, &self.agent, head)
        } else {
            outcome
        };
        if head.answers {
            let compress = self.agent.compress.load(Relaxed);
            server.finish_answer(&mut work.out, at, head.id, outcome.as_ref().copied(), compress);
        } else {
            work.out.truncate(at);
            if let Err(error) = outcome {
                unheard(&self.agent, head.route, &error);
            }
        }
        if self.agent.outbox.is_dirty() { self.pushes_first(work, at) } else { Ok(()) }
    }

    /// What the handler pushed comes before its answer.
    #[cold]
    fn pushes_first(&mut self, work: &mut Work, at: usize) -> Result<(), CloseReason> {
        let answer = work.out.split_off(at);
        let Some(reason) = self.agent.outbox.take(&mut work.out) else {
            work.out.extend_from_slice(&answer);
            return Ok(());
        };
        // A kick is the last thing a client gets.
        if matches!(reason, CloseReason::Kicked | CloseReason::Replaced) {
            if !answer.is_empty() {
                count(&self.server.counters.late_answers);
            }
        } else {
            work.out.extend_from_slice(&answer);
        }
        self.ended(reason)
    }

    /// An answer without a call.
    #[cold]
    fn fail(&mut self, work: &mut Work, head: Head, error: &Error) -> Result<(), CloseReason> {
        if head.answers {
            let at = head.open(&mut work.out);
            let compress = self.agent.compress.load(Relaxed);
            self.server.finish_answer(&mut work.out, at, head.id, Err(error), compress);
        } else {
            unheard(&self.agent, head.route, error);
        }
        Ok(())
    }

    /// A concurrent call goes on as a task of its own: later messages may overtake it.
    fn leave(&self, call: Call) {
        let agent = self.agent.clone();
        agent.concurrent.fetch_add(1, AcqRel);
        let route = self.server.registry.entry(call.head.route).map(|entry| entry.route());
        let cancel = route.is_some_and(|route| route.cancel);
        let session = self.session.clone();
        self.server.tasks.spawn(async move {
            // Also when the task is dropped: a session must not wait for what is gone.
            let _count = InFlight(&agent);
            let mut work = pin!(finish_elsewhere(&agent, call, true));
            tokio::select! {
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
        self.server.tasks.spawn(async move { finish_elsewhere(&agent, call, false).await });
    }

    /// When the turn's time is over.
    pub(super) fn turn_deadline(&self, hard: Option<Duration>) -> Option<Instant> {
        match &self.turn {
            Some(Turn::Call(call)) => hard.map(|hard| call.started + hard),
            _ => None,
        }
    }

    /// Warns of a turn that takes long, and ends one that takes too long: then it is true.
    pub(super) fn look_at_the_turn(&mut self, now: Instant, work: &mut Work) -> Result<bool, CloseReason> {
        let Some(Turn::Call(call)) = &mut self.turn else { return Ok(false) };
        let settings = &self.server.settings;
        let took = now - call.started;
        if !call.warned && settings.handler_soft.is_some_and(|soft| took >= soft) {
            call.warned = true;
            count(&self.server.counters.slow_handlers);
            let route = self.server.names.get(call.head.route as usize).map_or("", |name| name);
            tracing::warn!(route, session = self.session.id(), "a handler has been running for {took:?}");
        }
        if settings.handler_hard.is_some_and(|hard| took >= hard) {
            let head = call.head;
            self.turn = None;
            count(&self.server.counters.overdue_handlers);
            let at = head.open(&mut work.out);
            let error = Error::new(pitaya_core::codes::TIMEOUT, "the handler took too long");
            return self.finish(work, at, head, Err(error), None).map(|()| true);
        }
        Ok(false)
    }
}

pub(super) fn malformed(error: impl std::fmt::Display) -> CloseReason {
    CloseReason::Malformed(error.to_string())
}

/// Runs the steps after a handler on what it wrote behind `at`.
#[cold]
fn after(
    pipeline: &pitaya_core::pipeline::Pipeline,
    context: &Context,
    out: &mut Vec<u8>,
    at: usize,
    outcome: Result<()>,
    agent: &Arc<Agent>,
    head: Head,
) -> Result<()> {
    let body = out.split_off(at);
    let outcome = catch_unwind(AssertUnwindSafe(|| pipeline.after(context, outcome.map(|()| body))));
    let body = outcome.unwrap_or_else(|panic| Err(panicked(&agent.server, head.route, &*panic)))?;
    out.extend_from_slice(&body);
    Ok(())
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
    let outcome = outcome.unwrap_or_else(|_| {
        count(&agent.server.counters.overdue_handlers);
        Err(Error::new(pitaya_core::codes::TIMEOUT, "the handler took too long"))
    });
    let pipeline = &agent.server.pipeline;
    let outcome = match &call.context {
        Some(context) if !pipeline.has_raw() => after(pipeline, context, &mut out, 0, outcome, agent, head),
        _ => outcome,
    };
    match &outcome {
        _ if wanted && head.answers => agent.answer(head.id, outcome.as_ref().map(|()| &out[..])),
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

/// The error of a notify, or of a request whose client is gone.
#[cold]
fn unheard(agent: &Agent, route: u32, error: &Error) {
    count(&agent.server.counters.failed_notifies);
    let route = agent.server.names.get(route as usize).map_or("", |name| name);
    tracing::debug!(route, "an error that no client is told: {error}");
}

/// What a client gets for a panic says nothing of it; the log does.
#[cold]
pub(super) fn panicked(server: &Server, route: u32, panic: &(dyn std::any::Any + Send)) -> Error {
    count(&server.counters.panics);
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("(not a text)");
    match server.names.get(route as usize) {
        Some(route) => tracing::error!(route = &**route, "a handler panicked: {text}"),
        None => tracing::error!("a check of the handshake panicked: {text}"),
    }
    Error::internal("internal error")
}
