//! Authentication between servers: each message is signed where it is handed to the library, and verified where it is taken.
//!
//! One code a message of the broker, so one a bundle. It covers the bytes, the subject, the reply subject, the connection
//! and the number of the message, so that nothing can be changed, sent elsewhere or sent again. The secret is shared: a
//! server that knows a key is trusted to be any of them.
//!
//! Unsigned messages are answered unsigned, always: a peer that chooses both the words and the address must not get the
//! signature of this server for them.

mod keys;
mod peers;
mod refusal;
mod seen;

pub(crate) use keys::Keyring;
pub(super) use keys::Source;
pub(super) use peers::Peers;
pub(super) use refusal::Refused;

use crate::config::Authentication;
use crate::quota::Quota;
use arc_swap::ArcSwapOption;
use async_nats::Message;
use async_nats::message::OutboundMessage;
use parking_lot::Mutex;
use pitaya_core::cluster::ServerInfo;
use pitaya_core::cluster::seal::{self, CODE, Purpose, Seal};
use pitaya_core::cluster::server::SIGNED;
use pitaya_core::{Error, Result};
use ring::hmac;
use seen::Seen;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use subtle::ConstantTimeEq;

/// The section of the keys, for texts.
const SECTION: &str = "pitaya.cluster.rpc.authentication";
/// Requests and publications that were sent before this server started are not taken, so that what an earlier process took is not
/// taken again. By this much clocks may differ. Answers come by subjects of this process alone, and need no such bound.
const BEFORE: Duration = Duration::from_secs(1);

/// Subscription that a message came by. Numbers are remembered for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Lane,
    Calls,
    Singles,
    /// Bundles of answers.
    Returns,
    /// Answers that come alone: what comes again finds nobody who waits.
    Answers,
    Bindings,
    Users,
}

impl Stream {
    const ALL: usize = 7;

    /// How many numbers of a connection are remembered, by stream: none of answers that come alone, each by a subject of its
    /// own, and more of what comes by many subscriptions. As many wait at most for one of them to be taken.
    const WINDOWS: [u64; Self::ALL] = [8192, 8192, 8192, 8192, 64, 8192, 65_536];

    fn purpose(self) -> Purpose {
        match self {
            Self::Lane | Self::Calls | Self::Singles => Purpose::Request,
            Self::Returns | Self::Answers => Purpose::Answer,
            Self::Bindings | Self::Users => Purpose::Publication,
        }
    }
}

/// Sender that an unsigned message claims.
#[derive(Debug, Default)]
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) kind: String,
    /// Only a frontend has reason to send it.
    pub(super) frontend: bool,
}

/// The keys of this server, and what it takes.
pub(super) struct Guard {
    source: Source,
    keys: ArcSwapOption<Keyring>,
    written: Mutex<Option<SystemTime>>,
    /// Types of servers that need not sign.
    unsigned: Vec<String>,
    /// In microseconds.
    tolerance: u64,
    /// When this server started, in microseconds since 1970.
    started: AtomicU64,
    seen: [Mutex<Seen>; Stream::ALL],
    quotas: [Quota; Refused::ALL],
}

/// Numbers what one connection sends.
pub(super) struct Sealer {
    connection: [u8; 16],
    number: u64,
}

impl Default for Sealer {
    fn default() -> Self {
        Self { connection: *uuid::Uuid::new_v4().as_bytes(), number: 0 }
    }
}

impl Guard {
    /// The guard that these settings ask for; none without keys.
    pub(super) fn new(section: &Authentication) -> Option<Self> {
        section.is_set().then(|| Self {
            source: Source::new(section),
            keys: ArcSwapOption::empty(),
            written: Mutex::default(),
            unsigned: section.unsigned.clone(),
            tolerance: micros(section.tolerance),
            started: AtomicU64::new(0),
            seen: std::array::from_fn(|stream| Mutex::new(Seen::new(Stream::WINDOWS[stream]))),
            quotas: std::array::from_fn(|_| Quota::default()),
        })
    }

