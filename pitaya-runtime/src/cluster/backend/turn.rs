//! One forwarded message: from its envelope to its answer.

use super::changes::Change;
use super::remote::RemoteAgent;
use crate::call::{Staged, after, overdue};
use crate::cluster::now;
use crate::counters::count;
use crate::server::Server;
use crate::trace::{self, Span};
use bytes::Bytes;
use pitaya_core::cluster::{IncomingMessage, Letter, Source};
use pitaya_core::context::Origin;
use pitaya_core::handler::{Kind, Step};
use pitaya_core::session::SessionData;
use pitaya_core::turn::{Place, Turn};
use pitaya_core::wire::{InflateError, inflate_within};
use pitaya_core::{Context, Error, Result, Session, codes};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

/// Reusable places for futures, by route.
const PLACES: usize = 64;

/// Bytes of the buffer for inflated bodies that a shard keeps between two of them.
const KEPT_BODY: usize = 64 << 10;

/// Sessions whose last message is kept for the next, at most; two that fall together take each other's place.
const KEPT: usize = 1024;

/// Where turns of a shard begin: a buffer for answers, memory for futures, and what the last messages were run with.
pub(super) struct Workplace {
    out: Vec<u8>,
    /// The body of the message that begins, if it came compressed.
    inflated: Vec<u8>,
    places: Vec<Place>,
    kept: Vec<Option<Surroundings>>,
}

impl Default for Workplace {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| Place::default()).collect();
        Self { out: Vec::new(), inflated: Vec::new(), places, kept: (0..KEPT).map(|_| None).collect() }
    }
}

impl Workplace {
    /// Keeps what a message was run with for the next of its session, unless somebody still holds what it left.
    pub(super) fn keep(&mut self, ended: Ended) {
        if let Some(mut of) = ended.of.filter(|of| of.agent.from().lasts)
            && of.context.release()
        {
            let place = place(of.context.session().id());
            self.kept[place] = Some(of);
        }
    }

    /// What the last message of this session was run with, if the session is as it was then and nobody holds it.
    fn surroundings(
        &mut self,
        server: &Arc<Server>,
        from: &Arc<Source>,
        letter: &Letter<&[u8]>,
    ) -> Result<Surroundings> {
        if let Some(mut of) = self.kept[place(letter.session)].take_if(|of| of.agent.fits(from, letter))
            && of.context.renew(letter.uid, letter.data, letter.deadline)
        {
            of.agent.renew(letter.ticket);
            return Ok(of);
        }
        Surroundings::new(server, from, letter)
    }
}

/// Where in [`Workplace::kept`] a session has its place: neighbours do not meet.
fn place(session: i64) -> usize {
    session as usize % KEPT
}

/// What a message is run with.
struct Surroundings {
    agent: Arc<RemoteAgent>,
    context: Context,
}

impl Surroundings {
    fn new(server: &Arc<Server>, from: &Arc<Source>, letter: &Letter<&[u8]>) -> Result<Self> {
        let uid = std::str::from_utf8(letter.uid).map_err(|_| Error::bad_request("the uid is no text"))?;
        let uid: Option<Arc<str>> = (!uid.is_empty()).then(|| uid.into());
        let data = SessionData::from_wire(letter.data)?;
        let agent = Arc::new(RemoteAgent::new(server, from, letter, uid.clone()));
        let session = Session::with(letter.session, agent.clone(), uid, data);
        let (pipeline, names) = (server.pipeline.clone(), server.names.clone());
        let origin = Origin { metadata: from.metadata.clone(), deadline: letter.deadline };
        let context = Context::forwarded(session, server.state(), pipeline, names, Some(origin));
        Ok(Self { agent, context })
    }
}

pub(super) enum Begun {
    Over(Ended),
    Pending(Box<Pending>),
}

/// A turn that is over, and what became of the session.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) change: Option<Change>,
    of: Option<Surroundings>,
    pub(super) concurrent: bool,
    /// Bytes its message held.
    pub(super) weight: usize,
}

impl Ended {
    fn new(of: Surroundings, letter: &Letter<&[u8]>, concurrent: bool) -> Self {
        let change = of.agent.changed().map(|changed| {
            let uid = changed.uid.map(|uid| Bytes::copy_from_slice(uid.as_bytes()));
            Change { uid, data: changed.pushed.map(|data| (data, Bytes::copy_from_slice(letter.data))) }
        });
        Self { change, of: Some(of), concurrent, weight: letter.weight }
    }

    /// Where its message came from.
    pub(super) fn from(&self) -> Option<&Arc<Source>> {
        self.of.as_ref().map(|of| of.agent.from())
    }

    /// What waits behind it sees what it did.
    pub(super) fn tell(&self, behind: &mut VecDeque<IncomingMessage>) {
        if let Some(change) = &self.change {
            behind.iter_mut().for_each(|message| change.tell(message));
        }
    }
}

