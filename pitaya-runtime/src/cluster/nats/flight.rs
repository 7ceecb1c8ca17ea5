//! What is in flight to one server on the lane: bundles in the order they were opened, and whose answers are missing.

use super::outcome::{Failure, Lost};
use async_nats::Subject;
use pitaya_core::cluster::lane::Number;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After so long without a word from a server that has something to say, it is probed.
const SILENCE: Duration = Duration::from_millis(250);

/// How long a server that takes nothing any more may still answer what it took.
const DOUBT: Duration = Duration::from_millis(400);

/// The way to one server.
#[derive(Debug)]
pub(super) struct Lane {
    /// Its place among all of this connection.
    pub(super) index: u32,
    /// Whose it is.
    pub(super) server: Arc<str>,
    /// Whether it need not sign.
    pub(super) unsigned: bool,
    /// Where bundles for it go.
    pub(super) subject: Subject,
    /// What its answers come by, and a `.`: the number of the bundle follows in a reply subject.
    pub(super) reply: Box<str>,
}

impl Lane {
    /// Where the broker says that nobody took this bundle. Answers go to the part before it, so that the broker sees
    /// the same subject again and again.
    pub(super) fn reply(&self, bundle: &dyn std::fmt::Display) -> Subject {
        Subject::from(format!("{}{bundle}", self.reply))
    }
}

#[derive(Debug)]
struct Bundle {
    opened: Instant,
    /// How long answers to its messages are waited for.
    timeout: Duration,
    /// Whether it went to the library, so that it may have reached its server.
    handed: bool,
    members: Vec<Number>,
    /// How many of them have no answer yet.
    left: usize,
    /// Its server did not take a later one: until when its answers are still waited for.
    doubt: Option<Instant>,
}

impl Bundle {
    /// Ends it if its time is over. Says whether nobody waits for it any more.
    fn expire(&mut self, now: Instant, lost: &mut Vec<Lost>) -> bool {
        let doubted = self.doubt.is_some_and(|until| now >= until);
        if !doubted && now.duration_since(self.opened) < self.timeout {
            return self.handed && self.left == 0;
        }
        // What was not handed out by now is not sent any more.
        let failure = match std::mem::replace(&mut self.handed, true) {
            true if doubted => Failure::Gone,
            true => Failure::Timeout,
            false => Failure::Unsent,
        };
        let timeout = self.timeout;
        lost.extend(self.members.drain(..).map(|number| (number, failure, timeout)));
        self.left = 0;
        true
    }
}

/// The bundles of one lane.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) lane: Arc<Lane>,
    /// The number of the first in `bundles`.
    first: u64,
    bundles: VecDeque<Bundle>,
    heard: Instant,
    probed: Instant,
    /// The time-out of most bundles, and how many in `bundles` have another: while there are none the first is also the first
    /// to expire.
    usual: Duration,
    unusual: usize,
}

impl Flight {
    pub(super) fn new(lane: Arc<Lane>, now: Instant, usual: Duration) -> Self {
        Self { lane, first: 1, bundles: VecDeque::new(), heard: now, probed: now, usual, unusual: 0 }
    }

    /// A new bundle, whose messages are waited for as long as most or for this time, and its number.
    pub(super) fn open(&mut self, now: Instant, timeout: Option<Duration>) -> u64 {
        let timeout = timeout.unwrap_or(self.usual);
        self.unusual += usize::from(timeout != self.usual);
        let (opened, members) = (now, Vec::new());
        self.bundles.push_back(Bundle { opened, timeout, handed: false, members, left: 0, doubt: None });
        self.first + self.bundles.len() as u64 - 1
    }

    /// Whether messages of the newest bundle are waited for as long as one with this time-out is.
    pub(super) fn suits(&self, timeout: Option<Duration>) -> bool {
        self.bundles.back().is_some_and(|bundle| bundle.timeout == timeout.unwrap_or(self.usual))
    }