    /// Reads the keys for the first time, and remembers when this was.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(super) fn start(&self) -> Result<()> {
        self.reload(true)?;
        self.started.store(now().saturating_sub(micros(BEFORE)), Relaxed);
        Ok(())
    }

    /// Whether the keys are in a file.
    pub(super) fn has_file(&self) -> bool {
        !self.source.file.is_empty()
    }

    /// Reads the keys, if their file has changed or `always`. Returns whether they were read.
    ///
    /// # Errors
    /// When they cannot be used: those from before stay in force.
    pub(super) fn reload(&self, always: bool) -> Result<bool> {
        let mut written = self.written.lock();
        let now = self.source.written();
        if !always && now == *written {
            return Ok(false);
        }
        let keys = self.source.read()?;
        *written = now;
        tracing::info!(keys = keys.to_string(), "messages between servers are signed: the first of these keys signs");
        self.keys.store(Some(keys.into()));
        Ok(true)
    }

    /// Signs a message that is about to be sent.
    pub(super) fn sign(&self, sealer: &mut Sealer, purpose: Purpose, message: &mut OutboundMessage) {
        let keys = self.keys.load();
        // Keys are read before anything is sent.
        let Some((name, key)) = keys.as_ref().and_then(|keys| keys.signing()) else { return };
        sealer.number += 1;
        let seal = Seal { connection: sealer.connection, number: sealer.number, sent: now(), key: name };
        let reply = message.reply.as_deref().unwrap_or_default();
        let code = code(key, &seal, purpose, &message.subject, reply, &message.payload);
        let field = seal.field(code.as_ref().first_chunk().unwrap_or(&[0; CODE]));
        // Mostly in place: a bundle was made with room for more.
        let mut payload = std::mem::take(&mut message.payload).try_into_mut().unwrap_or_else(|shared| {
            let mut copy = bytes::BytesMut::with_capacity(shared.len() + seal::LEN);
            copy.extend_from_slice(&shared);
            copy
        });
        payload.extend_from_slice(&field);
        message.payload = payload.freeze();
    }

    /// Verifies a message and takes its seal off.
    ///
    /// # Errors
    /// Why it must not be taken as a server's.
    pub(super) fn open(&self, stream: Stream, message: &mut Message) -> Result<(), Refused> {
        let Some((body, seal, told)) = Seal::split(&message.payload) else { return Err(Refused::Unsigned) };
        let keys = self.keys.load();
        let mut named = keys.iter().flat_map(|keys| keys.named(seal.key)).peekable();
        if named.peek().is_none() {
            return Err(Refused::UnknownKey);
        }
        let reply = message.reply.as_deref().unwrap_or_default();
        let is_right = named.any(|key| {
            let right = code(key, &seal, stream.purpose(), &message.subject, reply, body);
            right.as_ref().ct_eq(told).into()
        });
        if !is_right {
            return Err(Refused::Forged);
        }
        let now = now();
        let started = if stream.purpose() == Purpose::Answer { 0 } else { self.started.load(Relaxed) };
        let oldest = now.saturating_sub(self.tolerance).max(started);
        if seal.sent < oldest || seal.sent > now.saturating_add(self.tolerance) {
            return Err(Refused::Untimely);
        }
        let seen = &self.seen[stream as usize];
        if stream != Stream::Answers && !seen.lock().admit(seal.connection, seal.number, seal.sent, oldest) {
            return Err(Refused::Replayed);
        }
        let length = body.len();
        message.payload.truncate(length);
        Ok(())
    }

    /// Whether this server need not sign: its type is listed, and its record does not say that it does.
    pub(super) fn excuses(&self, server: &ServerInfo) -> bool {
        let is_listed = self.unsigned.iter().any(|kind| kind == "*" || **kind == *server.kind);
        is_listed && !server.speaks(SIGNED)
    }

    /// Whether any server need not sign.
    pub(super) fn excuses_any(&self) -> bool {
        !self.unsigned.is_empty()
    }

    /// Whether what this server sends will be taken.
    ///
    /// # Errors
    /// When it does not sign and is not excused: its answers would be refused, so that it is not asked.
    pub(super) fn trusts(&self, server: &ServerInfo) -> Result<()> {
        if server.speaks(SIGNED) || self.excuses(server) {
            return Ok(());
        }
        let text = format!(
            "the server does not sign its messages: nothing was sent. Set {SECTION}.file or .keys there, or name its type \
             in {SECTION}.unsigned here"
        );
        let error = Error::new(pitaya_core::codes::UNAUTHENTICATED, text);
        Err(error.with("server", &*server.id).with("type", &*server.kind))
    }

    /// Says in the log that a message was refused, at most once a second for each reason.
    #[cold]
    pub(super) fn log(&self, refused: Refused, subject: &str, claim: Option<&Claim>) {
        let Some(left_out) = self.quotas[refused as usize].admit() else { return };
        let claim = claim.filter(|claim| super::subjects::fits(&claim.id) && super::subjects::fits(&claim.kind));
        let (server, kind) = claim.map_or(("", ""), |claim| (&claim.id, &claim.kind));
        tracing::warn!(subject, server, kind, left_out, "message of another server refused: {}", refused.text());
    }
}

