//! The handshake: parse, check, answer.

use super::outcome::malformed;
use super::turn::Turn;
use super::{Connection, Work};
use crate::accept::{Framing, TLS_RECORD};
use crate::counters::count;
use crate::handshake::Refusal;
use pitaya_core::CloseReason;
use pitaya_core::wire::{HandshakeData, HandshakeLimits, HandshakeReply, PacketError};
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
            // As in Go the text stays here: a client that cannot write JSON cannot do anything about it.
            Err(e) => return Err(self.refuse(work, None, e.to_string())),
        };
        if data.is_js_websocket() {
            // This client cannot inflate.
            self.agent.compress.store(false, Relaxed);
        }
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
                work.out.extend_from_slice(&self.server.welcome);
                Ok(())
            }
            Err((name, refusal)) => {
                let detail = format!("{name}: {}", refusal.message);
                Err(self.refuse(work, Some(&refusal), detail))
            }
        }
    }

    /// A client of TLS or HTTP on a plain port is told from one that sends nonsense.
    #[cold]
    pub(super) fn not_a_packet(&self, error: &PacketError) -> CloseReason {
        let other = matches!(error, PacketError::Kind(first) if *first == TLS_RECORD || first.is_ascii_uppercase());
        if other && !self.agent.accepted.load(Relaxed) {
            count(&self.server.counters.wrong_protocol);
        }
        malformed(error)
    }

    fn refuse(&mut self, work: &mut Work, refusal: Option<&Refusal>, detail: String) -> CloseReason {
        let server = &self.server;
        let reply = HandshakeReply {
            heartbeat: server.settings.heartbeat.as_secs(),
            serializer: server.serializer.name(),
            dictionary: &server.dictionary,
        };
        let reason = refusal.map(|refusal| (&*refusal.code, &*refusal.message));
        work.out.extend_from_slice(&reply.refused(reason));
        CloseReason::HandshakeRefused(detail)
    }
}
