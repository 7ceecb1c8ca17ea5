//! Servers of one process that call each other: for a single server, for tests and for examples.

mod waiting;

use super::now;
use bytes::Bytes;
use parking_lot::RwLock;
use pitaya_core::cluster::{
    Callee, Delivery, Discovery, DiscoveryError, Forward, Forwarder, IncomingCall, Letter, Login, OutgoingCall,
    Registrar, ServerInfo, Sink, Source, Transport,
};
use pitaya_core::rpc::{Metadata, Peer};
use pitaya_core::{BoxFuture, Error, KickReason, Result, codes};
use std::fmt;
use std::future::ready;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use waiting::{Overdue, Waiting};

/// The servers of one process that call each other and forward messages to each other, by the same rules and through
/// the same tables as over a broker. A cheap handle: give it to every app that belongs to it.
///
/// ```
/// use pitaya_runtime::prelude::*;
///
/// struct Sums;
/// #[remote(codec = Json)]
/// impl Sums {
///     /// The sum of these.
///     pub async fn sum(&self, numbers: Vec<u32>) -> Result<u32> {
///         Ok(numbers.iter().sum())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = LocalCluster::default();
/// let math = Builder::new("math").local_cluster(&cluster).remotes(Sums).build()?;
/// let game = Builder::new("game").local_cluster(&cluster).acceptor(Tcp::bind("127.0.0.1:0")).build()?;
/// math.start().await?;
/// game.start().await?;
///
/// let sums = SumsClient::new(game.rpc(), "math");
/// assert_eq!(sums.sum(&vec![1, 2, 3]).await.map_err(|e| e.to_string())?, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct LocalCluster(Arc<Members>);

#[derive(Default)]
struct Members(RwLock<Vec<Member>>);

/// One server.
struct Member {
    info: Arc<ServerInfo>,
    callee: Weak<dyn Callee>,
    registrar: Option<Arc<dyn Registrar>>,
    /// Others see it.
    listed: bool,
    /// It is called: once it has been listed, and then also by those who do not know yet that it has left.
    takes: bool,
}

impl LocalCluster {
    /// The place of one server, to be given to its app.
    pub(crate) fn seat(&self, timeout: Duration) -> Arc<Seat> {
        let overdue = Arc::default();
        Arc::new(Seat {
            members: self.0.clone(),
            own: OnceLock::new(),
            metadata: OnceLock::new(),
            timeout,
            overdue,
            over: CancellationToken::new(),
        })
    }
}

impl Members {
    fn callee(&self, id: &str) -> Option<Arc<dyn Callee>> {
        let members = self.0.read();
        let named = members.iter().filter(|member| member.takes && *member.info.id == *id);
        // One that is leaving has given its id free.
        named.max_by_key(|member| member.listed)?.callee.upgrade()
    }

    /// All frontends of a type that are called.
    fn frontends(&self, kind: &str) -> Vec<(Arc<ServerInfo>, Arc<dyn Callee>)> {
        let members = self.0.read();
        let those = members.iter().filter(|m| m.takes && m.info.frontend && *m.info.kind == *kind);
        those.filter_map(|member| Some((member.info.clone(), member.callee.upgrade()?))).collect()
    }

    /// Tells all who watch who is listed.
    fn report(&self) {
        let mut members = self.0.write();
        members.retain(|member| member.callee.strong_count() > 0);
        let all: Vec<_> = members.iter().filter(|m| m.listed).map(|m| ServerInfo::clone(&m.info)).collect();
        for registrar in members.iter().filter_map(|member| member.registrar.as_ref()) {
            registrar.replace(all.clone());
        }
    }
}

/// One server's place among those of its process: its transport and its discovery.
pub(crate) struct Seat {
    members: Arc<Members>,
    own: OnceLock<Arc<ServerInfo>>,
    /// What travels with all messages of this server.
    metadata: OnceLock<Arc<Metadata>>,
    /// How long a forwarded message is waited for.
    timeout: Duration,
    overdue: Arc<Overdue>,
    over: CancellationToken,
}

impl Seat {
    fn own(&self) -> Result<&Arc<ServerInfo>> {
        self.own.get().ok_or_else(|| Error::new(codes::UNAVAILABLE, "the server has not been started"))
    }

    fn peer(&self) -> Option<Peer> {
        self.own.get().map(|own| Peer { id: own.id.clone(), kind: own.kind.clone() })
    }

    /// Looked and done under one lock: of two with the same id that start at once one is refused.
    fn announce_first(&self, id: Arc<str>) -> Result<(), DiscoveryError> {
        let Some(own) = self.own.get() else { return Ok(()) };
        let mut members = self.members.0.write();
        if members.iter().any(|member| member.listed && member.info.id == id && member.callee.strong_count() > 0) {
            return Err(DiscoveryError::Taken(id));
        }
        if let Some(member) = members.iter_mut().find(|member| Arc::ptr_eq(&member.info, own)) {
            (member.listed, member.takes) = (true, true);
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Member)) {
        let Some(own) = self.own.get() else { return };
        let mut members = self.members.0.write();
        // Its own: another of the same id may be there as well.
        if let Some(member) = members.iter_mut().find(|member| Arc::ptr_eq(&member.info, own)) {
            change(member);
        }
    }
}

fn nobody() -> Error {
    Error::new(codes::UNAVAILABLE, "nobody answers at the server's address")
}

