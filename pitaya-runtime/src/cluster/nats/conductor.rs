//! What comes back over one connection, to calls and to forwarded messages: one task, so that answers, time-outs and
//! losses are told in one order.

use super::calls::{Answer, Heard, Key};
use super::counters::count;
use super::hub::Hub;
use super::incoming::drain;
use super::line::{CALLS, Line};
use super::outcome::{Failure, Lost};
use super::seal::{Refused, Stream};
use super::seats::Seat;
use async_nats::{Message, StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use pitaya_core::cluster::lane::{self, LaneAnswer, Number, Part};
use pitaya_core::cluster::received::part_of;
use pitaya_core::{Error, KickReason, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// How often the clock is looked at while something is in flight.
const TICK: Duration = Duration::from_millis(20);

pub(super) struct Conductor {
    hub: Arc<Hub>,
    line: Arc<Line>,
    /// The bundles whose messages were answered by the one that is being read.
    answered: Vec<u64>,
    /// Whom it told of answers last, and has not said to go on yet.
    told: Option<Arc<Seat>>,
    /// Answers that came together, in a bundle and alone, and who waits for them.
    answers: Vec<(Key, Answer)>,
    alone: Vec<(Key, Answer)>,
    heard: Heard,
}

impl Conductor {
    pub(super) fn new(hub: Arc<Hub>, line: Arc<Line>) -> Self {
        Self {
            hub,
            line,
            answered: Vec::new(),
            told: None,
            answers: Vec::new(),
            alone: Vec::new(),
            heard: Heard::default(),
        }
    }

    /// Until the connection is lost, or the transport ends. Then everybody who waits is told.
    pub(super) async fn run(mut self, mut calls: Subscriber, mut lanes: Subscriber) {
        let (line, hub) = (self.line.clone(), self.hub.clone());
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flying = false;
        loop {
            tokio::select! {
                biased;
                () = line.signals.down.cancelled() => break,
                () = hub.stopped.cancelled() => break,
                Some(message) = lanes.next() => {
                    self.returned(message);
                    drain(&mut lanes, |message| self.returned(message));
                }
                Some(message) = calls.next() => {
                    self.answer(message);
                    drain(&mut calls, |message| self.answer(message));
                    self.settle();
                }
                _ = clock.tick(), if flying => flying = self.tick(),
                () = line.stirred(), if !flying => {
                    flying = true;
                    clock.reset();
                }
                else => break,
            }
        }
        line.signals.down.cancel();
        // What was answered before the end is answered.
        while let Some(Some(message)) = lanes.next().now_or_never() {
            self.returned(message);
        }
        while let Some(Some(message)) = calls.next().now_or_never() {
            self.answer(message);
        }
        self.settle();
        let mut lost = Vec::new();
        line.post.close(&mut lost);
        line.calls.close(&mut self.heard);
        self.tell(lost);
    }

    /// Whether anything is still in flight.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        let mut lost = Vec::new();
        let flying = self.line.post.tick(now, &self.hub.counters, &mut lost);
        let waiting = self.line.calls.expire(now, &mut self.heard);
        self.tell(lost);
        flying || waiting
    }

    /// The answer to a call, or to a message forwarded to a server without a lane: told with those that came with it.
    fn answer(&mut self, mut message: Message) {
        let Some(key) = message.subject.strip_prefix(&*self.line.inbox).and_then(Key::parse) else {
            return count(&self.hub.counters.stray);
        };
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return self.alone.push((key, Err(Failure::Nobody)));
        }
        if let Some(guard) = &self.hub.guard
            && let Err(refused) = guard.open(Stream::Answers, &mut message)
            && !(refused == Refused::Unsigned && self.line.calls.is_unsigned(key))
        {
            // The right answer may come yet.
            let told = LaneAnswer::read(&message.payload).ok().and_then(|answer| Refused::told(&answer));
            if let Some(told) = told.filter(|_| refused == Refused::Unsigned) {
                self.alone.push((key, Ok(Err(told.hearsay()))));
            }
            return self.hub.count_refused(refused, &message.subject, None);
        }
        let outcome = LaneAnswer::read(&message.payload).map_err(|e| {
            count(&self.hub.counters.malformed);
            Error::internal(format!("the server's answer cannot be read: {e}"))
        });
        let outcome = outcome.and_then(|read| read.outcome().map(|data| message.payload.slice_ref(data)));
        self.alone.push((key, Ok(outcome)));
    }

    /// Tells what came alone.
    fn settle(&mut self) {
        if !self.alone.is_empty() {
            self.line.calls.settle(self.alone.drain(..), &mut self.heard);
            self.tell(Vec::new());
        }
    }

    /// A bundle that a server of ours made, or the broker's word that nobody took one.
    fn returned(&mut self, mut message: Message) {
        let subject = message.subject.clone();
        let rest = subject.strip_prefix(&*self.line.lane_inbox).unwrap_or_default();
        let (lane, bundle) = rest.split_once('.').map_or((rest, None), |(lane, bundle)| (lane, Some(bundle)));
        // The broker's own word is not signed.
        if bundle.is_none() && !self.admit(lane, &mut message) {
            return;
        }
        if lane.starts_with(CALLS) {
            return self.calls_returned(&message, bundle);
        }
        let Ok(lane) = lane.parse() else { return count(&self.hub.counters.malformed) };
        if let Some(bundle) = bundle {
            let nobody = message.status == Some(StatusCode::NO_RESPONDERS);
            let Some(bundle) = bundle.parse().ok().filter(|_| nobody) else {
                return count(&self.hub.counters.malformed);
            };
            let mut lost = Vec::new();
            let server = self.line.post.nobody(lane, bundle, &mut lost);
            // Before anybody tries again.
            self.unreachable(server.as_deref());
            return self.tell(lost);
        }
        for part in lane::parts(&message.payload) {
            match part.and_then(|part| match part {
                Part::Envelope(envelope) => LaneAnswer::read(envelope).map(Some),
                Part::SentAt(_) => Ok(None),
            }) {
                Ok(Some(returned)) => self.one(lane, &returned),
                Ok(None) => {}
                Err(lane::Malformed) => count(&self.hub.counters.malformed),
            }
        }
        self.flush();
        self.line.post.answered(lane, self.answered.drain(..));
    }

    /// Verifies a bundle of answers that came by this way, where messages are signed. Returns whether it is taken.
    fn admit(&mut self, way: &str, message: &mut Message) -> bool {
        let Some(guard) = &self.hub.guard else { return true };
        let Err(refused) = guard.open(Stream::Returns, message) else { return true };
        if refused == Refused::Unsigned {
            let is_excused = match way.strip_prefix(CALLS) {
                Some(way) => way.parse().is_ok_and(|way| self.line.is_unsigned(way)),
                None => way.parse().is_ok_and(|lane| self.line.post.is_unsigned(lane)),
            };
            if is_excused {
                return true;
            }
            // Nothing else of it is heard.
            message.payload = Refused::told_in(&message.payload).into();
        }
        self.hub.count_refused(refused, &message.subject, None);
        refused == Refused::Unsigned && !message.payload.is_empty()
    }

    /// The same for a bundle of calls.
    fn calls_returned(&mut self, message: &Message, bundle: Option<&str>) {
        if let Some(bundle) = bundle {
            let nobody = message.status == Some(StatusCode::NO_RESPONDERS);
            let Some(bundle) = Key::parse(bundle).filter(|_| nobody) else {
                return count(&self.hub.counters.malformed);
            };
            self.line.calls.nobody(bundle, &mut self.heard);
            return self.tell(Vec::new());
        }
        for part in lane::parts(&message.payload) {
            let Ok(Part::Envelope(envelope)) = part else { continue };
            match LaneAnswer::read(envelope) {
                Ok(read) => {
                    let outcome = read.outcome().map(|data| part_of(&message.payload, data));
                    self.answers.push((Key::of(read.number), Ok(outcome)));
                }
                Err(lane::Malformed) => count(&self.hub.counters.malformed),
            }
        }
        self.line.calls.settle(self.answers.drain(..), &mut self.heard);
        self.tell(Vec::new());
    }

    /// Answers for one session come together: it is told to go on behind the last of them.
    fn flush(&mut self) {
        if let Some(told) = self.told.take() {
            told.sink.flush();
        }
    }

    /// What a server said about one session: its pushes, then its answer, then its kick.
    fn one(&mut self, lane: u32, returned: &LaneAnswer<'_>) {
        // The session has ended. Its bundle is forgotten when its time is up.
        if self.told.as_ref().is_none_or(|told| told.number != returned.number.session()) {
            self.flush();
            self.told = self.hub.seats.find(returned.number);
        }
        let Some(seat) = &self.told else { return count(&self.hub.counters.stray) };
        for (route, body) in returned.pushes() {
            seat.sink.pushed(route, body);
        }
        let sequence = returned.number.sequence();
        if sequence != 0 {
            let waiting = seat.way.lock().take(sequence, Some(lane));
            match waiting {
                Some(waiting) => {
                    self.answered.push(waiting.bundle);
                    match returned.outcome() {
                        Ok(data) => seat.sink.queued(waiting.id, Ok(data)),
                        Err(error) => seat.sink.queued(waiting.id, Err(&error)),
                    }
                }
                None => count(&self.hub.counters.stray),
            }
        }
        if returned.kick {
            seat.sink.kicked(KickReason::decode(returned.reason).as_ref());
        }
    }

    /// Tells those whose messages have no answer, and all who have been heard of.
    fn tell(&mut self, lost: Vec<Lost>) {
        let mut heard = std::mem::take(&mut self.heard);
        let usual = self.hub.settings.request_timeout;
        let mut errors = Errors { timeout: usual, made: [const { None }; 4] };
        for (number, failure, timeout) in lost {
            let Some(seat) = self.hub.seats.find(number) else { continue };
            let waiting = seat.way.lock().take(number.sequence(), None);
            // Answered before, and only its bundle was not through.
            let Some(waiting) = waiting else { continue };
            self.count(failure);
            if timeout != errors.timeout {
                errors = Errors { timeout, made: [const { None }; 4] };
            }
            seat.sink.answered(waiting.id, Err(&errors.get(failure, &waiting.route)));
        }
        heard.failures.drain(..).for_each(|failure| self.count(failure));
        self.hub.counters.stray.fetch_add(std::mem::take(&mut heard.stray), Relaxed);
        heard.wakers.drain(..).for_each(Waker::wake);
        for (told, answer) in heard.messages.drain(..) {
            match answer {
                Ok(outcome) => {
                    if let Some(own) = self.hub.own() {
                        own.callee.reachable(&told.server);
                    }
                    self.answered(told.session, told.id, outcome.as_deref());
                }
                Err(failure) => {
                    if failure == Failure::Nobody {
                        // Before anybody tries again.
                        self.unreachable(Some(&told.server));
                    }
                    if told.timeout != errors.timeout {
                        errors = Errors { timeout: told.timeout, made: [const { None }; 4] };
                    }
                    self.answered(told.session, told.id, Err(&errors.get(failure, &told.route)));
                }
            }
        }
        self.heard = heard;
    }

    fn answered(&self, session: Number, id: u64, outcome: Result<&[u8], &Error>) {
        match self.hub.seats.find(session) {
            Some(seat) => seat.sink.answered(id, outcome),
            None => count(&self.hub.counters.stray),
        }
    }

    fn unreachable(&self, server: Option<&str>) {
        if let (Some(own), Some(server)) = (self.hub.own(), server) {
            own.callee.unreachable(server);
        }
    }

    fn count(&self, failure: Failure) {
        let counters = &self.hub.counters;
        count(match failure {
            Failure::Timeout => &counters.timeouts,
            Failure::Gone => &counters.lost,
            Failure::Nobody | Failure::Unsent => &counters.unreachable,
        });
    }
}

/// Errors are made once, however many are told; only the route differs.
struct Errors {
    timeout: Duration,
    made: [Option<Error>; 4],
}

impl Errors {
    fn get(&mut self, failure: Failure, route: &str) -> Error {
        let error = self.made[failure as usize].get_or_insert_with(|| failure.error(self.timeout)).clone();
        match failure {
            Failure::Timeout | Failure::Gone => error.with("route", route),
            Failure::Nobody | Failure::Unsent => error,
        }
    }
}
