//! What carries calls and messages between servers.

use super::{Back, BoxFuture, Delivery, Forwarder, Login, ReceivedCall, ServerInfo, Sink};
use crate::error::Result;
use crate::rpc::{Metadata, Peer};
use crate::session::KickReason;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A call of a remote of another server, on its way out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OutgoingCall {
    /// The remote, as `type.service.method`, or `sys.method` for those of the framework.
    pub route: Cow<'static, str>,
    /// The argument, encoded.
    pub body: Bytes,
    /// What travels with it, without what the transport adds.
    pub metadata: Arc<Metadata>,
    /// How long the caller waits from now.
    pub timeout: Duration,
    /// Whether the caller waits for the answer, or only until the call is on its way.
    pub answer: bool,
}

impl OutgoingCall {
    /// A call without argument and metadata that waits for its answer.
    pub fn new(route: impl Into<Cow<'static, str>>, timeout: Duration) -> Self {
        Self::with(route, Arc::default(), timeout)
    }

    /// A call without argument that waits for its answer.
    pub fn with(route: impl Into<Cow<'static, str>>, metadata: Arc<Metadata>, timeout: Duration) -> Self {
        Self { route: route.into(), body: Bytes::new(), metadata, timeout, answer: true }
    }
}

/// A call as it arrived.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IncomingCall {
    /// The remote, as its caller wrote it, with or without a server type.
    pub route: Cow<'static, str>,
    /// The argument, encoded.
    pub body: Bytes,
    /// Who calls, if it said so.
    pub caller: Option<Peer>,
    /// What travels with it.
    pub metadata: Arc<Metadata>,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

impl IncomingCall {
    /// A call without argument, caller and metadata.
    pub fn new(route: impl Into<Cow<'static, str>>, deadline: Instant) -> Self {
        Self { route: route.into(), body: Bytes::new(), caller: None, metadata: Arc::default(), deadline }
    }
}

/// Takes the answer of a call, from whatever task it was made in. Dropped without an answer when nobody waits any more.
pub type Reply = Box<dyn FnOnce(Result<Bytes>) + Send>;

/// A server, as the transport that calls come in by sees it. No method waits.
pub trait Callee: Send + Sync + 'static {
    /// Runs a remote. The answer may be an error of the framework: PIT-404 `route not found`, PIT-503 for overload.
    fn call(&self, call: IncomingCall, reply: Reply);

    /// Runs remotes for calls that came together. They have no order, and none waits for another.
    fn calls(&self, calls: Vec<ReceivedCall>, back: Arc<dyn Back>) {
        for call in calls {
            let (ticket, back) = (call.ticket, back.clone());
            self.call(call.apart(), Box::new(move |outcome| back.answer(ticket, outcome.as_deref())));
        }
    }

    /// Runs handlers for the clients of another server: each after the messages of the same session that came before.
    fn messages(&self, delivery: Delivery);

    /// Pushes to a user whose session is here; false when it is not.
    fn push(&self, uid: &str, route: &str, body: &[u8]) -> bool;

    /// Kicks a user whose session is here; false when it is not.
    fn kick(&self, uid: &str, reason: Option<&KickReason>) -> bool;

    /// The session of a user was bound at another frontend of the same type.
    fn bound_elsewhere(&self, login: &Login);

    /// Every frontend that is connected has been told of this login of ours, or is about to be: what
    /// [`Transport::tell_bound`] took was not lost on its way.
    fn told_bound(&self, login: &Login) {
        let _ = login;
    }

    /// What travels with every message this server forwards, and is the same in all of them.
    fn metadata(&self) -> Metadata {
        Metadata::new()
    }

    /// Nobody answers at the address of this server, whatever discovery says.
    fn unreachable(&self, server: &str) {
        let _ = server;
    }

    /// The server with this id, as discovery knows it.
    fn server(&self, id: &str) -> Option<Arc<ServerInfo>> {
        let _ = id;
        None
    }

    /// This server has answered. Called for servers that cannot be asked ([`Transport::reaches`]).
    fn reachable(&self, server: &str) {
        let _ = server;
    }
}

