//! What the handling of messages reads of the config, flat.

use crate::config::{Config, Drain, Messages};
use crate::memory;
use pitaya_core::wire::HandshakeData;
use std::time::Duration;

/// Entry of `pitaya.handler.messages.compressionclients` that stands for every client.
const ALWAYS: &str = "always";

/// Which clients get compressed bodies.
#[derive(Debug, Clone)]
pub(crate) enum Compress {
    Never,
    /// Those that are known to inflate, and those of these types.
    Known(Vec<String>),
    Always,
}

impl Compress {
    /// Whether the client that introduced itself like this gets them.
    pub(crate) fn suits(&self, client: &HandshakeData) -> bool {
        match self {
            Self::Never => false,
            // Whoever says that it cannot inflate would break.
            _ if client.sys.inflate == Some(false) => false,
            Self::Known(types) => client.inflates() || types.contains(&client.sys.client_type),
            Self::Always => true,
        }
    }
}

impl From<&Messages> for Compress {
    fn from(messages: &Messages) -> Self {
        match &messages.compressionclients {
            _ if !messages.compression => Self::Never,
            clients if clients.iter().any(|client| client == ALWAYS) => Self::Always,
            clients => Self::Known(clients.iter().filter(|client| !client.is_empty()).cloned().collect()),
        }
    }
}

/// The part of the config that is read for messages.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) heartbeat: Duration,
    pub(crate) compress: Compress,
    pub(crate) handshake_timeout: Duration,
    pub(crate) handshake_size: usize,
    pub(crate) packet_initial: usize,
    pub(crate) packet: usize,
    /// How long a packet may take that has begun, besides its size over `packet_rate`; 0 for ever.
    packet_timeout: Duration,
    /// Bytes a second.
    packet_rate: usize,
    /// Bytes that may be held for all clients.
    pub(crate) buffers: usize,
    pub(crate) inflate: usize,
    pub(crate) inflate_ratio: usize,
    pub(crate) outbox: usize,
    pub(crate) invisible_uids: bool,
    pub(crate) write_timeout: Duration,
    pub(crate) inflight: usize,
    pub(crate) forwarded: usize,
    /// Bytes that forwarded messages may hold.
    pub(crate) forwarded_bytes: usize,
    /// Length from which a body is forwarded only when nothing else of its session is in flight.
    pub(crate) large_forward: usize,
    pub(crate) calls: usize,
    pub(crate) handler_soft: Option<Duration>,
    pub(crate) handler_hard: Option<Duration>,
    pub(crate) shutdown: Duration,
    /// How long others take to learn that this server has left.
    pub(crate) leave: Duration,
    pub(crate) drain: Drain,
}

impl Settings {
    /// How long a packet of this length may take from its first byte to its last. `None` where there is no limit.
    pub(crate) fn packet_time(&self, length: usize) -> Option<Duration> {
        let limited = !self.packet_timeout.is_zero() && self.packet_rate > 0;
        let transfer = || Duration::try_from_secs_f64(length as f64 / self.packet_rate as f64);
        limited.then(|| self.packet_timeout.saturating_add(transfer().unwrap_or(Duration::MAX)))
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let limits = &config.limits;
        let packet = limits.packet.size.bytes();
        let inflate = limits.inflate.size.bytes();
        let on = |limit: std::time::Duration| (!limit.is_zero()).then_some(limit);
        Self {
            heartbeat: config.heartbeat.interval,
            compress: Compress::from(&config.handler.messages),
            handshake_timeout: limits.handshake.timeout,
            handshake_size: limits.handshake.size.bytes(),
            packet_initial: limits.packet.initial.bytes(),
            packet,
            packet_timeout: limits.packet.timeout,
            packet_rate: limits.packet.rate.bytes(),
            buffers: match limits.buffers.bytes() {
                // Where the system does not tell its memory, as much as a quarter of 8 GiB.
                0 => memory::limit().map_or(2 << 30, |limit| limit / 4),
                bytes => bytes,
            },
            inflate: if inflate == 0 { packet } else { inflate },
            inflate_ratio: limits.inflate.ratio as usize,
            outbox: limits.outbox.bytes(),
            write_timeout: config.buffer.agent.conntimeout,
            invisible_uids: config.session.bind.invisible,
            inflight: limits.inflight,
            forwarded: limits.forwarded,
            forwarded_bytes: match limits.forwarding.bytes.bytes() {
                // Where the system does not tell its memory, as much as an eighth of 8 GiB.
                0 => memory::limit().map_or(1 << 30, |limit| limit / 8),
                bytes => bytes,
            },
            large_forward: limits.forwarding.large.bytes(),
            calls: limits.calls,
            handler_soft: on(limits.handler.soft),
            handler_hard: on(limits.handler.hard),
            shutdown: limits.shutdown.timeout,
            leave: config.cluster.sd.etcd.shutdown.delay,
            drain: config.session.drain.clone(),
        }
    }
}

/// The limit on connections: without one, 80 % of the files the process may open, so that it can still do its work
/// when the sockets are all taken.
pub(crate) fn connections(configured: usize) -> usize {
    if configured > 0 {
        return configured;
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse::<usize>().ok());
    // Elsewhere than on Linux, or without a limit: none of ours either.
    soft.map_or(0, |soft| soft / 5 * 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ByteSize;

    #[test]
    fn a_packet_has_its_time_and_that_of_its_bytes() {
        let mut config = Config::default();
        let time = |config: &Config, length| Settings::from(config).packet_time(length);
        assert_eq!(time(&config, 0), Some(Duration::from_secs(30)));
        assert_eq!(time(&config, 1 << 20), Some(Duration::from_secs(286)));
        config.limits.packet.rate = ByteSize::new(0);
        assert_eq!(time(&config, 1 << 20), None);
        config = Config::default();
        config.limits.packet.timeout = Duration::ZERO;
        assert_eq!(time(&config, 1 << 20), None);
    }

    #[test]
    fn a_client_that_says_it_cannot_inflate_gets_plain_bodies() {
        let client =
            |sys: &str| HandshakeData::parse(format!(r#"{{"sys":{sys}}}"#).as_bytes(), &<_>::default()).unwrap();
        let all = [Compress::Never, Compress::Known(vec!["mine".to_owned()]), Compress::Always];
        for (sys, suits) in [
            (r#"{"type":"mine","libVersion":"1","inflate":false}"#, [false, false, false]),
            (r#"{"type":"mine"}"#, [false, true, true]),
            (r#"{"type":5,"libVersion":"1"}"#, [false, false, true]),
        ] {
            assert_eq!(all.each_ref().map(|compress| compress.suits(&client(sys))), suits, "{sys}");
        }
    }
}
