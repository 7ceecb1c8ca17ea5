//! From packets to calls: what a client sent, in order.

use super::alike::Last;
use super::forwarding::Sent;
use super::outcome::malformed;
use super::turn::Head;
use super::{Connection, FLUSH, Work};
use crate::accept::{Framing, Refused};
use crate::agent::Agent;
use crate::counters::count;
use crate::server::Server;
use pitaya_core::handler::{Kind, Route};
use pitaya_core::session::state::{Event, Violation};
use pitaya_core::wire::{InflateError, Message, MessageKind, Packet, RouteRef, inflate_within};
use pitaya_core::{CloseReason, Error};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::task;
use tokio::io::{AsyncRead, AsyncWrite};

/// The name of a message's route.
#[inline]
fn name<'a>(server: &'a Server, agent: &Agent, message: &Message<'a>) -> Result<&'a [u8], CloseReason> {
    match message.route {
        Some(RouteRef::Name(name)) => Ok(name),
        Some(RouteRef::Code(code)) => {
            let route = server.dictionary.route(code);
            let route = route.ok_or_else(|| CloseReason::Malformed(format!("no route has the code {code}")))?;
            agent.coded.store(true, Relaxed);
            Ok(route.as_bytes())
        }
        None => Err(CloseReason::Malformed("a message without a route".to_owned())),
    }
}

/// What becomes of the next message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It may begin.
    Runs,
    /// It waits for something before it.
    Waits,
    /// The one before it has not begun.
    IsHeld,
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
        let mut next = self.next();
        while next == Next::Runs && self.budget > 0 && used < bytes.len() {
            let (alike, then) = self.run_alike(cx, &bytes[used..], work, messages)?;
            if alike > 0 {
                used += alike;
                next = then;
                if work.out.len() >= FLUSH {
                    self.write(cx, work)?;
                    next = self.next();
                }
                continue;
            }
            let decoded = Packet::decode(&bytes[used..], self.packet_limit());
            let Some((packet, length)) = decoded.map_err(|error| self.not_a_packet(&error))? else { break };
            self.budget -= 1;
            let event = match F::GATED && self.kept_out(&packet, work)? {
                true => Event::Ignored,
                false => self.machine.packet(packet.kind).map_err(|violation| self.out_of_turn(violation))?,
            };
            match event {
                Event::Message => {
                    next = self.message(cx, packet.body, work)?;
                    if next == Next::IsHeld {
                        // It stays where it is until what is in flight is over.
                        break;
                    }
                    *messages += 1;
                }
                Event::Handshake => {
                    self.shake_hands(cx, packet.body, work)?;
                    next = self.next();
                }
                Event::Ready => self.arm(),
                Event::Ignored => {}
            }
            used += length;
            if work.out.len() >= FLUSH {
                self.write(cx, work)?;
                next = self.next();
            }
        }
        Ok(used)
    }

    #[cold]
    fn out_of_turn(&self, violation: Violation) -> CloseReason {
        let early = [Violation::DataBeforeHandshake, Violation::DataBeforeAck, Violation::AckBeforeHandshake];
        if early.contains(&violation) {
            self.not_let_in(Refused::BeforeHandshake, &violation.to_string());
        }
        CloseReason::Violation(violation.to_string())
    }

    /// What is to be done with the next message, from all that may stand in its way.
    pub(super) fn next(&self) -> Next {
        if self.may_run() { Next::Runs } else { Next::Waits }
    }

    fn message(&mut self, cx: &mut task::Context<'_>, body: &[u8], work: &mut Work) -> Result<Next, CloseReason> {
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
            return Ok(self.next());
        }
        if self.forwarding.is_some()
            && let Some(sent) = self.forward_again(work, head, !request, &message)
        {
            return Ok(self.after_sending(sent?));
        }
        let name = name(&self.server, &self.agent, &message)?;
        let known = self.last.and_then(|last| Some((last, last.is(&self.server, name)?)));
        let Some((last, route)) = known.or_else(|| Last::find(&self.server, name)) else {
            let sent = self.forward(cx, work, head, !request, &message)?;
            return Ok(self.after_sending(sent));
        };
        self.last = Some(last);
        head.route = last.number;
        if self.forwarding.is_some() && self.agent.forwarded.load(Acquire) > 0 && !route.concurrent {
            // Another server still works on what came before it.
            self.held = Some(0);
            return Ok(Next::IsHeld);
        }
        if route.internal || (request && route.kind == Kind::Notify) {
            return self.refuse_call(work, head, route);
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
        let next = self.call(cx, head, route, body, work);
        if message.compressed {
            work.body = inflated;
        }
        next
    }

    /// A message for another server is on its way, or answered with an error, or stays where it is.
    fn after_sending(&mut self, sent: Sent) -> Next {
        match sent {
            Sent::Later(until) => {
                self.held = Some(until);
                Next::IsHeld
            }
            Sent::Done => self.next(),
        }
    }

    #[cold]
    fn refuse_call(&mut self, work: &mut Work, head: Head, route: &Route) -> Result<Next, CloseReason> {
        let error = match self.server.registry.entry(head.route) {
            Some(entry) if route.internal => Error::handler_not_found(entry.name()),
            _ => Error::bad_request("tried to request a notify route"),
        };
        self.fail(work, head, &error)?;
        Ok(self.next())
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
}
