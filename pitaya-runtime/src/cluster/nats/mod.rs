//! Calls and messages between servers over NATS: the wire of Go Pitaya, and a faster one between servers of ours.
//!
//! To and from a Go server each message is one of the broker's, with an answer of its own. Between two servers of ours
//! calls of remotes and clients' messages travel in bundles by the *lane* (`docs/lane.md`), which keeps the order of each
//! session and brings pushes back in order with the answers. Calls have no order.
//!
//! The way of a forwarded message through the files: `forwarder` → `post` (what waits to be sent) → the broker →
//! `arrivals` (at the other server) → its callee → `post` → the broker → `conductor` (answers, time-outs, losses). A call
//! goes from here to `post`; `called` takes it there, or `singles` one that came alone. `broker` keeps a connection; `line`
//! is one.

mod address;
mod arrivals;
mod broker;
mod called;
mod calls;
mod conductor;
mod counters;
mod delay;
mod flight;
mod forwarder;
mod front;
mod hub;
mod incoming;
mod line;
mod login;
mod outcome;
mod post;
mod seal;
mod seats;
mod settings;
mod singles;
mod subjects;
mod topics;
mod user_topics;

pub use counters::NatsCounts;
pub(crate) use seal::Keyring;

use self::calls::{Key, Waits};
use self::hub::Own;
use self::line::Line;
use self::outcome::{Failure, Refusal, unsent};
use self::user_topics::Entered;
use crate::config::Rpc;
use bytes::Bytes;
use hub::Hub;
use pitaya_core::cluster::envelope::BindMsg;
use pitaya_core::cluster::lane::{LaneCall, LoneCall, Number};
use pitaya_core::cluster::seal::Purpose;
use pitaya_core::cluster::server::SIGNED;
use pitaya_core::cluster::{Callee, Forwarder, Login, OutgoingCall, ServerInfo, Sink, Transport, metadata};
use pitaya_core::{BoxFuture, Error, KickReason, Result, duration};
use prost::Message as _;
use std::fmt;
use std::future::{poll_fn, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Calls and messages between servers over NATS.
///
/// A connection to the broker that is lost is tried again for ever, with pauses by chance: up to a quarter of the
/// outage so far, 5 s at most. What was in flight is told
/// at once: PIT-408 if it may have run, PIT-503 if it certainly has not; nothing is sent later than asked for.
///
/// ```no_run
/// use pitaya_runtime::cluster::nats::NatsTransport;
/// use pitaya_runtime::config::Config;
///
/// let mut config = Config::default();
/// config.cluster.rpc.client.nats.connect = "nats://user:secret@10.0.0.1:4222,nats://10.0.0.2:4222".to_owned();
/// let transport = NatsTransport::new(&config.cluster.rpc);
/// ```
pub struct NatsTransport {
    hub: Arc<Hub>,
}

impl NatsTransport {
    /// A transport with these settings, not connected yet.
    #[must_use]
    pub fn new(rpc: &Rpc) -> Self {
        Self { hub: Arc::new(Hub::new(settings::Settings::new(rpc))) }
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> NatsCounts {
        self.hub.counters.read()
    }
}

impl Transport for NatsTransport {
    fn start(&self, own: Arc<ServerInfo>, callee: Arc<dyn Callee>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            line::check(&own)?;
            if let Some(guard) = &self.hub.guard {
                guard.start()?;
            }
            self.hub.become_server(own, callee)?;
            let mut broker = broker::Broker::new(self.hub.clone())?;
            let line = broker.first().await?;
            self.hub.tasks.spawn(broker.keep(line));
            Ok(())
        })
    }

    fn stop_taking(&self) -> BoxFuture<'_, ()> {
        // Whoever sends after this hears at once that nothing was run.
        self.hub.closed.cancel();
        Box::pin(std::future::ready(()))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.hub.closed.cancel();
            if let Some(line) = self.hub.line.load_full() {
                // What was handed on before is with the broker when this returns.
                line.retire(broker::GOODBYE).await;
            }
            self.hub.stopped.cancel();
            self.hub.tasks.close();
            let _ = timeout(broker::GOODBYE, self.hub.tasks.wait()).await;
            self.hub.line.store(None);
            self.hub.back.store(None);
        })
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.hub.guard.is_some() { &[SIGNED] } else { &[] }
    }

    fn servers_changed(&self, servers: &[Arc<ServerInfo>]) {
        if let Some(own) = self.hub.own() {
            self.hub.peers.look(&own.info.id, self.hub.guard.as_deref(), servers);
        }
    }

    fn has_files(&self) -> bool {
        self.hub.guard.as_ref().is_some_and(|guard| guard.has_file())
    }

    fn reload(&self, always: bool) -> Result<bool> {
        self.hub.guard.as_ref().map_or(Ok(false), |guard| guard.reload(always))
    }

    fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.counts().fields()
    }

    fn is_connected(&self) -> bool {
        self.hub.line.load().as_ref().is_some_and(|line| !line.signals.down.is_cancelled())
    }

    fn reaches<'a>(&'a self, to: &'a Arc<ServerInfo>) -> BoxFuture<'a, Option<bool>> {
        Box::pin(async move {
            // Anything that a server without the lane receives is a request to it.
            if !to.keeps_order() {
                return None;
            }
            let line = self.hub.line.load_full()?;
            Some(line.reaches(to, self.hub.settings.request_timeout).await)
        })
    }

    /// Go's name (`pkg/cluster/nats_rpc_client.go`, `Call`).
    fn span(&self) -> &'static str {
        "NATS RPC Call"
    }

    fn call(&self, to: &Arc<ServerInfo>, call: OutgoingCall) -> BoxFuture<'_, Result<Bytes>> {
        let (mut waits, alone) = match self.send(to, &call) {
            Ok(Some(sent)) => sent,
            Ok(None) => return Box::pin(ready(Ok(Bytes::new()))),
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let (to, route, timeout) = (to.clone(), call.route, call.timeout);
        Box::pin(poll_fn(move |cx| {
            waits.poll(cx).map(|answer| match answer {
                Ok(outcome) => {
                    // The others are probed.
                    if alone {
                        self.answered(&to);
                    }
                    outcome
                }
                Err(failure) => Err(self.failed(failure, &to, timeout, &route)),
            })
        }))
    }

    fn open(&self, session: Arc<dyn Sink>) -> Arc<dyn Forwarder> {
        Arc::new(forwarder::Path::new(self.hub.clone(), self.hub.seats.enter(session)))
    }

    fn push(&self, kind: &str, uid: &str, route: &str, body: &[u8]) -> Result<()> {
        incoming::check_user(kind, uid)?;
        incoming::publish_push(&self.hub, kind, uid, route, body)
    }

    fn kick(&self, kind: &str, uid: &str, reason: Option<&KickReason>) -> Result<()> {
        incoming::check_user(kind, uid)?;
        incoming::publish_kick(&self.hub, kind, uid, reason)
    }

    fn listen<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let own = self.hub.own().ok_or_else(unsent)?;
            incoming::check_user(&own.info.kind, uid)?;
            let uid = Arc::<str>::from(uid);
            let entered = self.hub.users.enter(&uid);
            if entered == Entered::Unneeded {
                return Ok(());
            }
            let listening = Listening { hub: &self.hub, uid: Some(uid.clone()) };
            // Without a connection the next one hears the user: it looks at the list.
            if let Some(line) = self.hub.line.load_full() {
                let heard = async {
                    if entered == Entered::Subscribe {
                        broker::listen(&line, &own.info.kind, uid.clone()).await.map_err(|_| Failure::Unsent)?;
                    }
                    line.settle(self.hub.settings.request_timeout).await
                };
                if heard.await.is_err() {
                    tracing::debug!(
                        uid = &*uid,
                        "the broker was lost while a user was to be heard: the next connection does"
                    );
                }
            }
            listening.stay();
            Ok(())
        })
    }

    fn user_publishers(&self, present: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let missing = self.hub.users.publishers_changed(present);
            if missing.is_empty() {
                return;
            }
            tracing::info!(users = missing.len(), "user topics subscribed: a server that uses them is in the cluster");
            // Without a connection the next one subscribes them.
            if let Some(line) = self.hub.line.load_full() {
                broker::listen_all(&self.hub, &line, missing).await;
            }
        })
    }

    fn ignore(&self, uid: &str) {
        self.hub.ignore(uid);
    }

    fn tell_bound(&self, login: &Login) -> Result<()> {
        let own = self.hub.own().ok_or_else(unsent)?;
        let login = BindMsg::from(login).encode_to_vec();
        self.hub.publish(subjects::bindings(&own.info.kind), login, Purpose::Publication)
    }
}

