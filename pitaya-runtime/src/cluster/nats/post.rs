//! What waits to be sent over one connection, and the task that sends it.
//!
//! * The task waits for a [lull](Lull) after it is woken: everybody who was ready has spoken then, and one system call
//!   carries all.
//! * Between our own servers everything for one peer that is ready goes as one message of the broker: a bundle of
//!   messages, or one of calls.

use super::calls::{Calls, Key};
use super::counters::{Counters, count};
use super::flight::{Flight, Lane};
use super::lull::Lull;
use super::outcome::{Lost, Refusal};
use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use pitaya_core::cluster::lane::{self, LaneCall, Number, Outgoing};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::Poll;
use std::time::{Duration, Instant};

/// A bundle is closed when it is this large: more gains nothing.
const BUNDLE: usize = 60_000;
/// With so much to send nobody else is waited for.
const ENOUGH: usize = 16_000;
/// What an open bundle of requests takes before the first one.
const STAMP: usize = 9;
/// What the broker is told besides the payload, about: it counts for the buffer.
const OVERHEAD: usize = 128;

/// What depends on whether a message is sent.
#[derive(Debug)]
pub(super) enum Tracked {
    /// Nothing.
    No,
    /// Somebody waits for its answer.
    Call(Key),
    /// A bundle of this lane.
    Bundle(u32, u64),
    /// Calls for this server.
    Calls(Arc<Lane>, Vec<Key>),
}

struct Parcel {
    message: OutboundMessage,
    tracked: Tracked,
}

impl Parcel {
    fn cost(&self) -> usize {
        self.message.payload.len() + OVERHEAD
    }
}

/// Whose bundle it is: a lane's there, the calls' there, or one of the ways back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    There(u32),
    Calls(u32),
    Back(u64),
}

struct Open {
    to: For,
    subject: Subject,
    reply: Option<Subject>,
    tracked: Tracked,
    bundle: Vec<u8>,
}

#[derive(Default)]
struct State {
    closed: bool,
    held: bool,
    /// Of all that is in `ready` and `open`, and what the task has taken out of them and not yet handed on.
    bytes: usize,
    ready: Vec<Parcel>,
    open: Vec<Open>,
    flights: Vec<Flight>,
    /// How large the last bundle became: the next may become as large.
    usual: usize,
}

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
}

