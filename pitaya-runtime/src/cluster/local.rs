//! Servers of one process that call each other: for a single server, for tests and for examples.

use super::now;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use pitaya_core::cluster::{
    Back, Callee, Discovery, DiscoveryError, Forward, Forwarder, IncomingCall, IncomingMessage, OutgoingCall,
    Registrar, ServerInfo, Sink, Transport,
};
use pitaya_core::rpc::Peer;
use pitaya_core::{BoxFuture, Error, Result, codes};
use std::collections::VecDeque;
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

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
        Arc::new(Way { members, frontend, session, timeout: self.timeout, overdue })
    }

    fn push(&self, kind: &str, uid: &str, route: &str, body: &[u8]) -> Result<()> {
        for (_, callee) in self.members.frontends(kind) {
            callee.push(uid, route, body);
        }
        Ok(())
    }

    fn kick(&self, kind: &str, uid: &str) -> Result<()> {
        for (_, callee) in self.members.frontends(kind) {
            callee.kick(uid);
        }
        Ok(())
    }

    fn listen<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn ignore(&self, _: &str) {}

    fn tell_bound(&self, uid: &str) -> Result<()> {
        let own = self.own()?;
        for (info, callee) in self.members.frontends(&own.kind) {
            if info.id != own.id {
                callee.bound_elsewhere(uid, &own.id);
            }
        }
        Ok(())
    }
}

/// The way of one session's messages.
struct Way {
    members: Arc<Members>,
    frontend: Option<Arc<Peer>>,
    session: Arc<dyn Sink>,
    timeout: Duration,
    overdue: Arc<Overdue>,
}

impl Forwarder for Way {
    fn forward(&self, to: &Arc<ServerInfo>, message: Forward<'_>) -> Result<()> {
        let callee = self.members.callee(&to.id).ok_or_else(nobody)?;
        let frontend = self.frontend.clone().ok_or_else(nobody)?;
        let deadline = now() + self.timeout;
        let waiting = Arc::new(Waiting {
            session: Arc::downgrade(&self.session),
            id: message.id,
            route: message.route.into(),
            done: AtomicBool::new(false),
        });
        self.overdue.add(deadline, &waiting);
        let mut incoming = IncomingMessage::new(frontend, Arc::default(), message.session, deadline, waiting, 0);
        incoming.uid = Bytes::copy_from_slice(message.uid.as_bytes());
        incoming.data = Bytes::copy_from_slice(message.data);
        (incoming.id, incoming.notify) = (message.id, message.notify);
        incoming.route = Bytes::copy_from_slice(message.route.as_bytes());
        incoming.body = Bytes::copy_from_slice(message.body);
        callee.message(incoming);
        Ok(())
    }
}

/// A message that was forwarded, and whose it is.
struct Waiting {
    session: Weak<dyn Sink>,
    id: u64,
    route: Box<str>,
    done: AtomicBool,
}

impl Back for Waiting {
    fn answer(&self, _: u64, outcome: Result<&[u8], &Error>) {
        if !self.done.swap(true, AcqRel)
            && let Some(session) = self.session.upgrade()
        {
            session.answered(self.id, outcome);
        }
    }

    fn push(&self, _: u64, _: Option<&str>, route: &str, body: &[u8]) -> Result<()> {
        self.session.upgrade().map(|session| session.pushed(route, body)).ok_or_else(Error::closed)
    }

    fn kick(&self, _: u64, _: Option<&str>) -> Result<()> {
        self.session.upgrade().map(|session| session.kicked()).ok_or_else(Error::closed)
    }
}

/// Let go of without an answer: its time had passed before its turn, or its server was cut off. It may have run.
impl Drop for Waiting {
    fn drop(&mut self) {
        if !*self.done.get_mut() {
            self.answer(0, Err(&Error::rpc_timeout(&self.route)));
        }
    }
}

