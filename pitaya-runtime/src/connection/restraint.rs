//! Messages that do not run because there are too many of them: by the acceptor's gate, or by the app's limits.

use super::turn::Head;
use super::{Connection, Work};
use crate::accept::{Framing, Verdict, too_many};
use crate::counters::count;
use pitaya_core::CloseReason;
use pitaya_core::wire::{Message, MessageKind, Packet};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// The time of this batch of packets: read from the clock once, and only if somebody asks.
    fn batch_time(&mut self) -> Instant {
        *self.batch.get_or_insert_with(Instant::now)
    }

    /// Asks the gate. True when it keeps the packet.
    pub(super) fn kept_out(&mut self, packet: &Packet<'_>, work: &mut Work) -> Result<bool, CloseReason> {
        if self.held.is_some() {
            // It was let through before it had to wait.
            return Ok(false);
        }
        self.gated(packet, work)
    }

    /// The same for a packet that comes to the gate for the first time.
    pub(super) fn gated(&mut self, packet: &Packet<'_>, work: &mut Work) -> Result<bool, CloseReason> {
        let now = self.batch_time().into_std();
        let error = match self.framing.gate(packet, now) {
            Verdict::Pass => return Ok(false),
            Verdict::Drop => None,
            Verdict::Answer(error) => Some(error),
        };
        count(&self.server.counters.exceeded_rate_limiting);
        if let Some(missed) = self.server.quotas.gates.admit() {
            tracing::warn!(session = self.session.id(), missed, "a client's packets are kept out");
        }
        if let (Some(error), Ok(Message { kind: MessageKind::Request, id, .. })) = (error, Message::decode(packet.body))
        {
            self.fail(work, Head { id, route: u32::MAX, answers: id != 0 }, &error)?;
        }
        Ok(true)
    }

    /// Whether a message is over a limit. Its client is told at once, before what is still in work is answered.
    pub(super) fn over_limit(
        &mut self,
        head: Head,
        message: &Message<'_>,
        work: &mut Work,
    ) -> Result<bool, CloseReason> {
        let now = self.batch_time();
        let Some(spending) = &mut self.spending else { return Ok(false) };
        if spending.allows(&self.server, message.route, now) {
            return Ok(false);
        }
        count(&self.server.counters.limited_messages);
        if let Some(missed) = self.server.quotas.limits.admit() {
            tracing::warn!(session = self.session.id(), missed, "a client's messages are over a limit");
        }
        if head.answers {
            self.fail(work, head, &too_many())?;
        }
        Ok(true)
    }
}
