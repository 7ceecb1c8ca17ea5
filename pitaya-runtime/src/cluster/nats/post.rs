//! What waits to be sent over one connection: `sending` is the task that sends it.
//!
//! Between our own servers everything for one peer that is ready goes as one message of the broker: a bundle of messages,
//! or one of calls.

mod lull;
mod parcel;
mod sending;
mod state;

pub(super) use parcel::{Parcel, Tracked};

use state::{For, Open, State};

use super::calls::Key;
use super::counters::{Counters, count};
use super::flight::{Flight, Lane};
use super::hub::Reply;
use super::outcome::{Lost, Refusal};
use async_nats::Subject;
use async_nats::message::OutboundMessage;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use pitaya_core::cluster::lane::{self, LaneCall, LoneCall, Number, Outgoing};
use pitaya_core::cluster::seal::Purpose;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::{Duration, Instant};

/// A bundle is closed when it is this large: more gains nothing.
const BUNDLE: usize = 60_000;
/// Bytes for calls that travel alone.
const BLOCK: usize = 16 * 1024;
/// What an open bundle of requests takes before the first one.
const STAMP: usize = 9;
/// What the broker is told besides the payload, about: it counts for the buffer.
const OVERHEAD: usize = 128;

/// Everything that is sent over one connection.
pub(super) struct Post {
    state: Mutex<State>,
    waker: AtomicWaker,
    awake: AtomicBool,
    /// The most bytes that may wait.
    buffer: usize,
    /// The largest message the broker takes.
    pub(super) payload: usize,
    /// What bundles are stamped with counts from here.
    epoch: Instant,
    /// How long most answers are waited for.
    timeout: Duration,
}

impl Post {
    pub(super) fn new(buffer: usize, payload: usize, timeout: Duration) -> Self {
        let (state, waker, awake) = (Mutex::default(), AtomicWaker::new(), AtomicBool::new(false));
        Self { state, waker, awake, buffer, payload, epoch: Instant::now(), timeout }
    }

    fn wake(&self) {
        if !self.awake.load(Acquire) && !self.awake.swap(true, AcqRel) {
            self.waker.wake();
        }
    }

    fn stamp(&self, now: Instant) -> u64 {
        now.duration_since(self.epoch).as_millis() as u64
    }

    /// Sends one message. What answers somebody may take twice the buffer: dropping it helps nobody.
    pub(super) fn send(&self, parcel: Parcel, answer: bool) -> Result<(), Refusal> {
        if parcel.message.payload.len() > self.payload {
            return Err(Refusal::Oversize(parcel.message.payload.len(), self.payload));
        }
        let mut state = self.state.lock();
        state.admit(parcel.cost(), if answer { self.buffer * 2 } else { self.buffer })?;
        state.ready.push_back(parcel);
        drop(state);
        self.wake();
        Ok(())
    }

    /// Sends a call that travels alone.
    pub(super) fn call_alone(
        &self,
        subject: Subject,
        reply: Subject,
        key: Key,
        call: &LoneCall<'_>,
    ) -> Result<(), Refusal> {
        let length = call.written_len();
        if length > self.payload {
            return Err(Refusal::Oversize(length, self.payload));
        }
        let mut state = self.state.lock();
        state.admit(length + OVERHEAD, self.buffer)?;
        if state.block.capacity() < length {
            state.block.reserve(BLOCK.max(length));
        }
        call.write(&mut state.block);
        let payload = state.block.split().freeze();
        let message = OutboundMessage { subject, reply: Some(reply), payload, headers: None };
        let purpose = Some(Purpose::Request);
        state.ready.push_back(Parcel { message, tracked: Tracked::Call(key), purpose });
        drop(state);
        self.wake();
        Ok(())
    }

    /// Sends answers, as many as are taken: how many.
    pub(super) fn send_all(&self, answers: Vec<Parcel>) -> usize {
        let mut state = self.state.lock();
        let before = state.ready.len();
        for parcel in answers {
            if parcel.message.payload.len() <= self.payload && state.admit(parcel.cost(), self.buffer * 2).is_ok() {
                state.ready.push_back(parcel);
            }
        }
        let sent = state.ready.len() - before;
        drop(state);
        self.wake();
        sent
    }

