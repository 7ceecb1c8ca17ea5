//! The link of a session to the connection that this process holds.

use crate::counters::count;
use crate::metrics::{Flights, Times};
use crate::outbox::Outbox;
use crate::server::Server;
use crate::trace::{self, Passing};
use parking_lot::Mutex;
use pitaya_core::cluster::Sink;
use pitaya_core::codec::Serializer;
use pitaya_core::json::{escape_astral, escape_astral_tail};
use pitaya_core::session::{BodyForm, ClientCertificate, KickReason, Link, Push};
use pitaya_core::wire::message::open_response;
use pitaya_core::wire::{self, HandshakeData, RouteRef, packet};
use pitaya_core::{BoxFuture, CloseReason, Codec, Error, Json, Result, Session};
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};

pub(crate) struct Agent {
    pub(crate) server: Arc<Server>,
    pub(crate) outbox: Outbox,
    remote: SocketAddr,
    /// What the client showed over TLS.
    certificate: Option<Box<ClientCertificate>>,
    /// Whether the client gets compressed bodies, from its handshake on.
    compress: AtomicBool,
    /// Whether it gets JSON with escapes for characters beyond U+FFFF, from its handshake on.
    escape: AtomicBool,
    /// Whether bodies are JSON.
    is_json: bool,
    /// Its handshake was accepted: the app hears of its end.
    pub(crate) accepted: AtomicBool,
    /// The client has sent a route as a code, so it reads them too.
    pub(crate) coded: AtomicBool,
    /// Concurrent calls that have left the connection.
    pub(crate) concurrent: AtomicUsize,
    /// Messages sent on to another server that have no outcome yet.
    pub(crate) forwarded: AtomicUsize,
    /// For whom the transport listens, on behalf of this session.
    heard: Mutex<Option<Arc<str>>>,
    /// Those of its messages that are traced and on their way.
    pub(crate) passing: Passing,
    /// Measures what was sent on, when anybody listens.
    pub(crate) flights: Option<Box<Flights>>,
}

impl Agent {
    /// Address of the client.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(crate) fn new(server: Arc<Server>, remote: SocketAddr, certificate: Option<Box<ClientCertificate>>) -> Self {
        Self {
            outbox: Outbox::new(server.settings.outbox),
            compress: AtomicBool::new(false),
            escape: AtomicBool::new(false),
            is_json: server.serializer.name() == Json::NAME,
            accepted: AtomicBool::new(false),
            coded: AtomicBool::new(false),
            concurrent: AtomicUsize::new(0),
            forwarded: AtomicUsize::new(0),
            heard: Mutex::default(),
            passing: Passing::default(),
            flights: server.meter.as_ref().map(|meter| Box::new(Flights::new(meter))),
            server,
            remote,
            certificate,
        }
    }

    /// Takes from the client's handshake how its bodies are to be written.
    pub(crate) fn introduced(&self, client: &HandshakeData) {
        self.compress.store(self.server.settings.compress.suits(client), Relaxed);
        self.escape.store(client.needs_escapes(), Relaxed);
    }

    /// How bodies for this client are written.
    pub(crate) fn form(&self) -> BodyForm {
        BodyForm { compress: self.compress.load(Relaxed), escape: self.is_json && self.escape.load(Relaxed) }
    }

    /// Writes characters beyond U+FFFF as escapes in the packet that begins at `at`, if the client needs it. Its body is JSON,
    /// whatever messages are written in: the answer to a handshake, or a kick.
    pub(crate) fn escape_packet(&self, out: &mut Vec<u8>, at: usize) {
        if !self.escape.load(Relaxed) {
            return;
        }
        let body_at = at + packet::HEADER;
        // What fits in no packet with escapes stays without them.
        let escaped = out.get(body_at..).and_then(escape_astral).filter(|body| body.len() <= packet::MAX_BODY);
        if let Some(body) = escaped {
            out.truncate(body_at);
            out.extend_from_slice(&body);
            // It fits.
            let _ = packet::seal(out, at);
        }
    }

    /// Writes characters beyond U+FFFF as escapes, in the answer of a route of this server, or of none, whose body begins at
    /// `body_at`. What a handler answers as raw bytes stays as it is.
    #[cold]
    pub(crate) fn escape_answer(&self, out: &mut Vec<u8>, body_at: usize, route: u32) {
        if !self.server.registry.entry(route).is_some_and(|entry| entry.route().answers_raw()) {
            escape_astral_tail(out, body_at);
        }
    }

    /// The code this client reads for a push route.
    fn code(&self, route: &str) -> Option<u16> {
        if self.coded.load(Relaxed) { self.server.dictionary.code(route) } else { None }
    }

    /// Lets other servers reach the user through this frontend, until [`ignore`](Self::ignore).
    pub(crate) async fn listen(&self, uid: &Arc<str>) -> Result<()> {
        self.server.cluster.transport.listen(uid).await?;
        *self.heard.lock() = Some(uid.clone());
        Ok(())
    }

    /// Takes back what was listened for, once.
    pub(crate) fn ignore(&self) {
        let heard = self.heard.lock().take();
        if let Some(uid) = heard {
            self.server.cluster.transport.ignore(&uid);
        }
    }

    fn put_push(&self, route: &str, body: &[u8], form: BodyForm) -> Result<()> {
        let route = self.code(route).map_or(RouteRef::Name(route.as_bytes()), RouteRef::Code);
        self.outbox.append(|out| pitaya_core::session::encode_push(out, route, body, form))
    }

    fn put_kick(&self, reason: Option<&KickReason>) -> Result<()> {
        let kicked = self.outbox.end(CloseReason::Kicked(reason.cloned()), |out| {
            let at = out.len();
            write_kick(reason, out);
            self.escape_packet(out, at);
        });
        if kicked { Ok(()) } else { Err(Error::closed()) }
    }

    /// A message is sent on, for the metrics.
    pub(crate) fn sent_on(&self, id: u64, route: &str, times: Option<Times>) {
        if let Some((flights, times)) = self.flights.as_ref().zip(times) {
            flights.left(id, route, times);
        }
    }

    /// What was sent on has an outcome, for the metrics.
    pub(crate) fn came_back(&self, id: u64, error: Option<&Error>) {
        if let Some(flights) = &self.flights {
            flights.back(id, error);
        }
    }

    /// Queues the answer of a call that finished elsewhere: of a route of this server, or of another one's.
    pub(crate) fn answer(&self, id: u64, route: u32, outcome: Result<&[u8], &Error>) {
        self.put_answer(id, route, outcome);
        self.outbox.wake();
    }

    /// [`answer`](Self::answer) for whoever wakes the outbox afterwards.
    fn put_answer(&self, id: u64, route: u32, outcome: Result<&[u8], &Error>) {
        let form = self.form();
        let sent = self.outbox.put(|out| {
            let at = open_response(out, id);
            if let Ok(body) = outcome {
                let body_at = out.len();
                out.extend_from_slice(body);
                if form.escape {
                    self.escape_answer(out, body_at, route);
                }
            }
            self.server.finish_answer(out, at, id, outcome.map(|_| ()), form);
            Ok(())
        });
        if sent.is_err() {
            count(&self.server.counters.late_answers);
        }
    }
}

