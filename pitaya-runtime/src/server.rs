//! What all connections of one app share, and what is decided once for all of them.

use crate::accept::Reloads;
use crate::agent::Agent;
use crate::app::{CutOff, Pending};
use crate::budget::Budget;
use crate::cluster::{Cluster, Load, RouteLoad};
use crate::counters::{Counters, count};
use crate::groups::memberships::Memberships;
use crate::handshake::{Greetings, Validators};
use crate::limits::Limits;
use crate::logins::{Logins, Verdict};
use crate::metrics::Meter;
use crate::quota::Quotas;
use crate::reserve::Reserve;
use crate::sessions::{Older, Sessions};
use crate::settings::Settings;
use crate::trace::Tracer;
use parking_lot::Mutex;
use pitaya_core::codec::Serializer;
use pitaya_core::json::escape_astral_tail;
use pitaya_core::pipeline::Pipeline;
use pitaya_core::registry::{Registry, SessionMoment};
use pitaya_core::route::RouteParts;
use pitaya_core::session::BodyForm;
use pitaya_core::wire::message::{COMPRESSED, MIN_LENGTH, response_head};
use pitaya_core::wire::packet::{HEADER, open, seal};
use pitaya_core::wire::{Dictionary, MIN_COMPRESS, PacketKind, compress_tail};
use pitaya_core::{BoxFuture, CloseReason, Error, RemoteContext, Result, Session, SessionEvent, State, codes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::oneshot::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs around the binding of a session; an error refuses.
pub(crate) type OnBind = Box<dyn Fn(Session) -> BoxFuture<'static, Result<()>> + Send + Sync>;
/// Runs when a session that had shaken hands is closed.
pub(crate) type OnClosed = Box<dyn Fn(&Session, &CloseReason) + Send + Sync>;

/// What the app wants to hear of sessions.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) on_bind: Vec<OnBind>,
    pub(crate) after_bind: Vec<OnBind>,
    pub(crate) on_closed: Vec<OnClosed>,
}

pub(crate) struct Server {
    pub(crate) kind: Arc<str>,
    pub(crate) id: Arc<str>,
    /// Its place among other servers.
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) settings: Settings,
    pub(crate) serializer: Serializer,
    pub(crate) registry: Registry,
    pub(crate) names: Arc<[Arc<str>]>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) remote_pipeline: Arc<Pipeline<RemoteContext>>,
    pub(crate) dictionary: Dictionary,
    /// The answer to a good handshake, a whole packet.
    pub(crate) welcome: Vec<u8>,
    pub(crate) validators: Validators,
    /// How often sessions may send, where that is limited.
    pub(crate) limits: Option<Arc<Limits>>,
    pub(crate) greetings: Greetings,
    pub(crate) callbacks: Callbacks,
    pub(crate) sessions: Arc<Sessions>,
    /// Which of two sessions of a user is the later one.
    pub(crate) logins: Arc<Logins>,
    pub(crate) counters: Counters,
    /// File descriptors for the admin port.
    pub(crate) reserve: Arc<Reserve>,
    pub(crate) tracer: Tracer,
    pub(crate) quotas: Quotas,
    /// Files of the acceptors, which may change.
    pub(crate) reloads: Reloads,
    /// Measures messages and calls, when anybody listens.
    pub(crate) meter: Option<Arc<Meter>>,
    /// Bytes held for clients.
    pub(crate) budget: Budget,
    /// Messages of other servers' clients that wait or run.
    pub(crate) forwarded: Load,
    /// Places for the calls of other servers.
    pub(crate) calls: Arc<Semaphore>,
    /// Pending calls of other servers, by remote.
    pub(crate) remotes: RouteLoad,
    /// Groups that sessions are in, and leave when they end.
    pub(crate) memberships: Arc<Memberships>,
    /// What components borrow, from start to end. It holds the app, which holds this: it is taken away at the end.
    pub(crate) state: Mutex<Arc<State>>,
    pub(crate) tasks: TaskTracker,
    /// No new connections: the app drains, or stops.
    pub(crate) accepting: CancellationToken,
    /// The app stops: no new connections, no new timers.
    pub(crate) stopping: CancellationToken,
    /// The time to stop in order is over.
    pub(crate) aborting: CancellationToken,
    /// Calls that were ended when that time was over.
    pub(crate) cut_off: CutOff,
    /// Calls that a stop waits for, as their connections have said.
    pub(crate) pending: Pending,
}

