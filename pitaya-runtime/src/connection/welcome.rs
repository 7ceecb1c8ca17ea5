//! The handshake: parse, check, answer.

use super::outcome::malformed;
use super::turn::Turn;
use super::{Connection, Work};
use crate::accept::{Framing, Refused, TLS_RECORD};
use crate::handshake::Refusal;
use pitaya_core::CloseReason;
use pitaya_core::wire::{HandshakeData, HandshakeError, HandshakeLimits, HandshakeReply, PacketError};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    pub(super) fn shake_hands(
        &mut self,
        cx: &mut task::Context<'_>,
        body: &[u8],
        work: &mut Work,
    ) -> Result<(), CloseReason> {
        let limits = HandshakeLimits { bytes: self.server.settings.handshake_size, ..HandshakeLimits::default() };
        let data = match HandshakeData::parse(body, &limits) {
            Ok(data) => data,
            Err(e) => {
                let reason = match e {
                    HandshakeError::TooLong { .. } => Refused::HandshakeTooLong,
                    _ => Refused::HandshakeInvalid,
                };
                return Err(self.refuse(work, reason, None, e.to_string()));
            }
        };
        self.agent.introduced(&data);
        self.escapes = self.agent.form().escape;
        // Its answers are looked at, one by one.
        self.unseen &= !self.escapes;
        self.session.set_handshake(self.server.greetings.share(data));
        if self.server.validators.is_empty() {
            return self.judged(Ok(()), work);
        }
        let (server, session) = (self.server.clone(), self.session.clone());
        self.turn = Some(Turn::Handshake(Box::pin(async move {
            match session.handshake() {
                Some(data) => server.validators.check(&session, data).await,
                None => Ok(()),
            }
        })));
        self.resume(cx, work).map(|_| ())
    }

    pub(super) fn judged(
        &mut self,
        verdict: Result<(), (Arc<str>, Refusal)>,
        work: &mut Work,
    ) -> Result<(), CloseReason> {
        match verdict {
            Ok(()) => {
                self.machine.accepted();
                self.agent.accepted.store(true, Relaxed);
                let at = work.out.len();
                work.out.extend_from_slice(&self.server.welcome);
                self.agent.escape_packet(&mut work.out, at);
                Ok(())
            }
            Err((name, refusal)) => {
                let detail = format!("{name}: {}", refusal.message);
                Err(self.refuse(work, Refused::HandshakeRejected, Some(&refusal), detail))
            }
        }
    }

    /// Tells a client of TLS or HTTP on a plain port from one that sends nonsense.
    #[cold]
    pub(super) fn not_a_packet(&self, error: &PacketError) -> CloseReason {
        let (reason, detail) = match error {
            PacketError::Kind(TLS_RECORD) => (Refused::TlsOnPlain, "it speaks TLS, and this port does not".to_owned()),
            PacketError::Kind(first) if first.is_ascii_uppercase() => {
                let text = "it speaks HTTP, and this port packets: browsers connect to a port of WebSockets";
                (Refused::HttpOnTcp, text.to_owned())
            }
            other => (Refused::NotAPacket, other.to_string()),
        };
        self.not_let_in(reason, &detail);
        malformed(error)
    }

    /// Counts and logs the end of a connection that is no session yet.
    #[cold]
    pub(super) fn not_let_in(&self, reason: Refused, detail: &str) {
        if !self.agent.accepted.load(Relaxed) || reason == Refused::BeforeHandshake {
            self.server.refused(reason, self.agent.remote(), detail);
        }
    }

    fn refuse(&mut self, work: &mut Work, reason: Refused, refusal: Option<&Refusal>, detail: String) -> CloseReason {
        let server = &self.server;
        let reply = HandshakeReply {
            heartbeat: server.settings.heartbeat.as_secs(),
            serializer: server.serializer.name(),
            dictionary: &server.dictionary,
        };
        let error = refusal.map(|refusal| (&*refusal.code, &*refusal.message));
        // What a check of the app says to its client, or what is wrong with what that client has sent.
        let message = refusal.map_or(&*detail, |refusal| &*refusal.message);
        let at = work.out.len();
        work.out.extend_from_slice(&reply.refused(error, message));
        self.agent.escape_packet(&mut work.out, at);
        self.not_let_in(reason, &detail);
        CloseReason::HandshakeRefused(detail)
    }
}
