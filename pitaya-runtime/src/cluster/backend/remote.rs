//! The link of a session to a client whose connection another server holds.

use crate::cluster::sys;
use crate::server::Server;
use crate::trace;
use bytes::Bytes;
use parking_lot::Mutex;
use pitaya_core::cluster::envelope::Session as Named;
use pitaya_core::cluster::{Back, IncomingMessage};
use pitaya_core::codec::Serializer;
use pitaya_core::registry::SessionMoment;
use pitaya_core::rpc::{Metadata, Peer, Rpc, RpcCall, Target};
use pitaya_core::session::{Link, Push};
use pitaya_core::{BoxFuture, CloseReason, Error, Result, Session, SessionEvent, codes, same};
use prost::Message;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Lives as long as anybody holds the session of one message.
pub(crate) struct RemoteAgent {
    server: Arc<Server>,
    frontend: Arc<Peer>,
    session: i64,
    /// What came beside the message, and goes on with what is asked of the frontend.
    metadata: Arc<Metadata>,
    back: Arc<dyn Back>,
    ticket: AtomicU64,
    uid: Mutex<Option<Arc<str>>>,
    /// The data that the frontend has got from here.
    pushed: Mutex<Option<Bytes>>,
}

impl RemoteAgent {
    pub(super) fn new(server: &Arc<Server>, message: &IncomingMessage, uid: Option<Arc<str>>) -> Self {
        Self {
            server: server.clone(),
            frontend: message.frontend.clone(),
            session: message.session,
            metadata: message.metadata.clone(),
            back: message.back.clone(),
            ticket: message.ticket.into(),
            uid: Mutex::new(uid),
            pushed: Mutex::default(),
        }
    }

    /// Whether others go by its way back too, so that the session's next message may.
    pub(super) fn shares_its_way(&self) -> bool {
        Arc::strong_count(&self.back) > 1
    }

    /// Whether it is the link of this message's session too.
    pub(super) fn fits(&self, message: &IncomingMessage) -> bool {
        self.session == message.session
            && Arc::ptr_eq(&self.frontend, &message.frontend)
            && Arc::ptr_eq(&self.back, &message.back)
            && Arc::ptr_eq(&self.metadata, &message.metadata)
            && same(self.uid.lock().as_deref().unwrap_or_default().as_bytes(), &message.uid)
            && self.pushed.lock().is_none()
    }

    /// Becomes the link of the session's next message. Nobody may hold the session of the last.
    pub(super) fn renew(&self, message: &IncomingMessage) {
        self.ticket.store(message.ticket, Relaxed);
    }

    /// What this message has made of the session: its uid, and the data if they were sent to the frontend.
    pub(super) fn changes(&self) -> (Option<Arc<str>>, Option<Bytes>) {
        (self.uid.lock().clone(), self.pushed.lock().clone())
    }

    /// Calls an operation of the frontend on its session.
    async fn operate(&self, operation: &'static str, named: &Named) -> Result<()> {
        let server = &self.server;
        if server.cluster.servers.get(&self.frontend.id).is_none() {
            return Err(Error::new(codes::UNKNOWN, "can't find any server with the provided ID"));
        }
        let mut call = RpcCall::new(Target::Server(self.frontend.id.clone()), operation);
        call.body = named.encode_to_vec().into();
        call.metadata = self.metadata.clone();
        // Without the message's deadline: whoever holds the session may do this later.
        server.state().get::<Rpc>()?.call(call).await.map(drop)
    }
}

impl Link for RemoteAgent {
    fn push(&self, route: &str, body: &[u8]) -> Result<()> {
        let span = self.server.tracer.tells("push", route);
        let pushed = self.back.push(self.ticket.load(Relaxed), self.uid.lock().as_deref(), route, body);
        trace::end(span, pushed.as_ref().copied());
        pushed
    }

    fn send(&self, push: &Push) -> Result<()> {
        self.push(push.route(), push.body())
    }

    /// The reason stays here: the wire between servers has no place for it.
    fn kick(&self, _: Option<&serde_json::Value>) -> Result<()> {
        let span = self.server.tracer.tells("kick", "");
        let kicked = self.back.kick(self.ticket.load(Relaxed), self.uid.lock().as_deref());
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
            *self.uid.lock() = Some(uid.clone());
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

    fn frontend(&self) -> Option<&Peer> {
        Some(&self.frontend)
    }

    fn push_to_front<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let data = session.data().to_wire();
            let uid = self.uid.lock().as_deref().unwrap_or_default().to_owned();
            self.operate(sys::PUSH_SESSION, &Named { id: self.session, uid, data: data.clone() }).await?;
            *self.pushed.lock() = Some(data);
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