impl Discovery for Seat {
    fn watch(&self, registrar: Arc<dyn Registrar>) -> BoxFuture<'_, Result<(), DiscoveryError>> {
        self.change(|member| member.registrar = Some(registrar));
        self.members.report();
        Box::pin(ready(Ok(())))
    }

    fn announce(&self, own: ServerInfo) -> BoxFuture<'_, Result<(), DiscoveryError>> {
        let announced = self.announce_first(own.id);
        if announced.is_ok() {
            self.members.report();
        }
        Box::pin(ready(announced))
    }

    fn withdraw(&self) -> BoxFuture<'_, ()> {
        self.change(|member| member.listed = false);
        self.members.report();
        Box::pin(ready(()))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn is_connected(&self) -> bool {
        true
    }
}

impl Transport for Seat {
    fn start(&self, own: Arc<ServerInfo>, callee: Arc<dyn Callee>) -> BoxFuture<'_, Result<()>> {
        let member =
            Member { info: own.clone(), callee: Arc::downgrade(&callee), registrar: None, listed: false, takes: false };
        self.members.0.write().push(member);
        let _ = self.metadata.set(Arc::new(callee.metadata()));
        let _ = self.own.set(own);
        tokio::spawn(self.over.clone().run_until_cancelled_owned(self.overdue.clone().watch()));
        Box::pin(ready(Ok(())))
    }

    fn stop_taking(&self) -> BoxFuture<'_, ()> {
        self.change(|member| member.takes = false);
        Box::pin(ready(()))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.over.cancel();
        if let Some(own) = self.own.get() {
            self.members.0.write().retain(|member| !Arc::ptr_eq(&member.info, own));
        }
        Box::pin(ready(()))
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn span(&self) -> &'static str {
        "Local RPC Call"
    }

    fn call(&self, to: &Arc<ServerInfo>, call: OutgoingCall) -> BoxFuture<'_, Result<Bytes>> {
        let callee = self.members.callee(&to.id).ok_or_else(nobody);
        Box::pin(async move {
            let mut incoming = IncomingCall::new(call.route.clone(), now() + call.timeout);
            (incoming.body, incoming.caller, incoming.metadata) = (call.body, self.peer(), call.metadata);
            let (reply, answer) = oneshot::channel();
            callee?.call(incoming, Box::new(|outcome| drop(reply.send(outcome))));
            if !call.answer {
                return Ok(Bytes::new());
            }
            match tokio::time::timeout(call.timeout, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => {
                    Err(Error::rpc_timeout(&call.route).with("timeout", format!("{:?}", call.timeout)))
                }
            }
        })
    }

    fn open(&self, session: Arc<dyn Sink>) -> Arc<dyn Forwarder> {
        let frontend = self.peer().map(Arc::new);
        let (members, overdue) = (self.members.clone(), self.overdue.clone());
        let metadata = self.metadata.get().cloned().unwrap_or_default();
        Arc::new(Way { members, frontend, metadata, session, timeout: self.timeout, overdue })
    }

    fn push(&self, kind: &str, uid: &str, route: &str, body: &[u8]) -> Result<()> {
        for (_, callee) in self.members.frontends(kind) {
            callee.push(uid, route, body);
        }
        Ok(())
    }

    fn kick(&self, kind: &str, uid: &str, reason: Option<&KickReason>) -> Result<()> {
        for (_, callee) in self.members.frontends(kind) {
            callee.kick(uid, reason);
        }
        Ok(())
    }

    fn listen<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn ignore(&self, _: &str) {}

    fn tell_bound(&self, login: &Login) -> Result<()> {
        let own = self.own()?;
        let mut here = None;
        for (info, callee) in self.members.frontends(&own.kind) {
            if info.id == own.id {
                here = Some(callee);
            } else {
                callee.bound_elsewhere(login);
            }
        }
        if let Some(here) = here {
            here.told_bound(login);
        }
        Ok(())
    }
}

/// The way of one session's messages.
struct Way {
    members: Arc<Members>,
    frontend: Option<Arc<Peer>>,
    metadata: Arc<Metadata>,
    session: Arc<dyn Sink>,
    timeout: Duration,
    overdue: Arc<Overdue>,
}

impl Forwarder for Way {
    fn forward(&self, to: &Arc<ServerInfo>, message: Forward<'_>) -> Result<()> {
        let callee = self.members.callee(&to.id).ok_or_else(nobody)?;
        let frontend = self.frontend.clone().ok_or_else(nobody)?;
        let timeout = message.timeout.unwrap_or(self.timeout);
        let deadline = now() + timeout;
        let waiting = Waiting::new(&self.session, message.id, message.route);
        self.overdue.add(timeout, deadline, &waiting);
        let metadata = match message.metadata {
            Some(own) => Arc::new(self.metadata.iter().chain(own).map(|(k, v)| (k.clone(), v.clone())).collect()),
            None => self.metadata.clone(),
        };
        let mut letter = Letter::new(message.session, deadline, 0);
        (letter.uid, letter.data) = (message.uid.as_bytes(), message.data);
        (letter.id, letter.notify) = (message.id, message.notify);
        (letter.route, letter.body, letter.deflated) = (message.route.as_bytes(), message.body, message.deflated);
        let from = Arc::new(Source::new(frontend, metadata, waiting));
        callee.messages(Delivery::one(from, &letter));
        Ok(())
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.0.0.read();
        f.debug_map().entries(members.iter().map(|member| (&member.info.kind, &member.info.id))).finish()
    }
}
