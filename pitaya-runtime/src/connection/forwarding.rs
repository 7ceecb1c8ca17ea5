//! Messages for other servers: to whom, and when the next one may follow.
//!
//! What one session sends is handled one message at a time, wherever it is handled. A server that keeps order gets them
//! one after the other without waiting for answers; before a message goes to any other target, this server included,
//! what is in flight must be over.

use super::repeat::{Again, Repeat};
use super::turn::{Call, Head, Turn};
use super::{Connection, Work};
use crate::accept::Framing;
use crate::counters::count;
use crate::trace;
use bytes::Bytes;
use pitaya_core::cluster::server::DEFLATED_BODY;
use pitaya_core::cluster::{Forward, Forwarder, Message, ServerInfo};
use pitaya_core::route::RouteParts;
use pitaya_core::wire::{self, RouteRef};
use pitaya_core::{CloseReason, Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Server types whose choice a session remembers: a client that names ever more types does not make it grow.
const KINDS: usize = 8;

/// A session's way to other servers, made with its first message for one.
pub(super) struct Forwarding {
    way: Arc<dyn Forwarder>,
    /// Which server of a type its messages go to, as of a state of the table.
    chosen: Vec<(Arc<str>, Arc<ServerInfo>)>,
    version: u64,
    /// The last message's: most sessions repeat themselves.
    last: Option<Last>,
    /// Where what is in flight went.
    current: Option<Arc<ServerInfo>>,
}

/// A route and the server that its messages go to, as of the same state of the table. Not of a type with a router, which is
/// asked each time, and not of a route that may be repeated.
struct Last {
    route: Box<str>,
    to: Arc<ServerInfo>,
    keeps_order: bool,
    timeout: Option<Duration>,
}

/// The body of a message, whether it is compressed as the client sent it, and how long its answer is waited for.
#[derive(Clone, Copy)]
struct Body<'a> {
    bytes: &'a [u8],
    deflated: bool,
    /// How long its answer is waited for, where that is not as long as for most.
    timeout: Option<Duration>,
}

/// What became of a message for another server.
#[derive(Clone, Copy)]
pub(super) enum Sent {
    /// It is on its way, or answered with an error.
    Done,
    /// It cannot go yet: when so many or fewer are in flight it may be tried again.
    Later(usize),
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Sends a message on, unless it has to wait.
    pub(super) fn forward(
        &mut self,
        cx: &mut task::Context<'_>,
        work: &mut Work,
        head: Head,
        notify: bool,
        message: &wire::Message<'_>,
    ) -> Result<Sent, CloseReason> {
        let server = self.server.clone();
        let name = match message.route {
            Some(RouteRef::Name(name)) => name,
            Some(RouteRef::Code(code)) => server.dictionary.route(code).unwrap_or_default().as_bytes(),
            None => b"",
        };
        let (route, kind) = match (RouteParts::parse(name), std::str::from_utf8(name)) {
            (Ok(RouteParts { server: Some(kind), .. }), Ok(route)) if *kind != *server.kind => (route, kind),
            _ => return self.fail_in_turn(work, head, &server.not_served(name)),
        };
        let mut body = Body { bytes: message.body, deflated: message.compressed, timeout: None };
        if !body.deflated {
            return self.forward_body(cx, work, head, notify, (kind, route), body);
        }
        // A router may look at the body, and so may a server that does not know of compressed ones. Any other inflates it
        // itself, when its turn has come: until then it takes no more room than the client sent. One that has to wait is
        // not inflated before it goes.
        let routed = server.cluster.routers.contains_key(kind);
        if !routed {
            match self.target(kind, route, body.bytes) {
                Err(error) => return self.fail_in_turn(work, head, &error),
                Ok(to) => {
                    let repeats = server.cluster.repeats(route);
                    if let Some(until) = self.must_wait(&to, to.keeps_order() && !repeats, body.bytes.len()) {
                        return Ok(Sent::Later(until));
                    }
                    if to.speaks(DEFLATED_BODY) && !repeats {
                        return self.forward_body(cx, work, head, notify, (kind, route), body);
                    }
                }
            }
        }
        let mut inflated = std::mem::take(&mut work.body);
        inflated.clear();
        self.inflate(message.body, &mut inflated)?;
        body = Body { bytes: &inflated, deflated: false, timeout: None };
        let sent = self.forward_body(cx, work, head, notify, (kind, route), body);
        work.body = inflated;
        sent
    }

