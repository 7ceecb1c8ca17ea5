//! Go's rate limit for connections.

use super::{Gate, Verdict, Wrapper};
use crate::config::Config;
use pitaya_core::wire::{Packet, PacketKind};
use pitaya_core::{Error, codes};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Lets a connection send `pitaya.conn.ratelimiting.limit` messages in any `pitaya.conn.ratelimiting.interval`, and drops
/// what is beyond: Go's `RateLimitingWrapper`. With `pitaya.conn.ratelimiting.answer` a request beyond is answered with
/// PIT-429; the client of one that is dropped waits for its own time-out.
///
/// Messages count, and what is dropped does not. Handshakes and heartbeats, which Go counts and drops as well, pass.
///
/// ```
/// use pitaya_runtime::accept::{Acceptor, RateLimit};
/// use pitaya_runtime::prelude::*;
///
/// let acceptor = WebSocket::bind("127.0.0.1:0").wrap(RateLimit::default());
/// # let _ = acceptor;
/// ```
#[derive(Debug, Clone, Default)]
pub struct RateLimit(Option<Terms>);

/// Of one app, as its config says.
#[derive(Debug, Clone, Copy)]
struct Terms {
    limit: usize,
    interval: Duration,
    answer: bool,
}

impl Wrapper for RateLimit {
    type Gate = Window;

    fn prepare(&mut self, config: &Config) -> Result<(), String> {
        let terms = &config.conn.ratelimiting;
        self.0 = (!terms.forcedisable).then_some(Terms {
            limit: terms.limit as usize,
            interval: terms.interval,
            answer: terms.answer,
        });
        Ok(())
    }

    fn gate(&self, _: SocketAddr) -> Window {
        Window { terms: self.0, passed: VecDeque::new() }
    }
}

/// When the last messages of one connection passed: as many as the limit.
#[derive(Debug)]
pub struct Window {
    terms: Option<Terms>,
    passed: VecDeque<Instant>,
}

impl Gate for Window {
    fn packet(&mut self, packet: &Packet<'_>, now: Instant) -> Verdict {
        let Some(terms) = self.terms.filter(|_| packet.kind == PacketKind::Data) else { return Verdict::Pass };
        if self.passed.len() >= terms.limit {
            let oldest = self.passed.front().copied().unwrap_or(now);
            if now.saturating_duration_since(oldest) < terms.interval {
                return if terms.answer { Verdict::Answer(too_many()) } else { Verdict::Drop };
            }
            self.passed.pop_front();
        }
        self.passed.push_back(now);
        Verdict::Pass
    }
}

/// What a client gets that sends too much.
pub(crate) fn too_many() -> Error {
    Error::new(codes::TOO_MANY, "too many messages")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: Packet<'static> = Packet { kind: PacketKind::Data, body: &[] };

    fn window(change: impl FnOnce(&mut Config)) -> Window {
        let mut config = Config::default();
        change(&mut config);
        let mut wrapper = RateLimit::default();
        wrapper.prepare(&config).unwrap();
        wrapper.gate("127.0.0.1:1".parse().unwrap())
    }

    /// What becomes of messages at these milliseconds.
    fn at(window: &mut Window, times: &[u64]) -> Vec<bool> {
        let start = Instant::now();
        let passes = |at: &u64| window.packet(&DATA, start + Duration::from_millis(*at)) == Verdict::Pass;
        times.iter().map(passes).collect()
    }

    /// Go's own test of it: one in a second, at 0.2, 0.5 and 1.3 seconds.
    #[test]
    fn one_in_a_second() {
        let mut window = window(|config| config.conn.ratelimiting.limit = 1);
        assert_eq!(at(&mut window, &[200, 500, 1_300]), [true, false, true]);
    }

    #[test]
    fn the_window_slides_and_what_is_dropped_does_not_count() {
        let mut window = window(|config| config.conn.ratelimiting.limit = 3);
        let times = [0, 100, 900, 950, 999, 1_000, 1_001, 1_100, 1_899, 1_900];
        assert_eq!(at(&mut window, &times), [true, true, true, false, false, true, false, true, false, true]);
    }

    #[test]
    fn twenty_in_a_second_unless_it_is_disabled() {
        let passed = |window: &mut Window| at(window, &[0; 100]).iter().filter(|passed| **passed).count();
        assert_eq!(passed(&mut window(|_| {})), 20);
        assert_eq!(passed(&mut window(|config| config.conn.ratelimiting.forcedisable = true)), 100);
    }

    #[test]
    fn only_messages_count_and_an_answer_has_a_code() {
        let mut window = window(|config| {
            config.conn.ratelimiting.limit = 1;
            config.conn.ratelimiting.answer = true;
        });
        let now = Instant::now();
        for kind in [PacketKind::Handshake, PacketKind::HandshakeAck, PacketKind::Heartbeat, PacketKind::Heartbeat] {
            assert_eq!(window.packet(&Packet { kind, body: &[] }, now), Verdict::Pass);
        }
        assert_eq!(window.packet(&DATA, now), Verdict::Pass);
        let Verdict::Answer(error) = window.packet(&DATA, now) else { panic!("it is answered") };
        assert_eq!(error.code(), "PIT-429");
        assert_eq!(window.packet(&Packet { kind: PacketKind::Heartbeat, body: &[] }, now), Verdict::Pass);
    }
}
