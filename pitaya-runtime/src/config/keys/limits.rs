//! What one client, and all clients together, may use. Go has none of these keys.

use std::{collections::BTreeMap, time::Duration};

use super::{secs, section};
use crate::config::{ByteSize, Rate};

section! {
    /// `pitaya.limits`: how much of the server clients may use. Each has a default that is safe on the open Internet;
    /// [`Config::edge`](super::Config::edge) is stricter for servers that face it without a proxy.
    "pitaya.limits" Limits {
        /// Bytes that may remain unsent for one client after a write was tried. A client that lets more pile up is closed.
        #[go = "counts messages (`pitaya.buffer.agent.messages`), and the sender waits."]
        outbox: ByteSize = ByteSize::mib(1),
        /// The system's own buffer for one connection, behind `pitaya.limits.outbox`: what it takes counts as sent, so a
        /// client that stops reading is noticed when this is full. `0` leaves the size to the system, which takes
        /// megabytes.
        #[go = "leaves it to the system."]
        sendbuffer: ByteSize = ByteSize::kib(256),
        /// Bytes that this process may hold for all its clients: packets that have not come whole, messages that wait, and what
        /// clients have not taken. `0` stands for a quarter of the memory this process may use (its control group's limit, or
        /// the machine's). When there are more, the sessions with the most bytes, held for the longest time, are closed. A
        /// session that holds less than 1 KiB is not counted.
        #[go = "unlimited."]
        buffers: ByteSize = ByteSize::new(0),
        /// Messages of one session in work or waiting. When so many are there, its connection is not read.
        #[go = "has queues of 20 for all sessions together."]
        inflight: usize = 64,
        /// Calls of other servers in work. A call beyond is refused at once with PIT-503.
        #[go = "works on 30 and lets 75 wait."]
        calls: usize = 4096,
        /// Clients' messages that other servers forwarded here, in work or waiting. One beyond is refused at once with
        /// PIT-503.
        #[go = "works on 30 and lets 75 wait; the rest is dropped without an answer."]
        forwarded: usize = 65_536,
        /// Messages that one session may send, such as `50/s`; empty is off. A request beyond is answered with PIT-429 and
        /// not run, a notify is dropped and counted.
        #[go = "unlimited."]
        messages: Option<Rate> = None,
        /// Messages that one session may send to one route, such as `5/s`, by route; of other server types too. What is
        /// beyond ends as with `pitaya.limits.messages`.
        #[go = "unlimited."]
        routes: BTreeMap<String, Rate> = BTreeMap::new(),
        forwarding: ForwardingLimits,
        handshake: HandshakeLimits,
        packet: PacketLimits,
        inflate: InflateLimits,
        connections: ConnectionLimits,
        accept: AcceptLimits,
        handler: HandlerLimits,
        shutdown: ShutdownLimits,
    }
}

section! {
    /// `pitaya.limits.forwarding`: clients' messages on their way to other servers, by their length.
    "pitaya.limits.forwarding" ForwardingLimits {
        /// Bytes that forwarded messages may hold here while they wait or run; `0` stands for an eighth of the memory this
        /// process may use (its control group's limit, or the machine's). What comes beyond is refused with PIT-503. The
        /// fuller it is, the less one session, route or frontend may add.
        #[go = "counts messages only."]
        bytes: ByteSize = ByteSize::new(0),
        /// A frontend forwards a body longer than this only when nothing else of its session is in flight.
        #[go = "forwards one message of a session at a time."]
        large: ByteSize = ByteSize::kib(16),
    }
}

section! {
    /// `pitaya.limits.handshake`: until a client is known.
    "pitaya.limits.handshake" HandshakeLimits {
        /// Time from accept to the client's acknowledgement of the handshake, TLS and WebSocket upgrade included.
        #[go = "has no such limit: a silent connection is closed by the heartbeat, after 60 to 90 seconds."]
        timeout: Duration = secs(10),
        /// Length of the client's handshake document. Must fit `pitaya.limits.packet.initial`.
        #[go = "takes what fits a packet, 16 MiB."]
        size: ByteSize = ByteSize::kib(16),
    }
}

section! {
    /// `pitaya.limits.packet`: the length that a packet's header may announce, at most 16 MiB - 1, and the time it may take.
    "pitaya.limits.packet" PacketLimits {
        /// Length of a packet before the client has acknowledged the handshake.
        #[go = "16 MiB over TCP, unlimited over WebSocket."]
        initial: ByteSize = ByteSize::kib(64),
        /// Length of a packet after that.
        #[go = "16 MiB over TCP, unlimited over WebSocket."]
        size: ByteSize = ByteSize::mib(1),
        /// Time that a packet may take from its first byte to its last, besides its length over `pitaya.limits.packet.rate`;
        /// `0` is off. A client that is slower is closed. Before the handshake is acknowledged,
        /// `pitaya.limits.handshake.timeout` holds.
        #[go = "unlimited."]
        timeout: Duration = secs(30),
        /// Bytes a second at which a packet has to come, once `pitaya.limits.packet.timeout` is over; `0` switches both off.
        #[go = "unlimited."]
        rate: ByteSize = ByteSize::kib(4),
    }
}

section! {
    /// `pitaya.limits.inflate`: what a compressed message may become.
    "pitaya.limits.inflate" InflateLimits {
        /// Length of the inflated body of a message; `0` stands for `pitaya.limits.packet.size`.
        #[go = "unlimited: a small packet can fill the memory."]
        size: ByteSize = ByteSize::mib(1),
        /// How many times longer the inflated body may be than what was sent, once it is above 64 KiB.
        #[go = "unlimited."]
        ratio: u32 = 100,
    }
}

section! {
    /// `pitaya.limits.connections`: how many connections may be open.
    "pitaya.limits.connections" ConnectionLimits {
        /// Connections of this process; `0` stands for 80 % of the file descriptors it may open.
        #[go = "unlimited."]
        total: usize = 0,
        /// Connections from one address (IPv6: one /64); `0` is off. Players behind one router share an address.
        #[go = "unlimited."]
        peraddress: usize = 0,
    }
}

section! {
    /// `pitaya.limits.accept`: how fast connections may come.
    "pitaya.limits.accept" AcceptLimits {
        /// New connections a second; `0` is off.
        #[go = "unlimited."]
        rate: u32 = 0,
        /// How many new connections may come at once before the rate holds; `0` stands for one second's worth.
        burst: u32 = 0,
    }
}

section! {
    /// `pitaya.limits.handler`: how long a handler may take.
    "pitaya.limits.handler" HandlerLimits {
        /// Time a handler may take before a warning names its route; `0` is off.
        #[go = "unlimited."]
        soft: Duration = secs(30),
        /// Time after which a handler's call is given up and answered with PIT-408; `0` is off.
        #[go = "unlimited."]
        hard: Duration = Duration::ZERO,
    }
}

section! {
    /// `pitaya.limits.shutdown`: how long stopping may take.
    "pitaya.limits.shutdown" ShutdownLimits {
        /// Time for finishing calls in work and sending what waits, after the drain; then connections are closed.
        #[go = "waits for remote requests only, without a limit."]
        timeout: Duration = secs(10),
    }
}