/// A turn that was pending at its first poll.
pub(super) struct Pending {
    turn: Box<dyn Turn>,
    of: Surroundings,
    message: IncomingMessage,
    route: u32,
    /// When it began, or a few messages before.
    since: Instant,
    concurrent: bool,
}

/// Runs a message of this frontend, whose id is hashed, as far as it goes now. One that came compressed is inflated here, where
/// its turn is: while it waited it took no more room than its client sent. From now on it counts with what it takes.
pub(super) fn begin(
    server: &Arc<Server>,
    workplace: &mut Workplace,
    cx: &mut task::Context<'_>,
    (frontend, from): (u64, &Arc<Source>),
    letter: &Letter<&[u8]>,
    now: Instant,
) -> Begun {
    if !letter.deflated {
        return begin_plain(server, workplace, cx, from, letter, now);
    }
    let mut body = std::mem::take(&mut workplace.inflated);
    body.clear();
    let settings = &server.settings;
    let begun = match inflate_within(letter.body, settings.inflate, settings.inflate_ratio, &mut body) {
        Ok(()) => {
            let more = body.len().saturating_sub(letter.body.len());
            if server.forwarded.grow(frontend, letter.session, more) {
                let mut plain = *letter;
                (plain.body, plain.deflated, plain.weight) = (&body, false, letter.weight + more);
                let begun = begin_plain(server, workplace, cx, from, &plain, now);
                if matches!(begun, Begun::Over(_)) {
                    server.forwarded.shrink(frontend, letter.session, more);
                }
                begun
            } else {
                count(&server.counters.refused_messages);
                let text = "the server has too many bytes of messages in work to inflate another one";
                answer(server, from, letter, Err(&Error::new(codes::UNAVAILABLE, text)), &[]);
                Begun::Over(Ended::default())
            }
        }
        Err(error) => {
            if matches!(error, InflateError::TooLong { .. } | InflateError::Ratio { .. }) {
                count(&server.counters.refused_inflates);
            }
            answer(server, from, letter, Err(&Error::bad_request(error.to_string())), &[]);
            Begun::Over(Ended::default())
        }
    };
    body.clear();
    body.shrink_to(KEPT_BODY);
    workplace.inflated = body;
    begun
}

fn begin_plain(
    server: &Arc<Server>,
    workplace: &mut Workplace,
    cx: &mut task::Context<'_>,
    from: &Arc<Source>,
    letter: &Letter<&[u8]>,
    now: Instant,
) -> Begun {
    if letter.deadline <= now {
        // Its frontend has told the client that there was no answer; running it now would be a surprise.
        count(&server.counters.overdue_messages);
        tracing::debug!(session = letter.session, "a message was not run: its time had passed before its turn");
        return Begun::Over(Ended::default());
    }
    let (route, mut of) = match prepare(server, workplace, from, letter) {
        Ok(ready) => ready,
        Err(error) => {
            answer(server, from, letter, Err(&error), &[]);
            if let Some(meter) = &server.meter {
                meter.took_over(None, now, Some(&error), None);
            }
            return Begun::Over(Ended::default());
        }
    };
    let Some(entry) = server.registry.entry(route) else { return Begun::Over(Ended::default()) };
    let Workplace { out, places, .. } = workplace;
    let place = &mut places[route as usize % PLACES];
    out.clear();
    let session = (letter.session, letter.uid);
    let span = server.tracer.served(entry.name(), &from.metadata, Some(&from.frontend), Some(session));
    let step = catch_unwind(AssertUnwindSafe(|| {
        let _inside = span.as_ref().map(Span::enter);
        let step = if server.pipeline.has_raw() {
            place.put_turn(Box::new(Staged::new(
                server,
                of.context.clone(),
                route,
                Bytes::copy_from_slice(letter.body),
            )));
            Step::Later
        } else {
            entry.call(&mut of.context, letter.body, out, place)
        };
        match step {
            Step::Done(outcome) => Poll::Ready(outcome),
            Step::Later => place.poll(cx, out),
        }
    }));
    let outcome = match step {
        Ok(Poll::Pending) => {
            let concurrent = entry.route().concurrent;
            let Some(turn) = place.take() else { return Begun::Over(Ended::default()) };
            let turn = trace::turn(span, turn);
            // The turn has read the rest of it.
            let mut rest = *letter;
            (rest.uid, rest.route, rest.body) = (&[], &[], &[]);
            let message = IncomingMessage::copy(from, &rest);
            return Begun::Pending(Box::new(Pending { turn, of, message, route, since: now, concurrent }));
        }
        Ok(Poll::Ready(outcome)) => outcome,
        Err(panic) => Err(server.panicked(Some(entry.name()), &*panic)),
    };
    trace::end(span, outcome.as_ref().copied());
    if server.pipeline.has_raw() || outcome.is_err() {
        // Its memory is of no use to the next call, and it holds the app.
        place.take();
    }
    finish(server, from, letter, (route, now), &of.context, out, outcome);
    Begun::Over(Ended::new(of, letter, false))
}