    /// A lane to one more server.
    pub(super) fn add_lane(&self, lane: impl FnOnce(u32) -> Lane) -> Arc<Lane> {
        let mut state = self.state.lock();
        let lane = Arc::new(lane(state.flights.len() as u32));
        state.flights.push(Flight::new(lane.clone(), Instant::now(), self.timeout));
        lane
    }

    /// Adds a message to the bundle for a server, and gives the bundle's number. `timeout` is how long its answer is waited
    /// for, where that is not as long as for most.
    pub(super) fn forward(
        &self,
        lane: u32,
        number: Number,
        message: &Outgoing<'_>,
        timeout: Option<Duration>,
    ) -> Result<u64, Refusal> {
        let length = message.carried_len();
        if STAMP + length > self.payload {
            return Err(Refusal::Oversize(STAMP + length, self.payload));
        }
        let mut state = self.state.lock();
        state.admit(length, self.buffer)?;
        let mut place = state.open.iter().position(|open| open.to == For::There(lane));
        // The bundle that is open is the newest of its flight: one with another time-out is closed before this one's begins.
        let suits = |state: &State| state.flights.get(lane as usize).is_some_and(|flight| flight.suits(timeout));
        let full = |place: &usize| state.open[*place].bundle.len() + length > self.payload || !suits(&state);
        if let Some(full) = place.filter(full) {
            state.close(full);
            place = None;
        }
        let place = match place {
            Some(place) => place,
            None => {
                let Some(flight) = state.flights.get_mut(lane as usize) else { return Err(Refusal::Closed) };
                let now = Instant::now();
                let bundle = flight.open(now, timeout);
                let lane = flight.lane.clone();
                state.open_request(&lane, bundle, self.stamp(now));
                state.open.len() - 1
            }
        };
        let open = &mut state.open[place];
        message.carry(number, &mut open.bundle);
        let full = open.bundle.len() > BUNDLE;
        let Tracked::Bundle(_, bundle) = open.tracked else { return Err(Refusal::Closed) };
        if let Some(flight) = state.flights.get_mut(lane as usize) {
            flight.add(number);
        }
        if full {
            state.close(place);
        }
        drop(state);
        self.wake();
        Ok(bundle)
    }

    /// Adds a call to the bundle for a server, behind what all calls of this server say of their sender.
    pub(super) fn call(&self, lane: &Arc<Lane>, sender: &[u8], key: Key, call: &LaneCall<'_>) -> Result<(), Refusal> {
        let (first, length) = (lane::open_calls_len(sender), call.carried_len());
        if first + length > self.payload {
            return Err(Refusal::Oversize(first + length, self.payload));
        }
        let mut state = self.state.lock();
        state.admit(length, self.buffer)?;
        let mut place = state.open.iter().position(|open| open.to == For::Calls(lane.index));
        if let Some(full) = place.filter(|place| state.open[*place].bundle.len() + length > self.payload) {
            state.close(full);
            place = None;
        }
        let place = place.unwrap_or_else(|| {
            let mut bundle = Vec::with_capacity(state.usual);
            lane::open_calls(sender, &mut bundle);
            state.bytes += OVERHEAD + bundle.len();
            let tracked = Tracked::Calls(lane.clone(), Vec::new());
            let (to, subject) = (For::Calls(lane.index), lane.subject.clone());
            let purpose = Some(Purpose::Request);
            state.open.push(Open { to, subject, reply: None, tracked, purpose, bundle });
            state.open.len() - 1
        });
        let open = &mut state.open[place];
        call.carry(&mut open.bundle);
        if let Tracked::Calls(_, members) = &mut open.tracked {
            members.push(key);
        }
        if open.bundle.len() > BUNDLE {
            state.close(place);
        }
        drop(state);
        self.wake();
        Ok(())
    }

