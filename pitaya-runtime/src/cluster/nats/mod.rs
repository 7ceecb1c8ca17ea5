//! Calls and messages between servers over NATS: the wire of Go Pitaya, and a faster one between servers of ours.
//!
//! To and from a Go server each message is one of the broker's, with an answer of its own. Between two servers of ours
//! calls of remotes and clients' messages travel in bundles by the *lane* (`docs/lane.md`), which keeps the order of each
//! session and brings pushes back in order with the answers. Calls have no order.
//!
//! The way of a forwarded message through the files: `forwarder` → `post` (what waits to be sent) → the broker →
//! `arrivals` (at the other server) → its callee → `post` → the broker → `conductor` (answers, time-outs, losses). A call
//! goes from here to `post`; `called` takes it there, or `incoming` one that came alone. `broker` keeps a connection; `line` is one.

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
mod lull;
mod outcome;
mod post;
mod seats;
mod settings;
mod subjects;
mod topics;

pub use counters::NatsCounts;

use self::calls::{Answer, Calls, Key, Waiter};
use self::hub::Own;
use self::line::Line;
use self::outcome::{Failure, Refusal, unsent};
use crate::config::Rpc;
use bytes::Bytes;
use hub::Hub;
use pitaya_core::cluster::envelope::{BindMsg, Msg, MsgType, Request, RpcType};
use pitaya_core::cluster::lane::{LaneCall, Number};
use pitaya_core::cluster::{Callee, Forwarder, OutgoingCall, ServerInfo, Sink, Transport, metadata};
use pitaya_core::{BoxFuture, Error, Result, duration};
use prost::Message as _;
use std::fmt;
use std::sync::Arc;
use tokio::sync::oneshot;
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

    fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.counts().fields()
    }

    fn is_connected(&self) -> bool {
        self.hub.line.load().as_ref().is_some_and(|line| !line.signals.down.is_cancelled())
    }

    /// Go's name (`pkg/cluster/nats_rpc_client.go`, `Call`).
    fn span(&self) -> &'static str {
        "NATS RPC Call"
    }

    fn call(&self, to: &Arc<ServerInfo>, call: OutgoingCall) -> BoxFuture<'_, Result<Bytes>> {
        let to = to.clone();
        Box::pin(async move { self.carry(&to, call).await })
    }

    fn open(&self, session: Arc<dyn Sink>) -> Arc<dyn Forwarder> {
        Arc::new(forwarder::Path::new(self.hub.clone(), self.hub.seats.enter(session)))
    }

    fn push(&self, kind: &str, uid: &str, route: &str, body: &[u8]) -> Result<()> {
        incoming::check_user(kind, uid)?;
        incoming::publish_push(&self.hub, kind, uid, route, body)
    }

    fn kick(&self, kind: &str, uid: &str) -> Result<()> {
        incoming::check_user(kind, uid)?;
        incoming::publish_kick(&self.hub, kind, uid)
    }

    fn listen<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let own = self.hub.own().ok_or_else(unsent)?;
            incoming::check_user(&own.info.kind, uid)?;
            let uid = Arc::<str>::from(uid);
            let first = {
                let mut users = self.hub.users.lock();
                let listeners = users.entry(uid.clone()).or_default();
                *listeners += 1;
                *listeners == 1
            };
            let listening = Listening { hub: &self.hub, uid: Some(uid.clone()) };
            // Without a connection the next one hears the user: it looks at the list.
            if let Some(line) = self.hub.line.load_full() {
                let heard = async {
                    if first {
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

    fn ignore(&self, uid: &str) {
        self.hub.ignore(uid);
    }

    fn tell_bound(&self, uid: &str) -> Result<()> {
        let own = self.hub.own().ok_or_else(unsent)?;
        let bound = BindMsg { uid: uid.to_owned(), fid: own.info.id.as_ref().to_owned() };
        self.hub.publish(subjects::bindings(&own.info.kind), bound.encode_to_vec())
    }
}

impl NatsTransport {
    async fn carry(&self, to: &ServerInfo, call: OutgoingCall) -> Result<Bytes> {
        let own = self.hub.own().ok_or_else(unsent)?;
        line::check(to)?;
        // Go's metadata of a time-out.
        let late = || {
            Error::rpc_timeout(&call.route)
                .with("timeout", duration::format(call.timeout))
                .with("server", &*own.info.id)
                .with("peer.id", &*to.id)
        };
        if call.timeout.is_zero() {
            // Without time left it is not sent: a time-out of zero means none to a Go server.
            return Err(late());
        }
        counters::count(&self.hub.counters.calls);
        if !call.answer {
            let subject = subjects::server(&to.kind, &to.id);
            self.hub.publish(subject, alone(own, &call))?;
            return Ok(Bytes::new());
        }
        let line = self.hub.line()?;
        let (sender, answer) = oneshot::channel();
        let key = match to.keeps_order() {
            true => bundled(own, &line, to, &call, sender),
            false => {
                let subject = subjects::server(&to.kind, &to.id).into();
                line.request(subject, alone(own, &call).into(), Waiter::Call(sender), call.timeout)
            }
        };
        let mut waiting = Waits { calls: &line.calls, key: Some(key.map_err(|refusal| self.hub.refused(refusal))?) };
        let answer = answer.await.unwrap_or(Err(Failure::Gone));
        waiting.key = None;
        answer.unwrap_or_else(|failure| {
            Err(match failure {
                Failure::Timeout => late(),
                Failure::Gone => failure.error(call.timeout).with("route", &*call.route),
                Failure::Nobody => {
                    own.callee.unreachable(&to.id);
                    failure.error(call.timeout)
                }
                Failure::Unsent => failure.error(call.timeout),
            })
        })
    }
}

/// To a server of ours, together with the others that go there.
fn bundled(
    own: &Own,
    line: &Line,
    to: &ServerInfo,
    call: &OutgoingCall,
    waiter: oneshot::Sender<Answer>,
) -> Result<Key, Refusal> {
    let json = metadata::beside(&call.metadata, &own.metadata);
    let carried = LaneCall {
        route: &call.route,
        body: &call.body,
        own: json.as_deref().unwrap_or_default(),
        number: Number::default(),
        micros: u64::try_from(call.timeout.as_micros()).unwrap_or(u64::MAX).max(1),
    };
    line.call(to, &own.caller, carried, Waiter::Call(waiter), call.timeout)
}

/// The envelope of a call that travels alone, as a Go server understands it.
fn alone(own: &Own, call: &OutgoingCall) -> Vec<u8> {
    let msg = Msg {
        id: 0,
        route: call.route.clone().into_owned(),
        data: call.body.clone(),
        reply: String::new(),
        r#type: MsgType::Request.into(),
    };
    let json = metadata::encode(&call.metadata, &own.info.id, &own.info.kind, call.timeout);
    let request = Request {
        r#type: RpcType::User.into(),
        session: None,
        msg: Some(msg),
        frontend_id: if own.info.frontend { own.info.id.as_ref().to_owned() } else { String::new() },
        metadata: json.into(),
    };
    request.encode_to_vec()
}

/// A call that is given up by its caller waits for nothing any more.
struct Waits<'a> {
    calls: &'a Calls,
    key: Option<Key>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.calls.take(key);
        }
    }
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
