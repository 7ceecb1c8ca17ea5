//! Which packet a client may send when, and how long it may be silent: a state machine without a socket, whose clock
//! is passed in.
//!
//! ```text
//!  ┌───────┐ handshake  ┌─────────┐ accepted()  ┌──────────┐  ack   ┌─────────┐
//!  │ Start ├───────────▶│ Greeted ├────────────▶│ Accepted ├───────▶│ Working │─┐ data
//!  └───────┘            └────▲────┘             └────┬─────┘        └────▲────┴─┘
//!                            └────── handshake ──────┘
//!
//!  heartbeat, kick: ignored everywhere.   refused(), any violation: Closed, where everything is a violation.
//! ```

use std::time::{Duration, Instant};

use crate::wire::PacketKind;

/// Ticks without a word after which a client is dead. The first silent tick may follow a word by a whole interval or by
/// nothing, so the second finds a silence of 2 to 3 intervals. Clients in the manner of pomelo speak every second
/// interval only: one silent tick is normal.
const SILENT_TICKS: u8 = 2;

/// No timer is set further ahead than this, so that no configured duration overflows the clock.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a packet means to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Check the handshake, then call [`Machine::accepted`] or [`Machine::refused`].
    Handshake,
    /// The first acknowledgement: the session is open and its heartbeats begin. [`Machine::next`] has changed.
    Ready,
    /// A message to be handled.
    Message,
    /// Nothing to do: a heartbeat, an acknowledgement repeated, a kick from the client.
    Ignored,
}

/// Why a session must be closed: a packet at the wrong time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Data from a client whose handshake was not accepted yet, or never sent.
    #[error("data before the handshake was accepted")]
    DataBeforeHandshake,
    /// Data from a client that has not acknowledged the handshake.
    #[error("data before the handshake was acknowledged")]
    DataBeforeAck,
    /// An acknowledgement of a handshake that was not accepted yet, or never sent. Go takes it and skips its validators.
    #[error("an acknowledgement before the handshake was accepted")]
    AckBeforeHandshake,
    /// A handshake in an open session. Go starts over and forgets the session's data.
    #[error("a handshake after the session was acknowledged")]
    LateHandshake,
    /// Any packet after the handshake was refused or the protocol violated.
    #[error("a packet after the session was closed")]
    Closed,
}

/// What a tick asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// Nothing: it is too early.
    Nothing,
    /// Send a heartbeat.
    Beat,
    /// Close: nothing was read for more than 2 intervals.
    Dead,
    /// Close: the handshake was not completed in time.
    HandshakeOverdue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    Greeted,
    Accepted,
    Working,
    Closed,
}

/// The state of one client's session.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pitaya_core::{session::state::{Event, Machine, Tick}, wire::PacketKind};
///
/// let interval = Duration::from_secs(30);
/// let mut machine = Machine::new(Instant::now(), interval, Duration::from_secs(10));
/// assert_eq!(machine.packet(PacketKind::Handshake), Ok(Event::Handshake));
/// machine.accepted(); // the answer is written
/// assert_eq!(machine.packet(PacketKind::HandshakeAck), Ok(Event::Ready));
///
/// let due = machine.next();
/// assert_eq!(machine.tick(due), Tick::Beat);
/// assert_eq!(machine.next(), due + interval);
/// ```
#[derive(Debug, Clone)]
pub struct Machine {
    phase: Phase,
    interval: Duration,
    deadline: Instant,
    beat: Instant,
    heard: bool,
    silent: u8,
    suspended: bool,
}

impl Machine {
    /// A session that was accepted `now`. `interval` lies between two heartbeats; `handshake_deadline` is the time until
    /// the acknowledgement.
    pub fn new(now: Instant, interval: Duration, handshake_deadline: Duration) -> Self {
        Self {
            phase: Phase::Start,
            interval,
            deadline: now + handshake_deadline.min(FAR),
            beat: now + interval.min(FAR),
            heard: false,
            silent: 0,
            suspended: false,
        }
    }