/// Forwarded messages in the order of their deadlines: all are waited for equally long.
#[derive(Default)]
struct Overdue {
    queue: Mutex<VecDeque<(Instant, Weak<Waiting>)>>,
    first: Notify,
}

impl Overdue {
    /// How late a time-out may come.
    const GRAIN: Duration = Duration::from_millis(20);
    /// A queue up to this long is not looked through.
    const FEW: usize = 1024;

    fn add(&self, deadline: Instant, waiting: &Arc<Waiting>) {
        let mut queue = self.queue.lock();
        // Those behind one that takes long are done and not taken out yet: room is made before more is taken.
        if queue.len() == queue.capacity() && queue.len() > Self::FEW {
            queue.retain(|(_, waiting)| waiting.strong_count() > 0);
            let room = queue.len().max(Self::FEW);
            queue.reserve(room);
        }
        queue.push_back((deadline, Arc::downgrade(waiting)));
        if queue.len() == 1 {
            self.first.notify_one();
        }
    }

    async fn watch(self: Arc<Self>) {
        loop {
            self.first.notified().await;
            while !self.is_over() {
                tokio::time::sleep(Self::GRAIN).await;
            }
        }
    }

    /// Ends what is overdue and forgets what is done; true when nothing is left.
    fn is_over(&self) -> bool {
        let now = now();
        let mut overdue = Vec::new();
        let mut queue = self.queue.lock();
        while let Some((deadline, waiting)) = queue.front() {
            let open = waiting.upgrade().filter(|waiting| !waiting.done.load(std::sync::atomic::Ordering::Acquire));
            if open.is_some() && *deadline > now {
                break;
            }
            overdue.extend(open);
            queue.pop_front();
        }
        let over = queue.is_empty();
        drop(queue);
        for waiting in overdue {
            waiting.answer(0, Err(&Error::rpc_timeout(&waiting.route)));
        }
        over
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.0.0.read();
        f.debug_map().entries(members.iter().map(|member| (&member.info.kind, &member.info.id))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its answers.
    #[derive(Default)]
    struct Probe(Mutex<Vec<(u64, String)>>);

    impl Sink for Probe {
        fn answered(&self, id: u64, outcome: Result<&[u8], &Error>) {
            let code = outcome.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned());
            self.0.lock().push((id, code));
        }
        fn pushed(&self, _: &str, _: &[u8]) {}
        fn kicked(&self) {}
    }

    fn waiting(session: &Arc<Probe>, id: u64) -> Arc<Waiting> {
        let session: Arc<dyn Sink> = session.clone();
        let session = Arc::downgrade(&session);
        Arc::new(Waiting { session, id, route: "room.room.x".into(), done: AtomicBool::new(false) })
    }

    #[test]
    fn each_message_is_answered_once_whatever_becomes_of_it() {
        let session = Arc::new(Probe::default());
        let answered = waiting(&session, 1);
        answered.answer(0, Ok(b""));
        answered.answer(0, Ok(b""));
        drop(answered);
        drop(waiting(&session, 2));
        let (overdue, late) = (Overdue::default(), waiting(&session, 3));
        overdue.add(now(), &late);
        assert!(overdue.is_over());
        late.answer(0, Ok(b""));
        drop(late);
        let seen = session.0.lock();
        let codes: Vec<_> = seen.iter().map(|(id, code)| (*id, &**code)).collect();
        assert_eq!(codes, [(1, "ok"), (2, "PIT-408"), (3, "PIT-408")]);
    }

    #[test]
    fn what_is_done_behind_one_that_takes_long_is_forgotten() {
        let (session, overdue) = (Arc::new(Probe::default()), Overdue::default());
        let deadline = now() + Duration::from_secs(60);
        let long = waiting(&session, 1);
        overdue.add(deadline, &long);
        for id in 2..100_000 {
            let quick = waiting(&session, id);
            overdue.add(deadline, &quick);
            quick.answer(0, Ok(b""));
        }
        assert!(!overdue.is_over() && overdue.queue.lock().len() < 10_000);
    }
}
