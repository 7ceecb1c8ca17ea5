//! The way back to one frontend of ours, for all its sessions.

use super::counters::count;
use super::hub::{Hub, Reply};
use super::incoming::too_large;
use super::outcome::Refusal;
use parking_lot::Mutex;
use pitaya_core::cluster::Back;
use pitaya_core::cluster::lane::{self, LaneAnswer, Number, Part};
use pitaya_core::{Error, KickReason, Result};
use std::sync::Arc;

/// What one worker has to say goes out when it is this long.
const FULL: usize = 32_000;

/// What is sent by it arrives in the order of the calls.
#[derive(Clone)]
pub(super) struct Front {
    hub: Arc<Hub>,
    way: u64,
    to: Reply,
}

impl Front {
    pub(super) fn new(hub: Arc<Hub>, way: u64, to: Reply) -> Self {
        Self { hub, way, to }
    }

    fn send(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Refusal> {
        match &*self.hub.back.load() {
            Some(line) => line.post.back(self.way, &self.to, write),
            None => Err(Refusal::Closed),
        }
    }

    /// What the broker takes at once.
    fn most(&self) -> usize {
        self.hub.back.load().as_ref().map_or(FULL, |line| line.post.payload)
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

    fn branch(&self) -> Option<Arc<dyn Back>> {
        Some(Arc::new(Branch { front: self.clone(), queued: Mutex::default() }))
    }

    fn push(&self, ticket: u64, _: Option<&str>, route: &str, body: &[u8]) -> Result<()> {
        let sent = self.send(|bundle| lane::push(Number(ticket).session(), route, body, bundle));
        sent.map_err(|refusal| self.hub.refused(refusal))
    }

    fn kick(&self, ticket: u64, _: Option<&str>, reason: Option<&KickReason>) -> Result<()> {
        let reason = reason.map(KickReason::encode).unwrap_or_default();
        let sent = self.send(|bundle| lane::kick(Number(ticket).session(), &reason, bundle));
        sent.map_err(|refusal| self.hub.refused(refusal))
    }
}

/// The same for one worker, which queues its answers without asking for what all share.
struct Branch {
    front: Front,
    /// Answers that have not gone out. They go before anything else on this branch.
    queued: Mutex<Vec<u8>>,
}

impl Branch {
    /// Sends what is queued, and then this; all of it behind what was sent before.
    fn with<T>(&self, then: impl FnOnce(&Front) -> T) -> T {
        let mut queued = self.queued.lock();
        self.send(&mut queued);
        then(&self.front)
    }

    fn send(&self, queued: &mut Vec<u8>) {
        if queued.is_empty() {
            return;
        }
        let most = self.front.most();
        let mut rest = &queued[..];
        while !rest.is_empty() {
            match lane::cut(rest, most) {
                // A broker that takes next to nothing.
                0 => rest = self.refuse(rest, most),
                end => {
                    let (now, later) = rest.split_at(end);
                    if let Err(refusal) = self.front.send(|bundle| bundle.extend_from_slice(now)) {
                        self.front.hub.unsent(refusal);
                    }
                    rest = later;
                }
            }
        }
        queued.clear();
    }

    /// Answers the first of these with an error, and gives the others.
    fn refuse<'a>(&self, queued: &'a [u8], most: usize) -> &'a [u8] {
        let Some(Ok(Part::Envelope(envelope))) = lane::parts(queued).next() else { return &[] };
        if let Ok(answer) = LaneAnswer::read(envelope) {
            count(&self.front.hub.counters.oversize);
            self.front.answer(answer.number.0, Err(&too_large(envelope.len(), most)));
        }
        let end = envelope.as_ptr() as usize + envelope.len() - queued.as_ptr() as usize;
        queued.get(end..).unwrap_or_default()
    }
}

impl Back for Branch {
    fn answer(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        self.with(|front| front.answer(ticket, outcome));
    }

    fn queue(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        if outcome.is_ok_and(|body| body.len() > FULL) {
            return self.answer(ticket, outcome);
        }
        let mut queued = self.queued.lock();
        lane::answer(Number(ticket), outcome, &mut queued);
        if queued.len() > FULL {
            self.send(&mut queued);
        }
    }

    fn flush(&self) {
        self.with(|_| ());
    }

    fn push(&self, ticket: u64, uid: Option<&str>, route: &str, body: &[u8]) -> Result<()> {
        self.with(|front| front.push(ticket, uid, route, body))
    }

    fn kick(&self, ticket: u64, uid: Option<&str>, reason: Option<&KickReason>) -> Result<()> {
        self.with(|front| front.kick(ticket, uid, reason))
    }
}
