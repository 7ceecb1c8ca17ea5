//! Bundles of calls from servers of ours, and the way back to each of them.

use super::arrivals::refuse_all;
use super::counters::count;
use super::front::Front;
use super::hub::{Hub, Reply};
use super::incoming::{LONGEST, Takes, peer, stopping};
use super::seal::{Claim, Refused, Stream};
use super::subjects;
use async_nats::Message;
use bytes::Bytes;
use pitaya_core::cluster::lane::{self, CallPart, LaneCall, Malformed};
use pitaya_core::cluster::{Back, Caller, ReceivedCall, metadata};
use pitaya_core::maps::KeyedMap;
use pitaya_core::remote::{Metadata, Peer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So many servers are remembered. One that was forgotten is read again with its next bundle.
const REMEMBERED: usize = 4096;
/// About as many bytes has a call: the list of those in a bundle is made for as many as there may be.
const USUAL: usize = 160;

/// The servers that called, by the subject of their way back.
pub(super) struct Called {
    hub: Arc<Hub>,
    known: KeyedMap<Box<str>, Known>,
    /// Numbers the ways back.
    ways: Arc<AtomicU64>,
}

struct Known {
    /// What it writes before all its calls.
    sender: Bytes,
    caller: Arc<Caller>,
    back: Arc<Front>,
    /// Whether what it sends is signed.
    signed: bool,
}

/// Sender that a bundle names, with its metadata.
fn from(sender: &[u8]) -> Option<(Peer, Metadata)> {
    let metadata = metadata::decode(lane::sender_metadata(sender).ok()?).ok()?;
    Some((peer(&metadata)?, metadata))
}

impl Called {
    pub(super) fn new(hub: Arc<Hub>, ways: Arc<AtomicU64>) -> Self {
        Self { hub, known: KeyedMap::default(), ways }
    }

    fn read(&mut self, message: &Message, signed: bool) -> Result<(), Malformed> {
        if message.payload.is_empty() {
            return Ok(());
        }
        // The part behind the last `.` is for the broker, when nobody takes the bundle.
        let (way, _) = message.reply.as_ref().and_then(|reply| reply.rsplit_once('.')).ok_or(Malformed)?;
        let mut parts = lane::call_parts(&message.payload);
        let Some(Ok(CallPart::Sender(sender))) = parts.next() else { return Err(Malformed) };
        if self.known.get(way).is_none_or(|known| known.sender != sender) {
            self.meet(way, sender, signed).ok_or(Malformed)?;
        }
        let known = self.known.get(way).filter(|known| known.signed == signed).ok_or(Malformed)?;
        let (closed, now) = (self.hub.closed.is_cancelled(), Instant::now());
        let mut calls = Vec::with_capacity(message.payload.len() / USUAL);
        // What came before something that cannot be read runs all the same.
        let mut outcome = Ok(());
        for part in parts {
            let call = match part {
                Ok(CallPart::Envelope(envelope)) => LaneCall::read(envelope),
                Ok(CallPart::Sender(_)) | Err(Malformed) => Err(Malformed),
            };
            match call {
                Ok(call) if closed => known.back.answer(call.number.0, Err(&stopping())),
                Ok(call) => calls.extend(known.call(&message.payload, &call, now)),
                Err(malformed) => outcome = Err(malformed),
            }
        }
        if !calls.is_empty() {
            self.hub.own().ok_or(Malformed)?.callee.calls(calls, known.back.clone());
        }
        outcome
    }

    /// The first call of a server. It is believed to be its own only if its way back is below its own name.
    fn meet(&mut self, way: &str, sender: &[u8], signed: bool) -> Option<()> {
        let (peer, metadata) = from(sender)?;
        way.strip_prefix(&*subjects::server(&peer.kind, &peer.id))?.strip_prefix('.')?;
        let number = self.ways.fetch_add(1, Relaxed);
        let back = Arc::new(Front::new(self.hub.clone(), number, Reply { to: way.into(), signed }));
        let caller = Arc::new(Caller::new(Some(peer), metadata));
        let known = Known { sender: Bytes::copy_from_slice(sender), caller, back, signed };
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(way.into(), known);
        Some(())
    }
}

impl Takes for Called {
    const STREAM: Stream = Stream::Calls;

    fn take(&mut self, message: Message, signed: bool) {
        if self.read(&message, signed).is_err() {
            count(&self.hub.counters.malformed);
        }
    }

    fn is_probe(&self, message: &Message) -> bool {
        message.payload.is_empty()
    }

    fn claim(&self, message: &Message) -> Option<Claim> {
        let Some(Ok(CallPart::Sender(sender))) = lane::call_parts(&message.payload).next() else { return None };
        let (Peer { id, kind }, _) = from(sender)?;
        Some(Claim { id: id.to_string(), kind: kind.to_string(), frontend: false })
    }

    fn refuse(&mut self, message: &Message, refused: Refused) {
        let numbers = lane::call_parts(&message.payload).filter_map(|part| match part {
            Ok(CallPart::Envelope(envelope)) => Some(LaneCall::read(envelope).ok()?.number),
            _ => None,
        });
        refuse_all(&self.hub, message, numbers, refused);
    }
}

impl Known {
    fn call(&self, bundle: &Bytes, read: &LaneCall<'_>, now: Instant) -> Option<ReceivedCall> {
        let deadline = now + Duration::from_micros(read.micros).min(LONGEST);
        let with;
        let from = if read.own.is_empty() {
            &self.caller
        } else {
            with = self.with(read.own);
            &with
        };
        ReceivedCall::new(bundle, read.route, read.body, from, deadline, read.number.0)
    }

    /// With what one call brings besides. What cannot be read is left out: the call runs all the same.
    #[cold]
    fn with(&self, own: &[u8]) -> Arc<Caller> {
        let mut all = Metadata::clone(&self.caller.metadata);
        all.extend(metadata::decode(own).unwrap_or_default());
        Arc::new(Caller::new(self.caller.peer.clone(), all))
    }
}