    /// One more message in the newest bundle.
    pub(super) fn add(&mut self, number: Number) {
        if let Some(bundle) = self.bundles.back_mut() {
            bundle.members.push(number);
            bundle.left += 1;
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut Bundle> {
        self.bundles.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The bundle goes to the library now; false when nobody waits for it any more, so that it must not. A bundle that was
    /// not handed on and is empty has expired behind others, unless it is a probe.
    pub(super) fn hand(&mut self, number: u64) -> bool {
        self.get(number).is_some_and(|bundle| !std::mem::replace(&mut bundle.handed, true))
    }

    /// The server said something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A message of this bundle has its answer.
    pub(super) fn answered(&mut self, number: u64) {
        if let Some(bundle) = self.get(number) {
            bundle.left = bundle.left.saturating_sub(1);
        }
        self.sweep();
    }

    /// Forgets those at the front that nobody waits for: their messages are answered, or they were probes.
    fn sweep(&mut self) {
        while let Some(bundle) = self.bundles.pop_front_if(|bundle| bundle.handed && bundle.left == 0) {
            self.unusual -= usize::from(bundle.timeout != self.usual);
            self.first += 1;
        }
    }

    /// Ends the bundles whose time is over.
    pub(super) fn expire(&mut self, now: Instant, lost: &mut Vec<Lost>) {
        for bundle in &mut self.bundles {
            let expired = bundle.expire(now, lost);
            if !expired && self.unusual == 0 {
                break;
            }
        }
        self.sweep();
    }

    /// Nobody took this bundle: its messages have not run. What went there before it may have: a server that stops in
    /// order still answers it, one that died does not, and is not waited for much longer. What went after it is told by a
    /// word of its own.
    pub(super) fn nobody(&mut self, number: u64, now: Instant, lost: &mut Vec<Lost>) {
        let before = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        for bundle in self.bundles.iter_mut().take(before) {
            bundle.doubt.get_or_insert(now + DOUBT);
        }
        if let Some(bundle) = self.get(number) {
            bundle.left = 0;
            let timeout = bundle.timeout;
            lost.extend(bundle.members.drain(..).map(|number| (number, Failure::Nobody, timeout)));
        }
        self.sweep();
    }

    /// The connection is lost.
    pub(super) fn close(&mut self, lost: &mut Vec<Lost>) {
        for bundle in self.bundles.drain(..) {
            let failure = if bundle.handed { Failure::Gone } else { Failure::Unsent };
            lost.extend(bundle.members.into_iter().map(|number| (number, failure, bundle.timeout)));
        }
        self.unusual = 0;
    }

    /// Whether it is time for a probe; then it counts as sent.
    pub(super) fn probe(&mut self, now: Instant) -> bool {
        let silent = |since: Instant| now.duration_since(since) >= SILENCE;
        let waits = self.bundles.front().is_some_and(|bundle| bundle.handed && silent(bundle.opened));
        let probe = waits && silent(self.heard) && silent(self.probed);
        if probe {
            self.probed = now;
        }
        probe
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(5);

    fn flight(now: Instant) -> Flight {
        let lane = Lane { index: 0, server: "x".into(), unsigned: false, subject: "x".into(), reply: "r.".into() };
        Flight::new(Arc::new(lane), now, USUAL)
    }

    const fn number(sequence: u32) -> Number {
        Number::new(1, 0, sequence)
    }

    #[test]
    fn only_the_bundle_that_nobody_took_has_not_run() {
        let now = Instant::now();
        let mut flight = flight(now);
        for bundle in 1..=4 {
            assert_eq!(flight.open(now, None), bundle);
            flight.add(number(bundle as u32));
            assert!(flight.hand(bundle));
        }
        flight.answered(1);
        let mut lost = Vec::new();
        flight.nobody(3, now, &mut lost);
        assert_eq!(lost, [(number(3), Failure::Nobody, USUAL)]);
        flight.nobody(3, now, &mut lost);
        flight.expire(now + DOUBT / 2, &mut lost);
        assert_eq!(lost.len(), 1, "the second may still be answered, the fourth is told by its own refusal");
        lost.clear();
        flight.expire(now + DOUBT, &mut lost);
        assert_eq!(lost, [(number(2), Failure::Gone, USUAL)]);
        lost.clear();
        flight.nobody(4, now, &mut lost);
        assert_eq!(lost, [(number(4), Failure::Nobody, USUAL)]);
        assert!(flight.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_is_not_handed_out() {
        let now = Instant::now();
        let mut flight = flight(now);
        let bundle = flight.open(now, None);
        flight.add(number(1));
        let mut lost = Vec::new();
        flight.expire(now, &mut lost);
        assert!(lost.is_empty());
        flight.expire(now + USUAL, &mut lost);
        assert_eq!(lost, [(number(1), Failure::Unsent, USUAL)]);
        assert!(!flight.hand(bundle));
    }

    #[test]
    fn each_bundle_has_its_own_time() {
        let now = Instant::now();
        let mut flight = flight(now);
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
        for (sequence, timeout) in [(1, None), (2, Some(long)), (3, Some(short)), (4, None), (5, Some(short))] {
            let bundle = flight.open(now, timeout);
            flight.add(number(sequence));
            assert!(flight.suits(timeout) && flight.suits(Some(timeout.unwrap_or(USUAL))));
            assert!(!flight.suits(Some(Duration::from_secs(2))));
            assert!(sequence == 5 || flight.hand(bundle));
        }
        let mut lost = Vec::new();
        flight.expire(now + short, &mut lost);
        assert_eq!(lost, [(number(3), Failure::Timeout, short), (number(5), Failure::Unsent, short)]);
        assert!(!flight.hand(5), "what nobody waits for is not sent");
        lost.clear();
        flight.expire(now + USUAL, &mut lost);
        assert_eq!(lost, [(number(1), Failure::Timeout, USUAL), (number(4), Failure::Timeout, USUAL)]);
        assert!(!flight.is_empty());
        flight.answered(2);
        assert!(flight.is_empty() && flight.unusual == 0, "the last is answered");
        assert!(!flight.hand(5));
    }

    #[test]
    fn a_silent_server_is_probed_now_and_then() {
        let now = Instant::now();
        let mut flight = flight(now);
        let later = |millis| now + Duration::from_millis(millis);
        assert!(!flight.probe(later(1000)), "nothing is in flight");
        let bundle = flight.open(later(1000), None);
        flight.add(number(1));
        assert!(!flight.probe(later(2000)), "it was not sent yet");
        flight.hand(bundle);
        assert!(flight.probe(later(2000)));
        assert!(!flight.probe(later(2100)));
        assert!(flight.probe(later(2250)));
        flight.heard(later(2400));
        assert!(!flight.probe(later(2600)));
        // A probe is nothing that is waited for.
        let probe = flight.open(later(2600), None);
        flight.hand(probe);
        flight.answered(bundle);
        assert!(flight.is_empty() && !flight.probe(later(9000)));
    }
}
