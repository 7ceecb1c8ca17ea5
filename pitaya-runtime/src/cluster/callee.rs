//! This server, as the transport sees it that calls come in by.

use super::backend::Backend;
use super::now;
use super::serve::{bare, check_share, serve};
use super::sys::{self, kick};
use super::workplace::{Begun, Workplace};
use crate::counters::count;
use crate::server::Server;
use crate::trace;
use bytes::Bytes;
use pitaya_core::cluster::{Back, Callee, Delivery, IncomingCall, Login, ReceivedCall, Reply, ServerInfo};
use pitaya_core::remote::Metadata;
use pitaya_core::{Error, KickReason, Result, codes};
use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use std::vec;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout_at};

/// So many calls that came together share a task: a method that computes for long holds up no more than these.
const TOGETHER: usize = 32;
/// So many of them begin between two looks at the clock, the first alone.
const CLOCK: usize = 4;
/// When they took longer than this, others on the thread have their turn before the next ones begin.
const LONG: Duration = Duration::from_micros(300);

/// Upper bound of the time for which a server that does not answer is passed over, unless discovery reports it anew. Where
/// another one of its type is used meanwhile, and the transport can ask, there is no bound: it is passed over until it answers.
const SET_ASIDE: Duration = Duration::from_secs(5);
/// Shortest and longest pause between two questions whether such a server is there.
const RECHECK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// Takes the calls and messages of other servers. Kept by the app while it runs.
pub(crate) struct Calls {
    server: Arc<Server>,
    backend: Backend,
}

impl Calls {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { backend: Backend::new(&server), server }
    }
}

/// One call, from here to what its caller hears: nothing after the deadline, when nobody waits any more.
async fn work(server: Arc<Server>, mut call: IncomingCall) -> Option<Result<Bytes>> {
    let span = server.tracer.served(&call.route, &call.metadata, call.caller.as_ref(), None);
    let type_len = call.route.len() - bare(call.route.as_bytes()).len();
    match &mut call.route {
        Cow::Borrowed(route) => *route = &route[type_len..],
        Cow::Owned(route) => drop(route.drain(..type_len)),
    }
    let work = pin!(async {
        match sys::find(&call.route) {
            // It may wait for callbacks of the app.
            Some(operation) => timeout_at(call.deadline.into(), operation.guarded(&server, &call)).await,
            None => serve(&server, &mut call).await,
        }
    });
    let answer = trace::around(span.as_ref(), work).await.ok()?;
    // One that was dropped at its deadline says so by itself.
    trace::end(span, answer.as_ref().map(drop));
    Some(answer)
}

type Work = Pin<Box<dyn Future<Output = Option<Result<Bytes>>> + Send>>;

/// A call that waits for its turn in a crowded server. It counts as one of its route's until it begins.
struct Queued {
    server: Arc<Server>,
    route: u32,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.server.remotes.leave(self.route);
    }
}

/// Calls that came together: each is polled where it is, and only what is pending becomes a task of its own.
struct Batch {
    server: Arc<Server>,
    calls: vec::IntoIter<(ReceivedCall, Option<Queued>)>,
    back: Arc<dyn Back>,
    /// As many as there are calls.
    places: OwnedSemaphorePermit,
    workplace: Workplace,
}

impl Batch {
    async fn run(mut self) {
        while !poll_fn(|cx| Poll::Ready(self.begin(cx))).await {
            // Behind whoever carries the answers, and a look at the sockets.
            yield_now().await;
        }
    }

    /// Begins the next ones, until one of them took long. Whether that were all.
    fn begin(&mut self, cx: &mut task::Context<'_>) -> bool {
        let branch = self.back.branch();
        let (near, began) = (branch.as_deref().unwrap_or(&*self.back), now());
        for (number, (call, queued)) in self.calls.by_ref().enumerate() {
            drop(queued);
            if let Some(work) = begin(&self.server, &mut self.workplace, cx, &call, near) {
                let (place, back, ticket) = (self.places.split(1), self.back.clone(), call.ticket);
                self.server.tasks.spawn(async move {
                    let _place = place;
                    if let Some(answer) = work.await {
                        back.answer(ticket, answer.as_deref());
                    }
                });
            }
            if number % CLOCK == 0 && now() - began > LONG {
                break;
            }
        }
        near.flush();
        self.calls.len() == 0
    }
}