    fn forward_body(
        &mut self,
        cx: &mut task::Context<'_>,
        work: &mut Work,
        head: Head,
        notify: bool,
        (kind, route): (&str, &str),
        mut body: Body<'_>,
    ) -> Result<Sent, CloseReason> {
        let to = match self.target(kind, route, body.bytes) {
            Err(error) => return self.fail_in_turn(work, head, &error),
            Ok(to) => to,
        };
        let cluster = &self.server.cluster;
        let (repeats, routed) = (cluster.repeats(route), cluster.routers.contains_key(kind));
        if let Some(until) = self.must_wait(&to, to.keeps_order() && !repeats, body.bytes.len()) {
            return Ok(Sent::Later(until));
        }
        body.timeout = cluster.timeouts.of(&to, route);
        if repeats {
            self.agent.sent_on(head.answered_id(), route, work.tally.times());
            self.send_until_answered(head, notify, to, route, body);
            return self.resume(cx, work).map(|_| Sent::Done);
        }
        let sent = self.send(work, head, notify, &to, route, body);
        if let Some(forwarding) = self.forwarding.as_mut().filter(|_| !routed) {
            forwarding.last =
                Some(Last { route: route.into(), keeps_order: to.keeps_order(), timeout: body.timeout, to });
        }
        sent.map(|()| Sent::Done)
    }

    /// Takes what is known of this route since the last message, if the table of servers is as it was.
    #[inline]
    fn take_last(&mut self, name: &[u8]) -> Option<Last> {
        let forwarding = self.forwarding.as_mut()?;
        forwarding.last.as_ref()?;
        if forwarding.version != self.server.cluster.servers.version() {
            return None;
        }
        forwarding.last.take_if(|last| last.route.as_bytes() == name)
    }