/// A reason too long for a packet is left out: the kick counts.
fn write_kick(reason: Option<&KickReason>, out: &mut Vec<u8>) {
    if wire::kick(reason.map(KickReason::to_json).as_ref(), out).is_err() {
        out.extend_from_slice(&packet::KICK);
    }
}

/// What comes back for messages that were sent on.
impl Sink for Agent {
    fn answered(&self, id: u64, outcome: Result<&[u8], &Error>) {
        self.queued(id, outcome);
        self.flush();
    }

    fn queued(&self, id: u64, outcome: Result<&[u8], &Error>) {
        self.came_back(id, outcome.err());
        if id != 0 {
            self.put_answer(id, u32::MAX, outcome);
            self.passing.end(id, outcome.map(drop));
        } else if let Err(error) = outcome {
            count(&self.server.counters.failed_notifies);
            tracing::debug!(code = error.code(), error = error.message(), "an error that no client is told");
        }
        self.forwarded.fetch_sub(1, AcqRel);
    }

    fn flush(&self) {
        // The connection may wait for an answer, whoever else was told.
        self.outbox.wake();
    }

    fn pushed(&self, route: &str, body: &[u8]) {
        // Its span is there.
        if let Err(error) = self.put_push(route, body, self.form()) {
            let (code, error) = (error.code(), error.message());
            tracing::debug!(route, code, error, "a push of another server was not delivered");
        }
    }

    fn kicked(&self, reason: Option<&KickReason>) {
        let _ = self.put_kick(reason);
    }
}

impl Link for Agent {
    fn push(&self, route: &str, body: &[u8]) -> Result<()> {
        let span = self.server.tracer.tells("push", route);
        let pushed = self.put_push(route, body, self.form());
        trace::end(span, pushed.as_ref().copied());
        pushed
    }

    fn push_raw(&self, route: &str, body: &[u8]) -> Result<()> {
        let span = self.server.tracer.tells("push", route);
        let pushed = self.put_push(route, body, BodyForm { escape: false, ..self.form() });
        trace::end(span, pushed.as_ref().copied());
        pushed
    }

    fn send(&self, push: &Push) -> Result<()> {
        let frame = push.frame(self.code(push.route()), self.form())?;
        self.outbox.append(|out| {
            out.extend_from_slice(frame);
            Ok(())
        })
    }

    fn kick(&self, reason: Option<&KickReason>) -> Result<()> {
        let span = self.server.tracer.tells("kick", "");
        let kicked = self.put_kick(reason);
        trace::end(span, kicked.as_ref().copied());
        kicked
    }

    fn close(&self, reason: CloseReason) {
        if reason == CloseReason::Shutdown {
            // A second time at the end of a shutdown, when time is up: every connection has to look again.
            return self.outbox.stop();
        }
        let replaced = reason == CloseReason::Replaced;
        self.outbox.end(reason, |out| {
            if replaced {
                write_kick(Some(&KickReason::replaced()), out);
            }
        });
    }

    fn bind<'a>(&'a self, session: &'a Session, uid: &'a Arc<str>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.server.bind(self, session, uid))
    }

    fn takes_invisible_uids(&self) -> bool {
        self.server.settings.invisible_uids
    }

    fn panicked(&self, _: &Session, panic: &(dyn Any + Send)) {
        self.server.panicked(Some("an on_close callback"), panic);
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.remote)
    }

    fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_deref()
    }

    fn serializer(&self) -> Serializer {
        self.server.serializer
    }
}