impl NatsTransport {
    /// Sends a call. Returns what waits for its answer, unless none is wanted, and whether it travels alone.
    fn send(&self, to: &ServerInfo, call: &OutgoingCall) -> Result<Option<(Waits, bool)>> {
        let own = self.hub.own().ok_or_else(unsent)?;
        if call.timeout.is_zero() {
            // Without time left it is not sent: a time-out of zero means none to a Go server.
            return Err(late(own, to, call.timeout, &call.route));
        }
        let line = self.hub.line.load();
        let line = line.as_ref().ok_or_else(unsent)?;
        counters::count(&self.hub.counters.calls);
        if !call.answer {
            let mut envelope = Vec::new();
            alone(own, call, |call| call.write(&mut envelope));
            self.hub.publish(line.subject_unanswered(to)?, envelope, Purpose::Request)?;
            return Ok(None);
        }
        let lone = !to.keeps_order();
        let key = if lone {
            let single = line.subject(to)?;
            alone(own, call, |lone| line.call_alone(single, &lone, call.timeout))
        } else {
            bundled(own, line, to, call)?
        };
        let waits = Waits::new(&line.calls, key.map_err(|refusal| self.hub.refused(refusal))?);
        Ok(Some((waits, lone)))
    }

    /// A server has answered, so it need not be passed over.
    fn answered(&self, to: &ServerInfo) {
        if let Some(own) = self.hub.own() {
            own.callee.reachable(&to.id);
        }
    }

