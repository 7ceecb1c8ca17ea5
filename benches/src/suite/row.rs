//! One thing that is measured: who serves, who asks.

use crate::transport::Transport;

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rig {
    /// `baseline` in this mode.
    Bare(&'static str),
    /// The conformance example with its defaults.
    Ours,
    /// The same with compression.
    OursCompressing,
    /// Go Pitaya, compression off.
    Go,
    /// Go Pitaya as it comes: compression on.
    GoCompressing,
    /// Pinus, on Node.
    Pinus,
    /// The bare multiplexer over NATS, both sides.
    Mux,
    /// A caller of the example as backend; `plain` as towards Go's.
    Calls {
        /// The backend does not say that it speaks the lane.
        plain: bool,
    },
    /// The example as frontend and as backend.
    Pair,
    /// Go Pitaya as frontend and as backend.
    GoPair,
}

impl Rig {
    /// Whether it is another project's, which may be missing.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Go | Self::GoCompressing | Self::GoPair | Self::Pinus)
    }

    /// Whether it is the project itself.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursCompressing | Self::Calls { .. } | Self::Pair)
    }
}

/// Who asks, and how hard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Drive {
    /// A closed loop: each connection keeps `depth` requests in flight.
    Echo {
        /// Connections.
        conns: usize,
        /// Requests in flight of each.
        depth: usize,
    },
    /// An open loop at half the rate that a row before had in the same round.
    HalfOf {
        /// That row.
        row: &'static str,
        /// Connections.
        conns: usize,
    },
    /// Sessions that say nothing, held for so many seconds.
    Idle {
        /// How many.
        sessions: usize,
        /// For how long.
        secs: f64,
    },
    /// One tells all, `rounds` times, one after the other.
    Broadcast {
        /// Who hears.
        members: usize,
        /// How often.
        rounds: usize,
        /// Spread over so many rooms; 0: all in one group.
        rooms: usize,
    },
    /// One tells all 20 times a second, 4 KiB each, and some of them do not read.
    Told {
        /// Who hears.
        members: usize,
        /// How often.
        rounds: usize,
        /// Per cent of them that do not read.
        slow: usize,
    },
    /// Clients that come, bind, ask once and go, 200 at a time.
    Logins {
        /// How many.
        count: usize,
    },
    /// The same for so many seconds.
    Churn {
        /// How long.
        secs: f64,
    },
    /// Calls from server to server.
    Calls {
        /// How many at a time.
        in_flight: usize,
    },
}

/// One row of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What results and claims call it; unique in its scenario.
    pub name: &'static str,
    /// Who serves.
    pub rig: Rig,
    /// Who asks.
    pub drive: Drive,
    /// What carries the packets.
    pub transport: Transport,
    /// The method that is called, of the component `room`.
    pub method: &'static str,
    /// `raw`, `json` or `json-1k`.
    pub body: &'static str,
}

impl Row {
    /// An echo of 64 raw bytes over TCP by a method that is not async.
    #[must_use]
    pub const fn new(name: &'static str, rig: Rig, drive: Drive) -> Self {
        Self { name, rig, drive, transport: Transport::Tcp, method: "join", body: "raw" }
    }

    /// The same by an async method.
    #[must_use]
    pub const fn asynchronous(self) -> Self {
        Self { method: "echo", ..self }
    }

    /// The same with JSON that is decoded and encoded.
    #[must_use]
    pub const fn json(self) -> Self {
        Self { method: "move", body: "json", ..self }
    }

    /// The same with 1 KiB of JSON.
    #[must_use]
    pub const fn long_json(self) -> Self {
        Self { method: "move", body: "json-1k", ..self }
    }

    /// The same over another transport.
    #[must_use]
    pub const fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }
}