impl Server {
    /// Whether nothing looks at single messages of clients but their handlers.
    pub(crate) fn is_unseen(&self) -> bool {
        let labelled = self.meter.as_ref().is_some_and(|meter| meter.has_tags());
        !labelled && !self.pipeline.is_staged() && !self.tracer.is_on() && self.limits.is_none()
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.lock().clone()
    }

    /// What a caller gets for a panic says nothing of it; the log does.
    #[cold]
    pub(crate) fn panicked(&self, route: Option<&str>, panic: &(dyn std::any::Any + Send)) -> Error {
        count(&self.counters.panics);
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("(not a text)");
        if let Some(missed) = self.quotas.panics.admit() {
            match route {
                Some(route) => tracing::error!(route, panic = text, missed, "it panicked"),
                None => tracing::error!(panic = text, missed, "a check of the handshake panicked"),
            }
        }
        Error::internal("internal error")
    }

    /// Completes the answer that begins at `at`: seals it, or puts the error in its place. What needs escapes in an answer has
    /// been escaped; the error is here.
    #[inline]
    pub(crate) fn finish_answer(
        &self,
        out: &mut Vec<u8>,
        at: usize,
        id: u64,
        outcome: std::result::Result<(), &Error>,
        form: BodyForm,
    ) {
        match outcome {
            Ok(()) => {
                if out.len() < at + HEADER + MIN_LENGTH {
                    let error = Error::internal("the codec took away what it had not written");
                    return self.error_answer(out, at, id, &error, BodyForm::default());
                }
                if form.compress && out.len() - at > MIN_COMPRESS {
                    compress_answer(out, at, id);
                }
                if seal(out, at).is_err() {
                    let error = Error::internal("the answer is longer than a packet can be");
                    self.error_answer(out, at, id, &error, form);
                }
            }
            Err(error) => self.error_answer(out, at, id, error, form),
        }
    }

