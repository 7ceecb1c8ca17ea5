//! Bundles of calls from servers of ours, and the way back to each of them.

use super::counters::count;
use super::front::Front;
use super::hub::Hub;
use super::incoming::{LONGEST, caller, stopping};
use super::subjects;
use async_nats::{Message, Subject};
use bytes::Bytes;
use pitaya_core::cluster::lane::{self, CallPart, LaneCall, Malformed};
use pitaya_core::cluster::{Back, IncomingCall, metadata};
use pitaya_core::remote::{Metadata, Peer};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So many servers are remembered. One that was forgotten is read again with its next bundle.
const REMEMBERED: usize = 4096;
/// Bytes are held, not copied, when they are at least this part of what they came in: what waits holds four times as much
/// at most.
const PART: usize = 4;

/// The servers that called, by the subject of their way back.
pub(super) struct Called {
    hub: Arc<Hub>,
    known: FxHashMap<Box<str>, Known>,
    /// Numbers the ways back.
    ways: Arc<AtomicU64>,
}

struct Known {
    /// What it writes before all its calls.
    sender: Bytes,
    peer: Peer,
    metadata: Arc<Metadata>,
    back: Arc<Front>,
}

impl Called {
    pub(super) fn new(hub: Arc<Hub>, ways: Arc<AtomicU64>) -> Self {
        Self { hub, known: FxHashMap::default(), ways }
    }

    pub(super) fn take(&mut self, message: &Message) {
        if self.read(message).is_err() {
            count(&self.hub.counters.malformed);
        }
    }

    fn read(&mut self, message: &Message) -> Result<(), Malformed> {
        // The part behind the last `.` is for the broker, when nobody takes the bundle.
        let (way, _) = message.reply.as_ref().and_then(|reply| reply.rsplit_once('.')).ok_or(Malformed)?;
        let mut parts = lane::call_parts(&message.payload);
        let Some(Ok(CallPart::Sender(sender))) = parts.next() else { return Err(Malformed) };
        if self.known.get(way).is_none_or(|known| known.sender != sender) {
            self.meet(way, sender).ok_or(Malformed)?;
        }
        let known = self.known.get(way).ok_or(Malformed)?;
        let (closed, now) = (self.hub.closed.is_cancelled(), Instant::now());
        let mut calls = Vec::new();
        // What came before something that cannot be read runs all the same.
        let mut outcome = Ok(());
        for part in parts {
            let call = match part {
                Ok(CallPart::Envelope(envelope)) => LaneCall::read(envelope),
                Ok(CallPart::Sender(_)) | Err(Malformed) => Err(Malformed),
            };
            match call {
                Ok(call) if closed => known.back.answer(call.number.0, Err(&stopping())),
                Ok(call) => calls.push((call.number.0, known.call(&message.payload, &call, now))),
                Err(malformed) => outcome = Err(malformed),
            }
        }
        if !calls.is_empty() {
            self.hub.own().ok_or(Malformed)?.callee.calls(calls, known.back.clone());
        }
        outcome
    }

    /// The first call of a server. It is believed to be its own only if its way back is below its own name.
    fn meet(&mut self, way: &str, sender: &[u8]) -> Option<()> {
        let metadata = metadata::decode(lane::sender_metadata(sender).ok()?).ok()?;
        let peer = caller(&metadata)?;
        way.strip_prefix(&*subjects::server(&peer.kind, &peer.id))?.strip_prefix('.')?;
        let number = self.ways.fetch_add(1, Relaxed);
        let back = Arc::new(Front::new(self.hub.clone(), number, Subject::from(way)));
        let known = Known { sender: Bytes::copy_from_slice(sender), peer, metadata: Arc::new(metadata), back };
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(way.into(), known);
        Some(())
    }
}

impl Known {
    fn call(&self, bundle: &Bytes, read: &LaneCall<'_>, now: Instant) -> IncomingCall {
        let time = Duration::from_micros(read.micros).min(LONGEST);
        let mut call = IncomingCall::new(read.route.to_owned(), now + time);
        call.body = part_of(bundle, read.body);
        call.caller = Some(self.peer.clone());
        call.metadata = if read.own.is_empty() { self.metadata.clone() } else { self.with(read.own) };
        call
    }

    /// With what one call brings besides. What cannot be read is left out: the call runs all the same.
    #[cold]
    fn with(&self, own: &[u8]) -> Arc<Metadata> {
        let mut all = Metadata::clone(&self.metadata);
        all.extend(metadata::decode(own).unwrap_or_default());
        Arc::new(all)
    }
}

/// Bytes of a bundle that may outlive it.
pub(super) fn part_of(bundle: &Bytes, part: &[u8]) -> Bytes {
    if part.is_empty() {
        Bytes::new()
    } else if part.len() >= bundle.len() / PART {
        bundle.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}
