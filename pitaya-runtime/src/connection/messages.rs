//! From packets to calls: what a client sent, in order.

use super::forwarding::Sent;
use super::outcome::{malformed, unheard};
use super::turn::{Call, Head, Turn};
use super::{Connection, FLUSH, Work};
use crate::accept::Framing;
use crate::call::{Staged, panicked};
use crate::counters::count;
use crate::trace::{self, Span};
use bytes::Bytes;
use pitaya_core::handler::{Kind, Step};
use pitaya_core::session::state::Event;
use pitaya_core::wire::{InflateError, Message, MessageKind, Packet, RouteRef, inflate_within};
use pitaya_core::{CloseReason, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::task::{self, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

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
            && self.held.is_none_or(|until| self.agent.forwarded.load(Acquire) <= until)
    }

    /// Runs packets until there is no whole one, or a turn is pending, or the client does not take its answers. Returns
    /// how many bytes are done with.
    pub(super) fn packets(
        &mut self,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
        work: &mut Work,
    ) -> Result<usize, CloseReason> {
        let mut messages = 0;
        self.batch = None;
        let used = self.run_packets(cx, bytes, work, &mut messages);
        // Once for all of them: an atomic addition costs as much as finding the route.
        self.server.counters.messages.fetch_add(messages, Relaxed);
        used
    }

    fn run_packets(
        &mut self,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
        work: &mut Work,
        messages: &mut u64,
    ) -> Result<usize, CloseReason> {
        let mut used = 0;
        while self.may_run() && self.budget > 0 {
            let decoded = Packet::decode(&bytes[used..], self.packet_limit());
            let Some((packet, length)) = decoded.map_err(|error| self.not_a_packet(&error))? else { break };
            self.budget -= 1;
            let event = match F::GATED && self.kept_out(&packet, work)? {
                true => Event::Ignored,
                false => self.machine.packet(packet.kind).map_err(|e| CloseReason::Violation(e.to_string()))?,
            };
            match event {
                Event::Message => {
                    self.message(cx, packet.body, work)?;
                    if self.held.is_some() {
                        // It stays where it is until what is in flight is over.
                        break;
                    }
                    *messages += 1;
                }
                Event::Handshake => self.shake_hands(cx, packet.body, work)?,
                Event::Ready => self.arm(),
                Event::Ignored => {}
            }
            used += length;
            if work.out.len() >= FLUSH {
                self.write(cx, work)?;
            }
        }
        Ok(used)
    }

    #[inline]
    fn message(&mut self, cx: &mut task::Context<'_>, body: &[u8], work: &mut Work) -> Result<(), CloseReason> {
        let again = self.held.take().is_some();
        let message = Message::decode(body).map_err(malformed)?;
        let request = match message.kind {
            MessageKind::Request => true,
            MessageKind::Notify => false,
            other => return Err(CloseReason::Violation(format!("a client cannot send a {other:?}"))),
        };
        if request && message.id == 0 && !again {
            count(&self.server.counters.requests_without_id);
        }
        let mut head = Head { id: message.id, route: u32::MAX, answers: request && message.id != 0 };
        if self.spending.is_some() && !again && self.over_limit(head, &message, work)? {
            return Ok(());
        }
        if self.forwarding.is_some()
            && let Some(sent) = self.forward_again(work, head, !request, &message)
        {
            if let Sent::Later(until) = sent? {
                self.held = Some(until);
            }
            return Ok(());
        }
        let server = &*self.server;
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
        // An empty name is like the last route before there is one, but no route.
        if name.is_empty() || *self.last.0 != *name {
            let Some(route) = server.registry.find(name) else {
                let sent = self.forward(cx, work, head, !request, &message)?;
                if let Sent::Later(until) = sent {
                    self.held = Some(until);
                }
                return Ok(());
            };
            self.last.0.clear();
            self.last.0.extend_from_slice(name);
            self.last.1 = route;
        }
        head.route = self.last.1;
        let Some(entry) = server.registry.entry(head.route) else {
            return self.fail(work, head, &Error::internal("internal error"));
        };
        if self.forwarding.is_some() && self.agent.forwarded.load(Acquire) > 0 && !entry.route().concurrent {
            // Another server still works on what came before it.
            self.held = Some(0);
            return Ok(());
        }
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

    pub(super) fn inflate(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), CloseReason> {
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
        let (out, place, tally) = work.parts(head.route);
        let at = head.open(out);
        let context = &mut self.context;
        context.enter(head.route, head.id);
        let span = server.tracer.received(&self.session, entry.name(), head.answers);
        tally.began(head.route);
        let step = catch_unwind(AssertUnwindSafe(|| {
            let _inside = span.as_ref().map(Span::enter);
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
                trace::end(span, outcome.as_ref().copied());
                if server.pipeline.has_raw() {
                    // Its memory is of no use to the next call, and it holds the app.
                    place.take();
                }
                self.finish(work, at, head, outcome, None)
            }
            Ok(Poll::Pending) => {
                let Some(turn) = place.take() else { return Ok(()) };
                out.truncate(at);
                let turn = trace::turn(span, turn);
                let keeps = server.pipeline.has_after() || server.meter.as_ref().is_some_and(|meter| meter.has_tags());
                let context = keeps.then(|| self.context.clone());
                let arrived = work.tally.times().map(|times| times.since);
                let call = Call { turn, head, started: Instant::now(), arrived, warned: false, context };
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
            let compress = self.agent.compress.load(Relaxed);
            self.server.finish_answer(&mut work.out, at, head.id, Err(error), compress);
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