    /// The error of a call without an answer.
    #[cold]
    fn failed(&self, failure: Failure, to: &ServerInfo, timeout: Duration, route: &str) -> Error {
        let Some(own) = self.hub.own() else { return unsent() };
        match failure {
            Failure::Timeout => late(own, to, timeout, route),
            Failure::Gone => failure.error(timeout).with("route", route),
            Failure::Nobody => {
                own.callee.unreachable(&to.id);
                failure.error(timeout)
            }
            Failure::Unsent => failure.error(timeout),
        }
    }
}

/// Go's metadata of a time-out.
#[cold]
fn late(own: &Own, to: &ServerInfo, timeout: Duration, route: &str) -> Error {
    Error::rpc_timeout(route)
        .with("timeout", duration::format(timeout))
        .with("server", &*own.info.id)
        .with("peer.id", &*to.id)
}

/// To a server of ours, together with the others that go there.
fn bundled(own: &Own, line: &Line, to: &ServerInfo, call: &OutgoingCall) -> Result<Result<Key, Refusal>> {
    let json = metadata::beside(&call.metadata, &own.metadata);
    let carried = LaneCall {
        route: &call.route,
        body: &call.body,
        own: json.as_deref().unwrap_or_default(),
        number: Number::default(),
        micros: u64::try_from(call.timeout.as_micros()).unwrap_or(u64::MAX).max(1),
    };
    line.call(to, &own.caller, carried, call.timeout)
}

/// Passes on the envelope of a call that travels alone, as a Go server understands it.
fn alone<T>(own: &Own, call: &OutgoingCall, then: impl FnOnce(LoneCall<'_>) -> T) -> T {
    let frontend = if own.info.frontend { &*own.info.id } else { "" };
    let (route, body) = (&*call.route, &*call.body);
    // Most calls bring nothing and wait for as long as is usual.
    if call.metadata.is_empty() && call.timeout == own.usual.0 {
        return then(LoneCall { route, body, frontend, metadata: &own.usual.1 });
    }
    let metadata = metadata::encode(&call.metadata, &own.info.id, &own.info.kind, call.timeout);
    then(LoneCall { route, body, frontend, metadata: &metadata })
}

/// A user who is to be heard. Given up before it is, nothing of it remains.
struct Listening<'a> {
    hub: &'a Hub,
    uid: Option<Arc<str>>,
}

impl Listening<'_> {
    fn stay(mut self) {
        self.uid = None;
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if let Some(uid) = self.uid.take() {
            self.hub.ignore(&uid);
        }
    }
}

impl fmt::Debug for NatsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsTransport")
            .field("connect", &self.hub.settings.connect_shown())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