    #[cold]
    fn error_answer(&self, out: &mut Vec<u8>, at: usize, id: u64, error: &Error, form: BodyForm) {
        count(&self.counters.error_answers);
        out.truncate(at);
        let at = open(out, PacketKind::Data);
        response_head(out, id, true);
        let body_at = out.len();
        // A codec of the app's own may panic; its client still gets an answer.
        if catch_unwind(AssertUnwindSafe(|| self.serializer.encode_error(error, out))).is_err() || out.len() < body_at {
            count(&self.counters.panics);
            if let Some(missed) = self.quotas.panics.admit() {
                tracing::error!(missed, "the codec {} panicked over an error", self.serializer.name());
            }
            out.truncate(at);
            let _ = open(out, PacketKind::Data);
            response_head(out, id, true);
            out.extend_from_slice(br#"{"code":"PIT-500","msg":"internal error"}"#);
        }
        if form.escape {
            escape_astral_tail(out, at + answer_overhead(id));
        }
        if form.compress {
            compress_answer(out, at, id);
        }
        if seal(out, at).is_err() {
            let error = Error::internal("the error is too long to be sent");
            self.error_answer(out, at, id, &error, BodyForm::default());
        }
    }

    /// What a client gets for a route that nothing here serves.
    #[cold]
    pub(crate) fn not_served(&self, route: &[u8]) -> Error {
        match RouteParts::parse(route) {
            Err(e) => e,
            Ok(RouteParts { server: Some(server), .. }) if server != &*self.kind => {
                Error::internal("no servers available of this type")
            }
            Ok(RouteParts { service, method, .. }) => {
                Error::handler_not_found(&format!("{}.{service}.{method}", self.kind))
            }
        }
    }

    /// The app's part of [`Session::bind`].
    pub(crate) async fn bind(&self, agent: &Agent, session: &Session, uid: &Arc<str>) -> Result<()> {
        for callback in &self.callbacks.on_bind {
            callback(session.clone()).await?;
        }
        let (time, older) = self.sessions.bind(session, uid, || self.logins.time())?;
        let mut undo = Unbind { agent, session: Some(session), uid };
        // Others reach the user before anybody learns that it is bound. While they cannot, a binding is as good as before.
        let listened = agent.listen(uid).await;
        if session.is_closed() {
            // Whoever closed it may have looked before there was anything to take back, and has told its end.
            return Err(Error::closed());
        }
        let (told, verdict) =
            if self.cluster.unique { self.logins.tell(uid, session.id(), time) } else { (Ok(()), None) };
        if let Err(error) = listened.and(told) {
            let session = session.id();
            if let Some(missed) = self.quotas.bindings.admit() {
                let (code, error) = (error.code(), error.message());
                tracing::warn!(session, code, error, missed, "other servers do not know of a binding yet");
            }
        }
        self.wait_for_older(session, older, verdict).await?;
        for callback in &self.callbacks.after_bind {
            callback(session.clone()).await?;
        }
        if self.registry.hears_sessions() {
            let event = SessionEvent { session: session.clone(), state: self.state() };
            self.hear(SessionMoment::Bound, &event).await;
        }
        undo.session = None;
        Ok(())
    }

    /// Waits until the hooks of the user's older sessions have run, here and on other frontends, for as long as is allowed.
    ///
    /// # Errors
    /// PIT-499 at once when a newer session of the user is there, or this one is closed.
    async fn wait_for_older(&self, session: &Session, older: Older, verdict: Option<Receiver<Verdict>>) -> Result<()> {
        let Some(most) = self.logins.wait().filter(|_| !older.is_empty() || verdict.is_some()) else { return Ok(()) };
        let here = async {
            older.ended().await;
            Ok(())
        };
        let elsewhere = async {
            let Some(verdict) = verdict else { return Ok(()) };
            match verdict.await {
                Ok(Verdict::Newer) => Err(Error::new(codes::CLOSED, "replaced by a newer login")),
                // Nobody is left who could say anything.
                Ok(Verdict::Clear) | Err(_) => Ok(()),
            }
        };
        let waited = async { tokio::try_join!(here, elsewhere).map(drop) };
        tokio::select! {
            waited = timeout(most, waited) => match waited {
                Ok(outcome) => outcome,
                Err(_) => {
                    let silent = self.logins.overdue(session.id());
                    if let Some(missed) = self.quotas.logins.admit() {
                        let session = session.id();
                        tracing::warn!(session, silent, missed, "the end of an older session was not waited for: {most:?} are over");
                    }
                    Ok(())
                }
            },
            _ = session.closed() => Err(Error::closed()),
        }
    }

    /// Ends a session, once: out of the maps, then its callbacks, then, if its handshake was accepted, the app's and
    /// the components', then its memberships of groups.
    pub(crate) fn close(self: &Arc<Self>, agent: &Agent, session: &Session, reason: &CloseReason) {
        self.sessions.remove(session);
        let uid = session.uid();
        let bound = uid.as_ref().is_some_and(|uid| self.sessions.unbind(session, uid));
        if !session.finish(reason.clone()) {
            return;
        }
        // Bound while it was being closed: the one of the two that comes second sees the other.
        let bound = bound || session.uid().is_some_and(|uid| self.sessions.unbind(session, &uid));
        let ended = Ended { server: self.clone(), session: session.clone() };
        // Behind the hooks, which may tell the groups; also when one of them panics.
        let departure = Departure { server: self.clone(), session: session.clone(), bound };
        agent.ignore();
        count(&self.counters.closed[reason.index()]);
        tracing::debug!(session = session.id(), uid = session.uid().as_deref(), %reason, "session closed");
        if !agent.accepted.load(Relaxed) {
            return;
        }
        for callback in &self.callbacks.on_closed {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| callback(session, reason))) {
                self.panicked(Some("an on_session_closed callback"), &*panic);
            }
        }
        if self.registry.hears_sessions() {
            let server = self.clone();
            let event = SessionEvent { session: session.clone(), state: self.state() };
            self.tasks.spawn(async move {
                let mut hooks = pin!(server.hear(SessionMoment::Closed, &event));
                let most = server.memberships.hooks();
                let late = timeout(most, &mut hooks).await.is_err();
                drop(departure);
                if late {
                    if let Some(missed) = server.quotas.hooks.admit() {
                        let session = event.session.id();
                        tracing::warn!(
                            session,
                            missed,
                            "session left its groups before its close hooks ended: {most:?} are over"
                        );
                    }
                    hooks.await;
                }
                drop(ended);
            });
        }
    }

    /// Tells the components of a session.
    pub(crate) async fn hear(&self, moment: SessionMoment, event: &SessionEvent) {
        for (name, error) in self.registry.session(moment, event).await {
            if let Some(missed) = self.quotas.hooks.admit() {
                let (session, code, error) = (event.session.id(), error.code(), error.with_causes());
                tracing::error!(session, code, error, missed, "session_{moment:?} of {name} failed");
            }
        }
    }
}

