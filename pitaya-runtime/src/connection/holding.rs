//! Bytes that stay for a client between two polls: the deadline of the packet that has begun, and the part of the budget.
//!
//! Most polls leave nothing, and cost two comparisons here.

use super::Connection;
use crate::accept::{Framing, Unfinished};
use crate::budget::LEAST;
use pitaya_core::CloseReason;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// The budget may take a holder for so much older than it is. A client that sends one packet after the other is not noted again
/// with each of them.
const COARSE: Duration = Duration::from_millis(100);

/// State of the bytes that a connection holds, while it holds any.
pub(super) struct Holding {
    /// Since when, without a break.
    since: Instant,
    packet: Option<Begun>,
    /// Bytes and age that are charged to the budget.
    charged: Option<(usize, Instant)>,
}

/// A packet, or a message of a WebSocket, that has begun and not come whole.
struct Begun {
    number: u32,
    /// When it began; later by the time for which nothing was read.
    since: Instant,
    /// Since when nothing is read.
    paused: Option<Instant>,
    /// How long it may take.
    time: Duration,
}

impl Begun {
    fn deadline(&self) -> Option<Instant> {
        if self.paused.is_some() { None } else { self.since.checked_add(self.time) }
    }
}

impl Holding {
    /// When the packet that has begun has to have come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.packet.as_ref()?.deadline()
    }
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Looks, at the end of a poll, at what stays in memory.
    #[inline(always)]
    pub(super) fn look_at_the_rest(&mut self) {
        let framing = !F::PLAIN && self.framing.unfinished().is_some();
        if !self.backlog.is_empty() || !self.unsent.is_empty() || framing || self.holding.is_some() {
            self.hold();
        }
    }

    /// Notes what is held now.
    #[cold]
    #[inline(never)]
    pub(super) fn hold(&mut self) {
        let unfinished = if F::PLAIN { self.backlog.unfinished() } else { self.framing.unfinished() };
        let bytes = self.held(unfinished);
        if bytes == 0 && unfinished.is_none() {
            return self.let_go_of_the_rest();
        }
        let now = Instant::now();
        let reads = self.closing.is_none() && self.wants_to_read();
        let packet = unfinished.filter(|_| self.machine.working()).and_then(|unfinished| {
            let time = self.server.settings.packet_time(unfinished.length)?;
            Some((unfinished.number, time))
        });
        let alone = unfinished.is_some() && !self.backlog.has_messages() && self.unsent.is_empty();
        let holding = self.holding.get_or_insert_with(|| Box::new(Holding { since: now, packet: None, charged: None }));
        holding.packet = packet.map(|(number, time)| {
            let known = holding.packet.take().filter(|known| known.number == number);
            let mut begun = known.unwrap_or(Begun { number, since: now, paused: None, time });
            begun.time = time;
            if !reads {
                begun.paused.get_or_insert(now);
            } else if let Some(paused) = begun.paused.take() {
                begun.since += now - paused;
            }
            begun
        });
        if let Some(packet) = holding.packet.as_ref().filter(|_| alone) {
            // Nothing is left of what came before it.
            holding.since = packet.since;
        }
        let (since, deadline) = (holding.since, holding.deadline());
        let charge = (bytes >= LEAST).then_some((bytes, since));
        let known = holding.charged;
        let is_known = match (charge, known) {
            (Some((bytes, since)), Some((before, then))) => bytes == before && since < then + COARSE,
            (charge, known) => charge.is_none() && known.is_none(),
        };
        if !is_known {
            holding.charged = charge;
            match charge {
                Some((bytes, since)) => self.server.budget.charge(self.session.id(), &self.agent, bytes, since),
                None => self.server.budget.release(self.session.id()),
            }
        }
        if deadline.is_some_and(|deadline| deadline < self.timer.deadline()) && self.closing.is_none() {
            self.arm();
        }
    }

    /// Memory that is held for the client, in bytes.
    fn held(&self, unfinished: Option<Unfinished>) -> usize {
        let framing = if F::PLAIN { 0 } else { unfinished.map_or(0, |unfinished| unfinished.held) };
        // What others queue is taken in the same poll, unless the client has not taken what came before.
        let queued = if self.unsent.is_empty() { 0 } else { self.agent.outbox.held() };
        self.backlog.held() + framing + self.unsent.held() + queued
    }

    fn let_go_of_the_rest(&mut self) {
        if self.holding.take().is_some_and(|holding| holding.charged.is_some()) {
            self.server.budget.release(self.session.id());
        }
    }

    /// Whether the packet that has begun should have come by now.
    ///
    /// # Errors
    /// The reason to close for.
    pub(super) fn judge_the_packet(&mut self, now: Instant) -> Result<(), CloseReason> {
        if self.holding.is_none() {
            return Ok(());
        }
        // It may have come in this poll.
        self.hold();
        let Some(packet) = self.holding.as_ref().and_then(|holding| holding.packet.as_ref()) else { return Ok(()) };
        if packet.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if let Some(missed) = self.server.quotas.packets.admit() {
            let (session, remote, limit) = (self.session.id(), self.agent.remote(), packet.time);
            tracing::warn!(session, %remote, ?limit, missed, "packet overdue");
        }
        Err(CloseReason::PacketTimeout)
    }
}