    /// Sends a message on whose route is that of the last, without looking anything up; `None` when it is not.
    #[inline]
    pub(super) fn forward_again(
        &mut self,
        work: &mut Work,
        head: Head,
        notify: bool,
        message: &wire::Message<'_>,
    ) -> Option<Result<Sent, CloseReason>> {
        let Some(RouteRef::Name(name)) = message.route.filter(|_| !message.compressed) else { return None };
        let last = self.take_last(name)?;
        let sent = match self.must_wait(&last.to, last.keeps_order, message.body.len()) {
            Some(until) => Ok(Sent::Later(until)),
            None => {
                let body = Body { bytes: message.body, deflated: false, timeout: last.timeout };
                self.send(work, head, notify, &last.to, &last.route, body).map(|()| Sent::Done)
            }
        };
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.last = Some(last);
        }
        Some(sent)
    }

    /// An error of this server: told after the answers to what came before.
    fn fail_in_turn(&mut self, work: &mut Work, head: Head, error: &Error) -> Result<Sent, CloseReason> {
        if self.agent.forwarded.load(Acquire) > 0 {
            return Ok(Sent::Later(0));
        }
        self.fail(work, head, error).map(|()| Sent::Done)
    }

    fn send(
        &mut self,
        work: &mut Work,
        head: Head,
        notify: bool,
        to: &Arc<ServerInfo>,
        route: &str,
        body: Body<'_>,
    ) -> Result<(), CloseReason> {
        let Some(forwarding) = &mut self.forwarding else { return Ok(()) };
        let (uid, data) = (self.session.bound_uid(), self.session.data().to_wire());
        let mut message = Forward::new(self.session.id(), head.id, notify, route, body.bytes);
        (message.deflated, message.timeout) = (body.deflated, body.timeout);
        message.uid = uid.as_deref().unwrap_or_default();
        message.data = &data;
        let of = (if head.answers { head.id } else { 0 }, route);
        let (server, agent) = (&self.server, &self.agent);
        let metadata = agent.passing.begin(&server.tracer, &self.session, of, to, server.cluster.transport.span());
        message.metadata = metadata.as_ref();
        // Before it is sent: its answer may be here before this goes on.
        self.agent.forwarded.fetch_add(1, AcqRel);
        self.agent.sent_on(head.answered_id(), route, work.tally.times());
        let sent = forwarding.way.forward(to, message);
        if !forwarding.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, to)) {
            forwarding.current = Some(to.clone());
        }
        match sent {
            Ok(()) => {
                count(&self.server.counters.forwarded);
                Ok(())
            }
            Err(error) => {
                self.agent.passing.end(of.0, Err(&error));
                self.agent.forwarded.fetch_sub(1, AcqRel);
                count(&self.server.counters.failed_forwards);
                self.agent.came_back(head.answered_id(), Some(&error));
                self.tell(work, head, &error)
            }
        }
    }

    fn send_until_answered(&mut self, head: Head, notify: bool, to: Arc<ServerInfo>, route: &str, body: Body<'_>) {
        count(&self.server.counters.forwarded);
        let again = Again {
            session: self.session.id(),
            uid: self.session.bound_uid().as_deref().unwrap_or_default().to_owned(),
            data: self.session.data().to_wire(),
            id: head.id,
            notify,
            route: route.to_owned(),
            body: Bytes::copy_from_slice(body.bytes),
            timeout: body.timeout,
        };
        let turn = Repeat::new(self.server.cluster.clone(), self.agent.clone(), to, again);
        let turn = trace::turn(self.server.tracer.received(&self.session, route, head.answers), Box::new(turn));
        self.turn =
            Some(Turn::Call(Call { turn, head, started: Instant::now(), arrived: None, warned: false, context: None }));
    }

    /// The server of this type that gets the session's messages.
    fn target(&mut self, kind: &str, route: &str, body: &[u8]) -> Result<Arc<ServerInfo>> {
        let cluster = &self.server.cluster;
        let version = cluster.servers.version();
        let forwarding = self.forwarding.get_or_insert_with(|| {
            let way = cluster.transport.open(self.agent.clone());
            Box::new(Forwarding { way, chosen: Vec::new(), version, last: None, current: None })
        });
        let none = || Error::internal("no servers available of this type");
        if let Some(router) = cluster.routers.get(kind) {
            let servers = cluster.servers.of(kind);
            if servers.is_empty() {
                return Err(none());
            }
            let message = Message::new(&self.session, route, body);
            return match catch_unwind(AssertUnwindSafe(|| router.route(&message, &servers))) {
                Ok(chosen) => chosen.ok_or_else(|| Error::internal("no server was chosen by the router")),
                Err(panic) => Err(self.server.panicked(Some("a router"), &*panic)),
            };
        }
        if forwarding.version != version {
            forwarding.version = version;
            forwarding.last = None;
            // Those that are gone, or do not answer, are chosen anew.
            forwarding.chosen.retain_mut(|(kind, chosen)| {
                let servers = cluster.servers.of(kind);
                let still = servers.iter().find(|server| server.id == chosen.id);
                still.map(|still| *chosen = still.clone()).is_some()
            });
        }
        if let Some((_, chosen)) = forwarding.chosen.iter().find(|(known, _)| **known == *kind) {
            return Ok(chosen.clone());
        }
        let chosen = cluster.servers.any(kind).ok_or_else(none)?;
        if forwarding.chosen.len() == KINDS {
            forwarding.chosen.remove(0);
        }
        forwarding.chosen.push((chosen.kind.clone(), chosen.clone()));
        Ok(chosen)
    }

    /// How many messages may still be in flight when one of this length for this server goes.
    fn must_wait(&self, to: &Arc<ServerInfo>, keeps_order: bool, length: usize) -> Option<usize> {
        let inflight = self.agent.forwarded.load(Acquire);
        if inflight == 0 {
            return None;
        }
        if length > self.server.settings.large_forward {
            // So what a session has in flight is bounded in bytes too: one large body, or many that are not.
            return Some(0);
        }
        let current = self.forwarding.as_ref().and_then(|forwarding| forwarding.current.as_ref());
        let same = keeps_order && current.is_some_and(|current| Arc::ptr_eq(current, to) || current.id == to.id);
        let limit = self.server.settings.inflight;
        match same {
            true if inflight < limit => None,
            true => Some(limit - 1),
            false => Some(0),
        }
    }
}