/// Polls a call once, and queues its answer; what is left of it when it is pending.
fn begin(
    server: &Arc<Server>,
    workplace: &mut Workplace,
    cx: &mut task::Context<'_>,
    call: &ReceivedCall,
    near: &dyn Back,
) -> Option<Work> {
    match workplace.begin(server, cx, call) {
        Some(Begun::Over(outcome)) => {
            near.queue(call.ticket, outcome.as_ref().copied());
            None
        }
        Some(Begun::Pending(pending)) => {
            let server = server.clone();
            Some(Box::pin(async move { pending.finish(&server).await }))
        }
        None => {
            let mut work: Work = Box::pin(work(server.clone(), call.apart()));
            // Methods are guarded by themselves: this is for the others in the batch.
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)))
                .unwrap_or_else(|panic| Poll::Ready(Some(Err(server.panicked(None, &*panic)))));
            let Poll::Ready(answer) = polled else { return Some(work) };
            if let Some(answer) = answer {
                near.queue(call.ticket, answer.as_deref());
            }
            None
        }
    }
}

impl Calls {
    /// As many places as there are, up to this number. The others are refused.
    fn places(&self, most: usize) -> Option<OwnedSemaphorePermit> {
        let places = &self.server.calls;
        loop {
            let number = places.available_permits().min(most);
            if number == 0 {
                return None;
            }
            if let Ok(places) = places.clone().try_acquire_many_owned(u32::try_from(number).unwrap_or(u32::MAX)) {
                return Some(places);
            }
        }
    }

    /// Refuses a call whose route has its share already: were it refused when its turn comes, calls of this route would
    /// hold the places of all others until then.
    fn admit(&self, route: &[u8]) -> Result<Option<Queued>> {
        let server = &self.server;
        if !server.remotes.is_crowded(server.calls.available_permits()) {
            return Ok(None);
        }
        let Some(route) = server.registry.remotes().find(bare(route)) else { return Ok(None) };
        check_share(server, route)?;
        server.remotes.add(route);
        Ok(Some(Queued { server: server.clone(), route }))
    }

    fn refused(&self) -> Error {
        count(&self.server.counters.refused_calls);
        Error::new(codes::UNAVAILABLE, "the server has too many calls in work")
    }
}

impl Callee for Calls {
    fn call(&self, call: IncomingCall, reply: Reply) {
        let Ok(place) = self.server.calls.clone().try_acquire_owned() else { return reply(Err(self.refused())) };
        let queued = match self.admit(call.route.as_bytes()) {
            Ok(queued) => queued,
            Err(error) => return reply(Err(error)),
        };
        let work = work(self.server.clone(), call);
        // A task of its own: a caller that stops waiting does not end what has begun.
        self.server.tasks.spawn(async move {
            let _place = place;
            drop(queued);
            if let Some(answer) = work.await {
                reply(answer);
            }
        });
    }

    fn calls(&self, calls: Vec<ReceivedCall>, back: Arc<dyn Back>) {
        let mut calls = calls.into_iter();
        while calls.len() > 0 {
            let Some(mut places) = self.places(calls.len().min(TOGETHER)) else {
                return calls.for_each(|call| back.answer(call.ticket, Err(&self.refused())));
            };
            let (server, back) = (self.server.clone(), back.clone());
            let admit = |call: ReceivedCall| match self.admit(call.route()) {
                Ok(queued) => Some((call, queued)),
                Err(error) => {
                    back.answer(call.ticket, Err(&error));
                    None
                }
            };
            let calls: Vec<_> = calls.by_ref().take(places.num_permits()).filter_map(admit).collect();
            drop(places.split(places.num_permits() - calls.len()));
            if calls.is_empty() {
                continue;
            }
            let calls = calls.into_iter();
            let batch = Batch { server, calls, back, places, workplace: Workplace::default() };
            // A task of its own: what a method does here and now holds up the others of its batch, and nobody else.
            self.server.tasks.spawn(batch.run());
        }
    }