    /// Takes note of a packet and says what it means.
    ///
    /// # Errors
    /// A [`Violation`]: the machine is closed, and so must the connection be.
    #[inline]
    pub fn packet(&mut self, kind: PacketKind) -> Result<Event, Violation> {
        if kind == PacketKind::Data && self.phase == Phase::Working {
            return Ok(Event::Message);
        }
        self.other_packet(kind)
    }

    /// Every packet but a message in its time.
    fn other_packet(&mut self, kind: PacketKind) -> Result<Event, Violation> {
        let violation = match (self.phase, kind) {
            (Phase::Closed, _) => Violation::Closed,
            (Phase::Working, PacketKind::Data) => return Ok(Event::Message),
            (_, PacketKind::Heartbeat | PacketKind::Kick) | (Phase::Working, PacketKind::HandshakeAck) => {
                return Ok(Event::Ignored);
            }
            (Phase::Working, PacketKind::Handshake) => Violation::LateHandshake,
            (_, PacketKind::Handshake) => {
                self.phase = Phase::Greeted;
                return Ok(Event::Handshake);
            }
            (Phase::Accepted, PacketKind::HandshakeAck) => {
                self.phase = Phase::Working;
                self.heard = true;
                return Ok(Event::Ready);
            }
            (_, PacketKind::HandshakeAck) => Violation::AckBeforeHandshake,
            (Phase::Accepted, PacketKind::Data) => Violation::DataBeforeAck,
            (_, PacketKind::Data) => Violation::DataBeforeHandshake,
        };
        self.phase = Phase::Closed;
        Err(violation)
    }

    /// The handshake passed and its answer is on its way: from now on an acknowledgement is legal.
    pub fn accepted(&mut self) {
        if self.phase == Phase::Greeted {
            self.phase = Phase::Accepted;
        }
    }

    /// The handshake did not pass, or the session ends for another reason: whatever still comes is a violation.
    pub fn refused(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Something was read. Called once for each read, whatever it brought; costs no look at the clock.
    #[inline]
    pub fn heard(&mut self) {
        self.heard = true;
    }

    /// When [`tick`](Self::tick) is due. Changes with [`Event::Ready`] and with every tick.
    ///
    /// Until the session is open, and after it was closed, this is the deadline of the handshake.
    #[inline]
    pub fn next(&self) -> Instant {
        if self.working() { self.beat } else { self.deadline }
    }

    /// Looks at the clock: is a heartbeat due, is the client dead, is the handshake overdue?
    ///
    /// Silence is counted in ticks, which are at least one interval apart. A tick that comes late by more than a quarter
    /// of the interval counts nothing: the process stood still, and what the client sent meanwhile is yet to be read.
    pub fn tick(&mut self, now: Instant) -> Tick {
        if !self.working() {
            return if now >= self.deadline { Tick::HandshakeOverdue } else { Tick::Nothing };
        }
        if now < self.beat {
            return Tick::Nothing;
        }
        let late = now - self.beat > self.interval / 4;
        self.beat = now + self.interval.min(FAR);
        if std::mem::take(&mut self.heard) {
            self.silent = 0;
        } else if !late && !self.suspended {
            self.silent = self.silent.saturating_add(1);
        }
        if self.silent >= SILENT_TICKS { Tick::Dead } else { Tick::Beat }
    }

    /// The server stops reading because it has enough to do: silence is no longer the client's fault. Heartbeats go on.
    pub fn suspend(&mut self) {
        self.suspended = true;
    }

    /// The server reads again: the client has all its time from now on.
    pub fn resume(&mut self) {
        self.suspended = false;
        self.heard = true;
    }

    /// Whether the session is open: acknowledged and not closed.
    #[inline]
    pub fn working(&self) -> bool {
        self.phase == Phase::Working
    }
}

#[cfg(test)]
mod tests;
