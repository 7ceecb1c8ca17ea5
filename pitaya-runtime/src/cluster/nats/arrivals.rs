//! Bundles of messages that frontends of ours forward, and the way back to each of them.

use super::counters::count;
use super::delay::Delay;
use super::front::Front;
use super::hub::{Hub, Reply};
use super::incoming::{LONGEST, Takes, stopping};
use super::seal::{Claim, Refused, Stream};
use super::subjects;
use async_nats::Message;
use bytes::Bytes;
use pitaya_core::cluster::lane::{self, Forwarded, Malformed, Number, Part};
use pitaya_core::cluster::{Delivery, Letter, Source, metadata};
use pitaya_core::maps::KeyedMap;
use pitaya_core::remote::{Metadata, Peer};
use pitaya_core::{Error, codes};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So many frontends are remembered. One that was forgotten is read again with its next bundle.
const REMEMBERED: usize = 4096;

/// The frontends that were heard of, by the subject of their way back.
pub(super) struct Arrivals {
    hub: Arc<Hub>,
    known: KeyedMap<Box<str>, Known>,
    /// Numbers the ways back.
    ways: Arc<AtomicU64>,
}

struct Known {
    /// Its id and metadata as it writes them, the same in all its messages.
    id: Bytes,
    json: Bytes,
    source: Arc<Source>,
    timeout: Duration,
    /// Whether what it sends is signed.
    signed: bool,
    delay: Delay,
}

impl Arrivals {
    pub(super) fn new(hub: Arc<Hub>, ways: Arc<AtomicU64>) -> Self {
        Self { hub, known: KeyedMap::default(), ways }
    }

    fn read(&mut self, message: &Message, signed: bool) -> Result<(), Malformed> {
        // The part behind the last `.` is for the broker, when nobody takes the bundle.
        let (way, _) = message.reply.as_ref().and_then(|reply| reply.rsplit_once('.')).ok_or(Malformed)?;
        if !self.known.contains_key(way) {
            // A probe asks only whether we are there.
            let Some(first) = envelopes(&message.payload).next() else { return Ok(()) };
            self.meet(way, &Forwarded::read(first)?, signed).ok_or(Malformed)?;
        }
        let known = self.known.get_mut(way).filter(|known| known.signed == signed).ok_or(Malformed)?;
        let closed = self.hub.closed.is_cancelled();
        let callee = &self.hub.own().ok_or(Malformed)?.callee;
        let (mut sent, mut age, now) = (None, None, Instant::now());
        let mut delivery = Delivery::new(known.source.clone(), message.payload.clone());
        for part in lane::parts(&message.payload) {
            let envelope = match part? {
                Part::Envelope(envelope) => envelope,
                Part::SentAt(millis) => {
                    sent.get_or_insert(millis);
                    continue;
                }
            };
            let forwarded = Forwarded::read(envelope)?;
            if !forwarded.sys || known.id != forwarded.frontend || known.json != forwarded.metadata {
                return Err(Malformed);
            }
            // The time of a bundle counts once a message in it has turned out to be the frontend's own.
            let age = *age.get_or_insert_with(|| sent.map_or(Duration::ZERO, |sent| known.delay.age(sent, now)));
            let timeout = match forwarded.micros {
                0 => known.timeout,
                micros => Duration::from_micros(micros).min(LONGEST),
            };
            if age >= timeout {
                count(&self.hub.counters.late);
                known.source.back.answer(forwarded.number.0, Err(&late()));
                continue;
            }
            if closed {
                known.source.back.answer(forwarded.number.0, Err(&stopping()));
                continue;
            }
            let deadline = now + (timeout - age);
            let letter = letter(&forwarded, deadline);
            if forwarded.own.is_empty() {
                delivery.add(&letter);
                continue;
            }
            // It comes in its turn, but not together with the others.
            let before = std::mem::replace(&mut delivery, Delivery::new(known.source.clone(), message.payload.clone()));
            callee.messages(before);
            callee.messages(Delivery::one(known.with(forwarded.own), &letter));
        }
        callee.messages(delivery);
        Ok(())
    }