/// The code of a message with this seal.
fn code(key: &hmac::Key, seal: &Seal, purpose: Purpose, subject: &str, reply: &str, body: &[u8]) -> hmac::Tag {
    let mut code = hmac::Context::with_key(key);
    seal.covered(purpose, subject, reply, body, |part| code.update(part));
    code.sign()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The time in microseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    /// Computed by another implementation: Python's `hmac` over the bytes that `docs/lane.md` describes.
    #[test]
    fn a_seal_has_these_bytes() {
        let keys = Keyring::parse(KEY).expect("one key");
        let (name, key) = keys.signing().expect("one key");
        let connection = std::array::from_fn(|place| place as u8);
        let seal = Seal { connection, number: 7, sent: 1_700_000_000_000_000, key: name };
        let (subject, reply) = ("pitaya/servers/room/r1.lane", "pitaya/servers/connector/c1.t.0.1");
        let code = code(key, &seal, Purpose::Request, subject, reply, b"\x0a\x02\x0a\x00");
        let field = seal.field(code.as_ref().first_chunk().expect("32 bytes"));
        let hex: String = field.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "8a3f44000102030405060708090a0b0c0d0e0f070000000000000000401e18240a0600\
             c67c330e0e3d245d1d6ed70496c8ab01ec2c7e9b\
             a0905f22e5dfa5970f10f4bb4f9b847d"
        );
    }

    fn guard(tolerance: Duration) -> Guard {
        let mut section = Authentication::default();
        (section.keys, section.tolerance) = (crate::config::Secret::new(KEY), tolerance);
        let guard = Guard::new(&section).expect("there is a key");
        guard.start().expect("a good key");
        guard
    }

    fn message(payload: &[u8]) -> OutboundMessage {
        let (subject, payload) = ("a".into(), bytes::Bytes::copy_from_slice(payload));
        OutboundMessage { subject, reply: Some("b".into()), payload, headers: None }
    }

    fn arrived(sent: OutboundMessage) -> Message {
        let OutboundMessage { subject, reply, payload, headers } = sent;
        let length = payload.len();
        Message { subject, reply, payload, headers, status: None, description: None, length }
    }

    fn sealed(guard: &Guard, sealer: &mut Sealer, purpose: Purpose) -> Message {
        let mut sent = message(b"body");
        guard.sign(sealer, purpose, &mut sent);
        arrived(sent)
    }

    #[test]
    fn a_message_is_taken_once_and_for_what_it_was_signed() {
        let (guard, mut sealer) = (guard(Duration::from_secs(60)), Sealer::default());
        let mut right = sealed(&guard, &mut sealer, Purpose::Request);
        let again = right.clone();
        assert_eq!(guard.open(Stream::Lane, &mut right), Ok(()));
        assert_eq!(&right.payload[..], b"body");
        assert_eq!(guard.open(Stream::Lane, &mut again.clone()), Err(Refused::Replayed));
        assert_eq!(guard.open(Stream::Returns, &mut again.clone()), Err(Refused::Forged), "no answer");
        assert_eq!(guard.open(Stream::Users, &mut again.clone()), Err(Refused::Forged), "nor published");
        assert_eq!(guard.open(Stream::Lane, &mut right), Err(Refused::Unsigned));
        for change in 0..again.payload.len() {
            let mut other = sealed(&guard, &mut sealer, Purpose::Request);
            let mut payload = other.payload.to_vec();
            payload[change] ^= 1;
            other.payload = payload.into();
            assert!(guard.open(Stream::Lane, &mut other).is_err(), "byte {change}");
        }
        let mut elsewhere = sealed(&guard, &mut sealer, Purpose::Request);
        elsewhere.reply = None;
        assert_eq!(guard.open(Stream::Lane, &mut elsewhere), Err(Refused::Forged));
    }

    #[test]
    fn a_message_of_another_time_is_refused() {
        let guard = guard(Duration::from_secs(60));
        let keys = Keyring::parse(KEY).expect("one key");
        let (name, key) = keys.signing().expect("one key");
        let by = |stream: Stream, sent, number| {
            let seal = Seal { connection: [1; 16], number, sent, key: name };
            let mut message = message(b"body");
            let code = code(key, &seal, stream.purpose(), "a", "b", b"body");
            let field = seal.field(code.as_ref().first_chunk().expect("32 bytes"));
            message.payload = [&b"body"[..], &field].concat().into();
            guard.open(stream, &mut arrived(message))
        };
        let of = |sent, number| by(Stream::Lane, sent, number);
        let (now, minute) = (now(), 60_000_000);
        assert_eq!(of(now, 1), Ok(()));
        assert_eq!(of(now + minute - 1_000_000, 2), Ok(()), "a clock ahead, within the tolerance");
        assert_eq!(of(now + 2 * minute, 3), Err(Refused::Untimely));
        assert_eq!(of(now - 2 * minute, 4), Err(Refused::Untimely));
        assert_eq!(of(now - 5_000_000, 5), Err(Refused::Untimely), "from before the start of this server");
        for (stream, number) in [(Stream::Returns, 6), (Stream::Answers, 7)] {
            assert_eq!(by(stream, now - 30_000_000, number), Ok(()), "an answer of a server whose clock is behind");
        }
    }
}
