//! The clock of a connection: one timer, for whatever has to be looked at next.

use super::{Connection, Work};
use crate::accept::{Framing, Refused};
use crate::counters::count;
use pitaya_core::CloseReason;
use pitaya_core::session::state::Tick;
use pitaya_core::wire::packet::HEARTBEAT;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    pub(super) fn look_at_the_clock(&mut self, cx: &mut task::Context<'_>, work: &mut Work) -> Result<(), CloseReason> {
        while self.poll_timer(cx).is_ready() {
            let now = Instant::now();
            if self.unsent.is_stalled(now, self.server.settings.write_timeout) {
                return Err(CloseReason::SlowConsumer);
            }
            self.judge_the_packet(now)?;
            if self.look_at_the_turn(now, work)? {
                // What waited behind it begins.
                cx.waker().wake_by_ref();
            }
            if now.into_std() >= self.machine.next() {
                match self.machine.tick(now.into_std()) {
                    Tick::Nothing => {}
                    Tick::Beat => work.out.extend_from_slice(&HEARTBEAT),
                    Tick::Dead => return Err(CloseReason::Heartbeat),
                    Tick::HandshakeOverdue => {
                        let limit = self.server.settings.handshake_timeout;
                        self.not_let_in(Refused::HandshakeTimeout, &format!("no handshake within {limit:?}"));
                        return Err(CloseReason::HandshakeTimeout);
                    }
                }
            }
            self.arm();
        }
        Ok(())
    }

    /// The clock counts also when reads and writes have used up what tokio lets a task do in one poll.
    #[inline]
    pub(super) fn poll_timer(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if self.watched && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        self.watched = true;
        Pin::new(&mut unconstrained(self.timer.as_mut())).poll(cx)
    }

    pub(super) fn set_timer(&mut self, at: Instant) {
        self.timer.as_mut().reset(at);
        self.watched = false;
    }

    /// A call goes on past its first poll. The timer is set only where it would be late: beats commonly come before.
    pub(super) fn arm_for_the_turn(&mut self) {
        if let Some(deadline) = self.turn_deadline().filter(|deadline| *deadline < self.timer.deadline()) {
            self.set_timer(deadline);
        }
    }

    /// Warns of handlers that kept their thread in one poll for longer than `pitaya.limits.handler.soft`. Known where metrics
    /// are on: nothing else looks at the clock.
    #[cold]
    pub(super) fn blocked(&self, route: u32, took: Duration) {
        let server = &self.server;
        if server.settings.handler_soft.is_some_and(|soft| took >= soft) {
            count(&server.counters.slow_handlers);
            let route = server.names.get(route as usize).map_or("", |name| name);
            if let Some(missed) = server.quotas.slow.admit() {
                tracing::warn!(route, ?took, missed, "handler blocked its thread");
            }
        }
    }

    /// Sets the timer to the earliest thing that has to be looked at.
    pub(super) fn arm(&mut self) {
        let mut next: Instant = self.machine.next().into();
        let packet = self.holding.as_ref().and_then(|holding| holding.deadline());
        let limits = [self.unsent.deadline(self.server.settings.write_timeout), self.turn_deadline(), packet];
        for limit in limits.into_iter().flatten() {
            next = next.min(limit);
        }
        self.set_timer(next);
    }
}