    fn metadata(&self) -> Metadata {
        self.server.tracer.metadata()
    }

    fn messages(&self, delivery: Delivery) {
        self.backend.take(delivery);
    }

    fn push(&self, uid: &str, route: &str, body: &[u8]) -> bool {
        self.server.sessions.by_uid(uid).is_some_and(|session| session.push_encoded(route, body).is_ok())
    }

    fn kick(&self, uid: &str, reason: Option<&KickReason>) -> bool {
        self.server.sessions.by_uid(uid).is_some_and(|session| kick(&session, reason).is_ok())
    }

    fn bound_elsewhere(&self, login: &Login) {
        if login.frontend != self.server.id {
            self.server.logins.hear(login);
        }
    }

    fn told_bound(&self, login: &Login) {
        self.server.logins.told(login);
    }

    fn unreachable(&self, server: &str) {
        if self.server.cluster.servers.set_aside(server) {
            tokio::spawn(recheck(self.server.clone(), server.into()));
        }
    }

    fn server(&self, id: &str) -> Option<Arc<ServerInfo>> {
        self.server.cluster.servers.get(id)
    }

    fn reachable(&self, server: &str) {
        self.server.cluster.servers.take_back(server);
    }
}

/// Asks a server that is passed over again and again whether it is there, and uses it again once it is: after a restart
/// of the broker, servers subscribe at different moments, and a healthy one must not be passed over for longer than that.
/// See [`SET_ASIDE`] for the end.
async fn recheck(server: Arc<Server>, id: Arc<str>) {
    let (servers, transport) = (&server.cluster.servers, &server.cluster.transport);
    let end = now() + SET_ASIDE;
    let mut pause = RECHECK.0;
    while server.stopping.run_until_cancelled(sleep(pause)).await.is_some() {
        pause = (pause * 2).min(RECHECK.1);
        let Some(info) = servers.get(&id).filter(|_| servers.is_aside(&id)) else { return };
        let answered = transport.reaches(&info).await;
        let is_offered = servers.of(&info.kind).iter().any(|offered| offered.id == id);
        match verdict(answered, now() >= end, is_offered) {
            Verdict::Back => return servers.take_back(&id),
            Verdict::Retry => return servers.try_again(&id),
            Verdict::Aside => {}
        }
    }
}

/// Next step for a server that is passed over, after a probe.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is there.
    Back,
    /// Nothing is known of it, or none of its type is left but those passed over: calls show whether it is there.
    Retry,
    Aside,
}

/// `answered`: none where the transport cannot ask. `is_offered`: all of its type are passed over, so that it is used anyway.
fn verdict(answered: Option<bool>, is_over: bool, is_offered: bool) -> Verdict {
    match answered {
        Some(true) => Verdict::Back,
        Some(false) if is_over && is_offered => Verdict::Retry,
        None if is_over => Verdict::Retry,
        _ => Verdict::Aside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_never_answers_stays_aside_while_another_one_is_there() {
        assert_eq!(verdict(Some(true), false, false), Verdict::Back);
        assert_eq!(verdict(Some(false), false, true), Verdict::Aside);
        assert_eq!(verdict(Some(false), true, false), Verdict::Aside, "another one serves");
        assert_eq!(verdict(Some(false), true, true), Verdict::Retry, "none is left");
        assert_eq!(verdict(None, true, false), Verdict::Retry, "it cannot be asked");
        assert_eq!(verdict(None, false, false), Verdict::Aside);
    }
}