    /// The first message of a frontend. It is believed to be its own only if its way back is below its own name.
    fn meet(&mut self, way: &str, forwarded: &Forwarded<'_>, signed: bool) -> Option<()> {
        let metadata = metadata::decode(forwarded.metadata).ok()?;
        let id = std::str::from_utf8(forwarded.frontend).ok()?;
        let kind = metadata::text(&metadata, metadata::PEER_SERVICE)?;
        way.strip_prefix(&*subjects::server(kind, id))?.strip_prefix('.')?;
        let peer = Arc::new(Peer { id: id.into(), kind: kind.into() });
        let timeout = metadata::timeout(&metadata).unwrap_or(self.hub.settings.request_timeout);
        let (number, to) = (self.ways.fetch_add(1, Relaxed), Reply { to: way.into(), signed });
        let front = Arc::new(Front::new(self.hub.clone(), number, to));
        let mut source = Source::new(peer, Arc::new(metadata), front);
        source.lasts = true;
        let known = Known {
            id: Bytes::copy_from_slice(forwarded.frontend),
            json: Bytes::copy_from_slice(forwarded.metadata),
            source: Arc::new(source),
            timeout: timeout.min(LONGEST),
            signed,
            delay: Delay::default(),
        };
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(way.into(), known);
        Some(())
    }
}

impl Takes for Arrivals {
    const STREAM: Stream = Stream::Lane;

    fn take(&mut self, message: Message, signed: bool) {
        if self.read(&message, signed).is_err() {
            count(&self.hub.counters.malformed);
        }
    }

    fn is_probe(&self, message: &Message) -> bool {
        lane::parts(&message.payload).all(|part| matches!(part, Ok(Part::SentAt(_))))
    }

    fn claim(&self, message: &Message) -> Option<Claim> {
        let first = Forwarded::read(envelopes(&message.payload).next()?).ok()?;
        let metadata = metadata::decode(first.metadata).ok()?;
        let kind = metadata::text(&metadata, metadata::PEER_SERVICE)?.to_owned();
        Some(Claim { id: std::str::from_utf8(first.frontend).ok()?.to_owned(), kind, frontend: true })
    }

    fn refuse(&mut self, message: &Message, refused: Refused) {
        let numbers = envelopes(&message.payload).filter_map(|envelope| Some(Forwarded::read(envelope).ok()?.number));
        refuse_all(&self.hub, message, numbers, refused);
    }
}

fn envelopes(bundle: &[u8]) -> impl Iterator<Item = &[u8]> {
    lane::parts(bundle).filter_map(|part| match part {
        Ok(Part::Envelope(envelope)) => Some(envelope),
        _ => None,
    })
}

/// Answers each message of a bundle that was refused, without a signature.
pub(super) fn refuse_all(hub: &Hub, message: &Message, numbers: impl Iterator<Item = Number>, refused: Refused) {
    let way = message.reply.as_ref().and_then(|reply| reply.rsplit_once('.')).map(|(way, _)| way);
    // Answers go to servers, and to nobody else's subjects.
    let Some(way) = way.filter(|way| way.starts_with(subjects::SERVERS)) else { return };
    let (mut answers, error) = (Vec::new(), refused.error());
    numbers.for_each(|number| lane::answer(number, Err(&error), &mut answers));
    let most = hub.back.load().as_ref().map_or(0, |line| line.post.payload);
    let mut rest = &answers[..];
    while let end @ 1.. = lane::cut(rest, most) {
        let (now, later) = rest.split_at(end);
        let _ = hub.answer(&Reply { to: way.into(), signed: false }, now.to_vec());
        rest = later;
    }
}

impl Known {
    /// The frontend, with what one message brings besides. What cannot be read is left out: the message runs all the same.
    #[cold]
    fn with(&self, own: &[u8]) -> Arc<Source> {
        let mut all = Metadata::clone(&self.source.metadata);
        all.extend(metadata::decode(own).unwrap_or_default());
        let Source { frontend, back, .. } = &*self.source;
        Arc::new(Source::new(frontend.clone(), Arc::new(all), back.clone()))
    }
}

/// Answers a message that is older than its frontend waits. If that is so, nobody hears it; if only the clocks say so, the
/// client knows at once that its message was not run.
#[cold]
fn late() -> Error {
    Error::new(codes::TIMEOUT, "the message arrived too late and was not run")
}

fn letter<'a>(forwarded: &Forwarded<'a>, deadline: Instant) -> Letter<&'a [u8]> {
    let mut letter = Letter::new(forwarded.session, deadline, forwarded.number.0);
    (letter.uid, letter.data) = (forwarded.uid, forwarded.data);
    (letter.id, letter.notify) = (forwarded.id, forwarded.notify);
    (letter.route, letter.body, letter.deflated) = (forwarded.route, forwarded.body, forwarded.deflated);
    letter
}