    /// Adds to the bundle for a frontend what `write` writes.
    pub(super) fn back(&self, way: u64, to: &Reply, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Refusal> {
        let (subject, purpose) = (&to.to, to.signed.then_some(Purpose::Answer));
        let mut state = self.state.lock();
        state.admit(0, self.buffer * 2)?;
        let place = match state.open.iter().position(|open| open.to == For::Back(way)) {
            Some(place) => place,
            None => {
                let bundle = Vec::with_capacity(state.usual);
                let (to, subject, tracked) = (For::Back(way), subject.clone(), Tracked::No);
                state.open.push(Open { to, subject, reply: None, tracked, purpose, bundle });
                state.bytes += OVERHEAD;
                state.open.len() - 1
            }
        };
        let open = &mut state.open[place];
        let before = open.bundle.len();
        write(&mut open.bundle);
        let (after, most) = (open.bundle.len(), self.payload);
        if after - before > most {
            open.bundle.truncate(before);
            return Err(Refusal::Oversize(after - before, most));
        }
        if after > most {
            let next = open.bundle.split_off(before);
            let (to, subject, tracked) = (For::Back(way), subject.clone(), Tracked::No);
            state.close(place);
            state.open.push(Open { to, subject, reply: None, tracked, purpose, bundle: next });
            state.bytes += OVERHEAD;
        } else if after > BUNDLE {
            state.close(place);
        }
        state.bytes += after - before;
        drop(state);
        self.wake();
        Ok(())
    }

    /// Whether the server of this lane need not sign.
    pub(super) fn is_unsigned(&self, lane: u32) -> bool {
        self.state.lock().flights.get(lane as usize).is_some_and(|flight| flight.lane.unsigned)
    }

    /// A server answered messages of these bundles.
    pub(super) fn answered(&self, lane: u32, bundles: impl Iterator<Item = u64>) {
        let mut state = self.state.lock();
        let Some(flight) = state.flights.get_mut(lane as usize) else { return };
        flight.heard(Instant::now());
        bundles.for_each(|bundle| flight.answered(bundle));
    }

    /// Nobody took this bundle; which server was to.
    pub(super) fn nobody(&self, lane: u32, bundle: u64, lost: &mut Vec<Lost>) -> Option<Arc<str>> {
        let mut state = self.state.lock();
        let flight = state.flights.get_mut(lane as usize)?;
        flight.nobody(bundle, Instant::now(), lost);
        Some(flight.lane.server.clone())
    }

    /// What is late is lost, and who is silent is probed. Says whether anything is in flight.
    pub(super) fn tick(&self, now: Instant, counters: &Counters, lost: &mut Vec<Lost>) -> bool {
        let mut state = self.state.lock();
        let stamp = self.stamp(now);
        let mut probed = false;
        for lane in 0..state.flights.len() {
            let flight = &mut state.flights[lane];
            flight.expire(now, lost);
            if flight.probe(now) && !state.open.iter().any(|open| open.to == For::There(lane as u32)) {
                count(&counters.probes);
                let flight = &mut state.flights[lane];
                let (bundle, lane) = (flight.open(now, None), flight.lane.clone());
                state.open_request(&lane, bundle, stamp);
                let last = state.open.len() - 1;
                state.close(last);
                probed = true;
            }
        }
        let flying = state.flights.iter().any(|flight| !flight.is_empty());
        drop(state);
        if probed {
            self.wake();
        }
        flying
    }

    /// Takes nothing any more; what was in flight is lost, and what was not sent will not be.
    pub(super) fn close(&self, lost: &mut Vec<Lost>) {
        let mut state = self.state.lock();
        state.closed = true;
        state.ready.clear();
        state.open.clear();
        state.flights.iter_mut().for_each(|flight| flight.close(lost));
        drop(state);
        self.wake();
    }

    /// Sends nothing for a while, and keeps it.
    pub(super) fn hold(&self, held: bool) {
        self.state.lock().held = held;
        self.wake();
    }

    /// Whether a message in flight has no answer yet.
    pub(super) fn is_flying(&self) -> bool {
        self.state.lock().flights.iter().any(|flight| !flight.is_empty())
    }
}
