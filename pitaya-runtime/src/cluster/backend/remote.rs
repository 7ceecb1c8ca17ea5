//! The link of a session to a client whose connection another server holds.

use crate::cluster::sys;
use crate::server::Server;
use crate::trace;
use bytes::Bytes;
use parking_lot::Mutex;
use pitaya_core::cluster::envelope::Session as Named;
use pitaya_core::cluster::server::KICK_REASON;
use pitaya_core::cluster::{Letter, Source};
use pitaya_core::codec::Serializer;
use pitaya_core::registry::SessionMoment;
use pitaya_core::rpc::{Peer, Rpc, RpcCall, Target};
use pitaya_core::session::{KickReason, Link, Push};
use pitaya_core::{BoxFuture, CloseReason, Error, Result, Session, SessionEvent, codes, same};
use prost::Message;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// Lives as long as anybody holds the session of one message.
pub(crate) struct RemoteAgent {
    server: Arc<Server>,
    from: Arc<Source>,
    session: i64,
    ticket: AtomicU64,
    /// Whom its messages said it is bound to.
    uid: Option<Arc<str>>,
    /// Whether there is anything in `changed`.
    has_changed: AtomicBool,
    changed: Mutex<Changed>,
}

/// What a turn did to the session.
#[derive(Default, Clone)]
pub(super) struct Changed {
    /// Whom it was bound to here.
    pub(super) uid: Option<Arc<str>>,
    /// The data that the frontend has got from here.
    pub(super) pushed: Option<Bytes>,
}

impl RemoteAgent {
    pub(super) fn new(server: &Arc<Server>, from: &Arc<Source>, letter: &Letter<&[u8]>, uid: Option<Arc<str>>) -> Self {
        Self {
            server: server.clone(),
            from: from.clone(),
            session: letter.session,
            ticket: letter.ticket.into(),
            uid,
            has_changed: AtomicBool::new(false),
            changed: Mutex::default(),
        }
    }

    pub(super) fn from(&self) -> &Arc<Source> {
        &self.from
    }

    /// Whether it is the link of this message's session too.
    pub(super) fn fits(&self, from: &Arc<Source>, letter: &Letter<&[u8]>) -> bool {
        self.session == letter.session
            && Arc::ptr_eq(&self.from, from)
            && same(self.uid.as_deref().unwrap_or_default().as_bytes(), letter.uid)
            && !self.has_changed.load(Acquire)
    }

    /// Becomes the link of the session's next message. Nobody may hold the session of the last.
    pub(super) fn renew(&self, ticket: u64) {
        self.ticket.store(ticket, Relaxed);
    }

    /// What this message has made of the session.
    pub(super) fn changed(&self) -> Option<Changed> {
        self.has_changed.load(Acquire).then(|| self.changed.lock().clone())
    }

    fn change(&self, change: impl FnOnce(&mut Changed)) {
        change(&mut self.changed.lock());
        self.has_changed.store(true, Release);
    }

    /// Whom it is bound to now.
    fn uid(&self) -> Option<Arc<str>> {
        self.changed().and_then(|changed| changed.uid).or_else(|| self.uid.clone())
    }

    /// Whether the frontend understands reasons of kicks. To a Go server they do no harm.
    fn takes_reasons(&self) -> bool {
        let frontend = self.server.cluster.servers.get(&self.from.frontend.id);
        frontend.is_some_and(|frontend| frontend.speaks(KICK_REASON) || !frontend.keeps_order())
    }

    /// Calls an operation of the frontend on its session.
    async fn operate(&self, operation: &'static str, named: &Named) -> Result<()> {
        let server = &self.server;
        if server.cluster.servers.get(&self.from.frontend.id).is_none() {
            return Err(Error::new(codes::UNKNOWN, "can't find any server with the provided ID"));
        }
        let mut call = RpcCall::new(Target::Server(self.from.frontend.id.clone()), operation);
        call.body = named.encode_to_vec().into();
        call.metadata = self.from.metadata.clone();
        // Without the message's deadline: whoever holds the session may do this later.
        server.state().get::<Rpc>()?.call(call).await.map(drop)
    }
}

impl Link for RemoteAgent {
    fn push(&self, route: &str, body: &[u8]) -> Result<()> {
        let span = self.server.tracer.tells("push", route);
        let pushed = self.from.back.push(self.ticket.load(Relaxed), self.uid().as_deref(), route, body);
        trace::end(span, pushed.as_ref().copied());
        pushed
    }

    fn send(&self, push: &Push) -> Result<()> {
        self.push(push.route(), push.body())
    }

    fn kick(&self, reason: Option<&KickReason>) -> Result<()> {
        let span = self.server.tracer.tells("kick", "");
        let reason = reason.filter(|_| self.takes_reasons());
        let kicked = self.from.back.kick(self.ticket.load(Relaxed), self.uid().as_deref(), reason);
        trace::end(span, kicked.as_ref().copied());
        kicked
    }

    fn close(&self, _: CloseReason) {
        if let Err(error) = self.kick(None) {
            let (code, error) = (error.code(), error.message());
            tracing::debug!(session = self.session, code, error, "a session of another server could not be closed");
        }
    }

    fn bind<'a>(&'a self, session: &'a Session, uid: &'a Arc<str>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let server = &self.server;
            for callback in &server.callbacks.on_bind {
                callback(session.clone()).await?;
            }
            let named = Named { id: self.session, uid: uid.to_string(), data: Bytes::new() };
            self.operate(sys::BIND, &named).await?;
            self.change(|changed| changed.uid = Some(uid.clone()));
            for callback in &server.callbacks.after_bind {
                callback(session.clone()).await?;
            }
            if server.registry.hears_sessions() {
                let event = SessionEvent { session: session.clone(), state: server.state() };
                server.hear(SessionMoment::Bound, &event).await;
            }
            Ok(())
        })
    }

    fn takes_invisible_uids(&self) -> bool {
        self.server.settings.invisible_uids
    }

    fn frontend(&self) -> Option<&Peer> {
        Some(&self.from.frontend)
    }

    fn push_to_front<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let data = session.data().to_wire();
            let uid = self.uid().as_deref().unwrap_or_default().to_owned();
            self.operate(sys::PUSH_SESSION, &Named { id: self.session, uid, data: data.clone() }).await?;
            self.change(|changed| changed.pushed = Some(data));
            Ok(())
        })
    }

    fn panicked(&self, _: &Session, panic: &(dyn Any + Send)) {
        self.server.panicked(Some("an on_close callback"), panic);
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn serializer(&self) -> Serializer {
        self.server.serializer
    }
}