impl Pending {
    pub(super) fn is_concurrent(&self) -> bool {
        self.concurrent
    }

    /// Goes on to the end, which `pitaya.limits.handler.hard` may set.
    pub(super) async fn finish(mut self: Box<Self>, server: &Arc<Server>) -> Ended {
        let started = now();
        let _pending = server.forwarded.routes().enter(self.route);
        let mut out = Vec::new();
        let name = server.names.get(self.route as usize).map(|name| &**name);
        let turn = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| self.turn.poll(cx, &mut out))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(server.panicked(name, &*panic))),
        });
        let outcome = match server.settings.handler_hard {
            Some(hard) => tokio::time::timeout(hard, turn).await.unwrap_or_else(|_| {
                count(&server.counters.overdue_handlers);
                Err(overdue())
            }),
            None => turn.await,
        };
        let took = started.elapsed();
        if server.settings.handler_soft.is_some_and(|soft| took >= soft) {
            count(&server.counters.slow_handlers);
            if let Some(missed) = server.quotas.slow.admit() {
                tracing::warn!(route = name, ?took, missed, "a handler ran for longer than pitaya.limits.handler.soft");
            }
        }
        let Self { of, message, route, since, concurrent, .. } = *self;
        let letter = message.letter();
        finish(server, &message.from, &letter, (route, since), &of.context, &mut out, outcome);
        Ended::new(of, &letter, concurrent)
    }
}

/// What is called, and what it may borrow.
fn prepare(
    server: &Arc<Server>,
    workplace: &mut Workplace,
    from: &Arc<Source>,
    letter: &Letter<&[u8]>,
) -> Result<(u32, Surroundings)> {
    let route = find(server, letter.route)?;
    let entry = server.registry.entry(route).filter(|entry| !entry.route().internal);
    let entry = entry.ok_or_else(|| Error::handler_not_found(&String::from_utf8_lossy(letter.route)))?;
    if !letter.notify && entry.route().kind == Kind::Notify {
        return Err(Error::bad_request("tried to request a notify route"));
    }
    if !server.forwarded.may_begin(route) {
        count(&server.counters.refused_messages);
        return Err(Error::new(codes::UNAVAILABLE, "the server has too many messages of this route in work"));
    }
    let mut of = workplace.surroundings(server, from, letter)?;
    of.context.enter(route, letter.id);
    Ok((route, of))
}

/// Whatever type a frontend writes in front, it has come to this server.
fn find(server: &Server, route: &[u8]) -> Result<u32> {
    let find = |route: &[u8]| server.registry.find(route);
    let found = find(route).or_else(|| {
        let mut parts = route.splitn(2, |byte| *byte == b'.');
        let (_, rest) = (parts.next(), parts.next()?);
        if rest.contains(&b'.') { find(rest) } else { None }
    });
    found.ok_or_else(|| match std::str::from_utf8(route) {
        Ok(route) if pitaya_core::route::RouteParts::parse(route.as_bytes()).is_ok() => Error::handler_not_found(route),
        _ => Error::bad_request("cannot decode route")
            .with("route", String::from_utf8_lossy(route).escape_debug().to_string()),
    })
}

/// The steps after the method, and the answer.
fn finish(
    server: &Server,
    from: &Source,
    letter: &Letter<&[u8]>,
    (route, since): (u32, Instant),
    context: &Context,
    out: &mut Vec<u8>,
    outcome: Result<()>,
) {
    let pipeline = &server.pipeline;
    let outcome = if pipeline.has_after() && !pipeline.has_raw() {
        after(pipeline, context, out, 0, outcome, server)
    } else {
        outcome
    };
    answer(server, from, letter, outcome.as_ref().copied(), out);
    if let Some(meter) = &server.meter {
        meter.took_over(Some(route), since, outcome.as_ref().err(), context.metric_tags());
    }
}

fn answer(server: &Server, from: &Source, letter: &Letter<&[u8]>, outcome: Result<(), &Error>, out: &[u8]) {
    if let Err(error) = outcome {
        count(if letter.notify { &server.counters.failed_notifies } else { &server.counters.error_answers });
        let (code, error) = (error.code(), error.message());
        tracing::debug!(session = letter.session, code, error, "a forwarded message failed");
    }
    let body = if letter.notify { &[][..] } else { out };
    from.back.queue(letter.ticket, outcome.map(|()| body));
}