impl Post {
    pub(super) fn new(buffer: usize, payload: usize) -> Self {
        let (state, waker, awake) = (Mutex::default(), AtomicWaker::new(), AtomicBool::new(false));
        Self { state, waker, awake, buffer, payload, epoch: Instant::now() }
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
    pub(super) fn send(&self, message: OutboundMessage, tracked: Tracked, answer: bool) -> Result<(), Refusal> {
        let parcel = Parcel { message, tracked };
        if parcel.message.payload.len() > self.payload {
            return Err(Refusal::Oversize(parcel.message.payload.len(), self.payload));
        }
        let mut state = self.state.lock();
        state.admit(parcel.cost(), if answer { self.buffer * 2 } else { self.buffer })?;
        state.ready.push(parcel);
        drop(state);
        self.wake();
        Ok(())
    }

    /// A lane to one more server.
    pub(super) fn add_lane(&self, lane: impl FnOnce(u32) -> Lane) -> Arc<Lane> {
        let mut state = self.state.lock();
        let lane = Arc::new(lane(state.flights.len() as u32));
        state.flights.push(Flight::new(lane.clone(), Instant::now()));
        lane
    }

    /// Adds a message to the bundle for a server, and gives the bundle's number.
    pub(super) fn forward(&self, lane: u32, number: Number, message: &Outgoing<'_>) -> Result<u64, Refusal> {
        let length = message.carried_len();
        if STAMP + length > self.payload {
            return Err(Refusal::Oversize(STAMP + length, self.payload));
        }
        let mut state = self.state.lock();
        state.admit(length, self.buffer)?;
        let mut place = state.open.iter().position(|open| open.to == For::There(lane));
        if let Some(full) = place.filter(|place| state.open[*place].bundle.len() + length > self.payload) {
            state.close(full);
            place = None;
        }
        let place = match place {
            Some(place) => place,
            None => {
                let Some(flight) = state.flights.get_mut(lane as usize) else { return Err(Refusal::Closed) };
                let now = Instant::now();
                let bundle = flight.open(now);
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
            state.open.push(Open { to, subject, reply: None, tracked, bundle });
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
    pub(super) fn back(&self, way: u64, subject: &Subject, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.admit(0, self.buffer * 2)?;
        let place = match state.open.iter().position(|open| open.to == For::Back(way)) {
            Some(place) => place,
            None => {
                let bundle = Vec::with_capacity(state.usual);
                let (to, subject, tracked) = (For::Back(way), subject.clone(), Tracked::No);
                state.open.push(Open { to, subject, reply: None, tracked, bundle });
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
            state.open.push(Open { to, subject, reply: None, tracked, bundle: next });
            state.bytes += OVERHEAD;
        } else if after > BUNDLE {
            state.close(place);
        }
        state.bytes += after - before;
        drop(state);
        self.wake();
        Ok(())
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
    pub(super) fn tick(&self, now: Instant, timeout: Duration, counters: &Counters, lost: &mut Vec<Lost>) -> bool {
        let mut state = self.state.lock();
        let stamp = self.stamp(now);
        let mut probed = false;
        for lane in 0..state.flights.len() {
            let flight = &mut state.flights[lane];
            flight.expire(now, timeout, lost);
            if flight.probe(now) && !state.open.iter().any(|open| open.to == For::There(lane as u32)) {
                count(&counters.probes);
                let flight = &mut state.flights[lane];
                let (bundle, lane) = (flight.open(now), flight.lane.clone());
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

    /// The task that sends. Ends when the connection does.
    pub(super) async fn run(&self, client: &Client, calls: &Calls, counters: &Counters) {
        let (mut batch, mut lull): (Vec<Parcel>, _) = (Vec::new(), Lull::default());
        loop {
            poll_fn(|cx| {
                self.waker.register(cx.waker());
                if self.awake.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            lull.pass(ENOUGH, || self.state.lock().bytes).await;
            self.awake.store(false, Release);
            if !self.take(&mut batch) {
                return;
            }
            for mut parcel in batch.drain(..) {
                if !self.hand(&mut parcel, calls) {
                    continue;
                }
                if matches!(parcel.tracked, Tracked::Bundle(..) | Tracked::Calls(..)) {
                    count(&counters.bundles);
                }
                // Waits while the library has enough to do: what comes meanwhile waits here, and is counted.
                if client.publish_message(parcel.message).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Everything that is ready; false when the connection is lost.
    fn take(&self, batch: &mut Vec<Parcel>) -> bool {
        let mut state = self.state.lock();
        if state.held {
            return true;
        }
        let stamp = self.stamp(Instant::now());
        for mut open in std::mem::take(&mut state.open) {
            if let Tracked::Bundle(..) = open.tracked {
                lane::stamp(stamp, &mut open.bundle);
            }
            state.finish(open);
        }
        std::mem::swap(batch, &mut state.ready);
        !state.closed
    }

    /// Whether a parcel may go. From now on it may have run.
    fn hand(&self, parcel: &mut Parcel, calls: &Calls) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.bytes = state.bytes.saturating_sub(parcel.cost());
        let message = &mut parcel.message;
        match &mut parcel.tracked {
            Tracked::No => true,
            Tracked::Call(key) => calls.hand(*key),
            Tracked::Bundle(lane, bundle) => {
                state.flights.get_mut(*lane as usize).is_some_and(|flight| flight.hand(*bundle))
            }
            Tracked::Calls(lane, members) => {
                let Some(handed) = calls.hand_all(std::mem::take(members)) else { return false };
                message.reply = Some(lane.reply(&handed.bundle.token()));
                if !handed.gone.is_empty() {
                    let kept = lane::retain_calls(&message.payload, |number| !handed.gone.contains(&number));
                    message.payload = kept.into();
                }
                true
            }
        }
    }
}

impl State {
    fn admit(&mut self, cost: usize, most: usize) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.bytes + cost > most {
            return Err(Refusal::Full);
        }
        self.bytes += cost;
        Ok(())
    }

    fn open_request(&mut self, lane: &Lane, number: u64, stamp: u64) {
        let mut bundle = Vec::with_capacity(self.usual);
        lane::open(stamp, &mut bundle);
        self.bytes += OVERHEAD + STAMP;
        self.open.push(Open {
            to: For::There(lane.index),
            subject: lane.subject.clone(),
            reply: Some(lane.reply(&number)),
            tracked: Tracked::Bundle(lane.index, number),
            bundle,
        });
    }

    fn close(&mut self, place: usize) {
        let open = self.open.swap_remove(place);
        self.finish(open);
    }

    fn finish(&mut self, open: Open) {
        // An eighth more than the last, and never more than what fits an allocation worth keeping.
        self.usual = (open.bundle.len() + open.bundle.len() / 8).clamp(256, BUNDLE + BUNDLE / 8);
        let (subject, reply, payload) = (open.subject, open.reply, Bytes::from(open.bundle));
        self.ready.push(Parcel {
            message: OutboundMessage { subject, reply, payload, headers: None },
            tracked: open.tracked,
        });
    }
}