/// Completes the answer that begins at `at` if it is too short to be compressed, as most are. False when it is longer, or
/// not even an answer.
#[inline(always)]
pub(crate) fn seal_short(out: &mut [u8], at: usize) -> bool {
    const { assert!(MIN_COMPRESS <= 256, "its length fits into one byte") };
    let Some([_, _, _, length, message @ ..]) = out.get_mut(at..) else { return false };
    let is_short = message.len() >= MIN_LENGTH && message.len() < MIN_COMPRESS;
    if is_short {
        *length = message.len() as u8;
    }
    is_short
}

#[cold]
fn compress_answer(out: &mut Vec<u8>, at: usize, id: u64) {
    let body_at = at + answer_overhead(id);
    if compress_tail(out, body_at) {
        out[at + HEADER] |= COMPRESSED;
    }
}

/// The bytes of an answer before its body: the packet's header, the flags, the id in groups of seven bits.
#[inline]
pub(crate) const fn answer_overhead(id: u64) -> usize {
    HEADER + 1 + (u64::BITS - (id | 1).leading_zeros()).div_ceil(7) as usize
}

/// A bind that is refused or dropped half-way leaves no entry.
struct Unbind<'a> {
    agent: &'a Agent,
    session: Option<&'a Session>,
    uid: &'a str,
}

impl Drop for Unbind<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.agent.server.sessions.undo(session, self.uid);
            self.agent.server.logins.forget(session.id());
            // What it has joined under this uid, in a callback that ran before the refusal.
            self.agent.server.memberships.ended(session, false);
            self.agent.ignore();
        }
    }
}

/// The hooks of a closed session have run when this is dropped, or are not waited for any more: its memberships end.
struct Departure {
    server: Arc<Server>,
    session: Session,
    bound: bool,
}

impl Drop for Departure {
    fn drop(&mut self) {
        // Without a runtime the process ends: the other servers take its sessions out.
        if Handle::try_current().is_ok() {
            self.server.memberships.ended(&self.session, self.bound);
        }
    }
}

/// The hooks of a closed session have run when this is dropped: the next login of its user has waited for it.
struct Ended {
    server: Arc<Server>,
    session: Session,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(uid) = self.session.uid() {
            self.server.logins.forget(self.session.id());
            self.server.sessions.ended(&self.session, &uid);
        }
    }
}
