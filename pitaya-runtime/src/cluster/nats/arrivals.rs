//! Bundles of messages that frontends of ours forward, and the way back to each of them.

use super::counters::count;
use super::delay::Delay;
use super::hub::Hub;
use super::incoming::{LONGEST, stopping, too_large};
use super::outcome::Refusal;
use super::subjects;
use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use pitaya_core::cluster::lane::{self, Forwarded, Malformed, Number, Part};
use pitaya_core::cluster::{Back, IncomingMessage, metadata};
use pitaya_core::remote::{Metadata, Peer};
use pitaya_core::session::SessionData;
use pitaya_core::{Error, Result};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// So many frontends are remembered. One that was forgotten is read again with its next bundle.
const REMEMBERED: usize = 4096;

/// The frontends that were heard of, by the subject of their way back.
pub(super) struct Arrivals {
    hub: Arc<Hub>,
    known: FxHashMap<Box<str>, Known>,
    /// Numbers the ways back.
    ways: Arc<AtomicU64>,
}

struct Known {
    front: Arc<Front>,
    /// Its id and metadata as it writes them, the same in all its messages.
    id: Bytes,
    json: Bytes,
    peer: Arc<Peer>,
    metadata: Arc<Metadata>,
    timeout: Duration,
    delay: Delay,
}

impl Arrivals {
    pub(super) fn new(hub: Arc<Hub>, ways: Arc<AtomicU64>) -> Self {
        Self { hub, known: FxHashMap::default(), ways }
    }

    /// Takes what comes by the server's lane, until another connection does or this one is lost. What had arrived before
    /// is still taken. A server that stops refuses what comes, and stays to be seen: nobody waits for one who is gone.
    pub(super) async fn run(mut self, retired: CancellationToken, mut subscriber: Subscriber) {
        let (hub, mut open) = (self.hub.clone(), true);
        loop {
            tokio::select! {
                message = subscriber.next() => match message {
                    Some(message) => if self.take(&message).is_err() {
                        count(&hub.counters.malformed);
                    },
                    None => return,
                },
                () = retired.cancelled(), if open => { open = false; let _ = subscriber.drain().await; }
                () = hub.stopped.cancelled() => return,
            }
        }
    }

    fn take(&mut self, message: &Message) -> Result<(), Malformed> {
        // The part behind the last `.` is for the broker, when nobody takes the bundle.
        let (way, _) = message.reply.as_ref().and_then(|reply| reply.rsplit_once('.')).ok_or(Malformed)?;
        if !self.known.contains_key(way) {
            let first = lane::parts(&message.payload).find_map(|part| match part {
                Ok(Part::Envelope(envelope)) => Some(envelope),
                _ => None,
            });
            // A probe asks only whether we are there.
            let Some(first) = first else { return Ok(()) };
            self.meet(way, &Forwarded::read(first)?).ok_or(Malformed)?;
        }
        let Some(known) = self.known.get_mut(way) else { return Err(Malformed) };
        let closed = self.hub.closed.is_cancelled();
        let callee = &self.hub.own().ok_or(Malformed)?.callee;
        let (mut age, now) = (Duration::ZERO, Instant::now());
        for part in lane::parts(&message.payload) {
            let envelope = match part? {
                Part::Envelope(envelope) => envelope,
                Part::SentAt(millis) => {
                    age = known.delay.age(millis, now);
                    continue;
                }
            };
            let forwarded = Forwarded::read(envelope)?;
            if !forwarded.sys || known.id != forwarded.frontend || known.json != forwarded.metadata {
                return Err(Malformed);
            }
            if age >= known.timeout {
                count(&self.hub.counters.late);
                continue;
            }
            if closed {
                known.front.answer(forwarded.number.0, Err(&stopping()));
                continue;
            }
            let deadline = now + (known.timeout - age);
            callee.message(known.message(&forwarded, &message.payload, deadline));
        }
        Ok(())
    }

    /// The first message of a frontend. It is believed to be its own only if its way back is below its own name.
    fn meet(&mut self, way: &str, forwarded: &Forwarded<'_>) -> Option<()> {
        let metadata = metadata::decode(forwarded.metadata).ok()?;
        let id = std::str::from_utf8(forwarded.frontend).ok()?;
        let kind = metadata::text(&metadata, metadata::PEER_SERVICE)?;
        way.strip_prefix(&*subjects::server(kind, id))?.strip_prefix('.')?;
        let peer = Arc::new(Peer { id: id.into(), kind: kind.into() });
        let timeout = metadata::timeout(&metadata).unwrap_or(self.hub.settings.request_timeout);
        let (number, subject) = (self.ways.fetch_add(1, Relaxed), Subject::from(way));
        let known = Known {
            front: Arc::new(Front { hub: self.hub.clone(), way: number, subject }),
            id: Bytes::copy_from_slice(forwarded.frontend),
            json: Bytes::copy_from_slice(forwarded.metadata),
            peer,
            metadata: Arc::new(metadata),
            timeout: timeout.min(LONGEST),
            delay: Delay::default(),
        };
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(way.into(), known);
        Some(())
    }
}

impl Known {
    fn message(&self, forwarded: &Forwarded<'_>, payload: &Bytes, deadline: Instant) -> IncomingMessage {
        let Forwarded { session, uid, data, id, notify, route, body, number, .. } = *forwarded;
        let (peer, front) = (self.peer.clone(), self.front.clone());
        let metadata = if forwarded.own.is_empty() { self.metadata.clone() } else { self.with(forwarded.own) };
        let mut message = IncomingMessage::new(peer, metadata, session, deadline, front, number.0);
        message.uid = payload.slice_ref(uid);
        message.data = SessionData::usual(data).unwrap_or_else(|| payload.slice_ref(data));
        (message.id, message.notify) = (id, notify);
        (message.route, message.body) = (payload.slice_ref(route), payload.slice_ref(body));
        message
    }
}

impl Known {
    /// The frontend's metadata, and what one message brings. What cannot be read is left out: the message runs all the same.
    #[cold]
    fn with(&self, own: &[u8]) -> Arc<Metadata> {
        let Ok(own) = metadata::decode(own) else { return self.metadata.clone() };
        let mut all = Metadata::clone(&self.metadata);
        all.extend(own);
        Arc::new(all)
    }
}

/// The way back to one frontend, for all its sessions. What is sent by it arrives in the order of the calls.
struct Front {
    hub: Arc<Hub>,
    way: u64,
    subject: Subject,
}

impl Front {
    fn send(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Refusal> {
        match &*self.hub.back.load() {
            Some(line) => line.post.back(self.way, &self.subject, write),
            None => Err(Refusal::Closed),
        }
    }
}

impl Back for Front {
    fn answer(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        let mut sent = self.send(|bundle| lane::answer(Number(ticket), outcome, bundle));
        if let Err(Refusal::Oversize(size, most)) = sent {
            count(&self.hub.counters.oversize);
            let error = too_large(size, most);
            sent = self.send(|bundle| lane::answer(Number(ticket), Err(&error), bundle));
        }
        if let Err(refusal) = sent {
            self.hub.unsent(refusal);
        }
    }

    fn push(&self, ticket: u64, _: Option<&str>, route: &str, body: &[u8]) -> Result<()> {
        let sent = self.send(|bundle| lane::push(Number(ticket).session(), route, body, bundle));
        sent.map_err(|refusal| self.hub.refused(refusal))
    }

    fn kick(&self, ticket: u64, _: Option<&str>) -> Result<()> {
        let sent = self.send(|bundle| lane::kick(Number(ticket).session(), bundle));
        sent.map_err(|refusal| self.hub.refused(refusal))
    }
}