/// Carries calls and messages between the servers of a cluster.
///
/// Errors have the codes that a caller can act on: PIT-503 when something has certainly not run (nobody there, no
/// connection, refused for overload), PIT-408 when it may have (no answer in time, connection lost).
pub trait Transport: Send + Sync + 'static {
    /// Connects, and takes calls for this server from now on: when it returns others can reach it.
    ///
    /// # Errors
    /// When the transport's service cannot be reached at the start.
    fn start(&self, own: Arc<ServerInfo>, callee: Arc<dyn Callee>) -> BoxFuture<'_, Result<()>>;

    /// Takes no more calls; those in work are still answered.
    fn stop_taking(&self) -> BoxFuture<'_, ()>;

    /// Sends what is still to be sent and ends everything it does.
    fn stop(&self) -> BoxFuture<'_, ()>;

    /// Whether it can reach anybody now.
    fn is_connected(&self) -> bool;

    /// Whether anybody listens at the address of this server now; none where the transport cannot ask without running
    /// something there.
    fn reaches<'a>(&'a self, to: &'a Arc<ServerInfo>) -> BoxFuture<'a, Option<bool>> {
        let _ = to;
        Box::pin(std::future::ready(None))
    }

    /// What calls by it are named in traces: Go's name, where Go has such a transport.
    fn span(&self) -> &'static str {
        "RPC Call"
    }

    /// Extensions of the protocol that this transport adds to those of this code, for the server's record.
    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reports all servers that discovery knows, whenever they change.
    fn servers_changed(&self, servers: &[Arc<ServerInfo>]) {
        let _ = servers;
    }

    /// Whether it has read files that may change while it runs.
    fn has_files(&self) -> bool {
        false
    }

    /// Reads these files again, if they have changed or `always`. Returns whether they were read. May block.
    ///
    /// # Errors
    /// When they cannot be used: what was in force before stays so.
    fn reload(&self, always: bool) -> Result<bool> {
        let _ = always;
        Ok(false)
    }

    /// What has happened so far, for metrics: names, what each counts, and how often. The same names each time.
    fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        Vec::new()
    }

    /// Calls a remote of this server, and gives the encoded answer; an empty one when none is wanted.
    fn call(&self, to: &Arc<ServerInfo>, call: OutgoingCall) -> BoxFuture<'_, Result<Bytes>>;

    /// A way for the messages of one session.
    fn open(&self, session: Arc<dyn Sink>) -> Arc<dyn Forwarder>;

    /// Pushes to a user through whatever frontend of this type holds its session. Only that it was sent is known.
    ///
    /// # Errors
    /// PIT-503 when it could not be sent.
    fn push(&self, kind: &str, uid: &str, route: &str, body: &[u8]) -> Result<()>;

    /// Kicks a user, as [`push`](Self::push) pushes.
    ///
    /// # Errors
    /// PIT-503 when it could not be sent.
    fn kick(&self, kind: &str, uid: &str, reason: Option<&KickReason>) -> Result<()>;

    /// Makes this frontend hear what is sent to this user. When it returns, others reach it. Each call that succeeds is
    /// followed by one of [`ignore`](Self::ignore): two sessions of one user may overlap.
    ///
    /// # Errors
    /// PIT-503 when there is no connection.
    fn listen<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Reports whether the cluster has servers that reach users only by subjects of their own, as Go's do. A transport that
    /// pays for such subjects may leave them out while there are none. Nothing is reported before discovery is known: until
    /// then there may be some.
    fn user_publishers(&self, present: bool) -> BoxFuture<'_, ()> {
        let _ = present;
        Box::pin(std::future::ready(()))
    }

    /// Takes one [`listen`](Self::listen) back.
    fn ignore(&self, uid: &str);

    /// Tells the other frontends of this type that the session of a user is here now. When it is certain that this was not
    /// lost on its way the transport says so with [`Callee::told_bound`]; without that it is asked again later, with the
    /// same login.
    ///
    /// # Errors
    /// PIT-503 when it could not be sent.
    fn tell_bound(&self, login: &Login) -> Result<()>;
}
