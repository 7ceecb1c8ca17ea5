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
    /// Whether it went to the library, so that it may have reached its server.
    handed: bool,
    members: Vec<Number>,
    /// How many of them have no answer yet.
    left: usize,
    /// Its server did not take a later one: until when its answers are still waited for.
    doubt: Option<Instant>,
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
}

impl Flight {
    pub(super) fn new(lane: Arc<Lane>, now: Instant) -> Self {
        Self { lane, first: 1, bundles: VecDeque::new(), heard: now, probed: now }
    }

    /// A new bundle, and its number.
    pub(super) fn open(&mut self, now: Instant) -> u64 {
        self.bundles.push_back(Bundle { opened: now, handed: false, members: Vec::new(), left: 0, doubt: None });
        self.first + self.bundles.len() as u64 - 1
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

    /// The bundle goes to the library now; false when nobody waits for it any more, so that it must not.
    pub(super) fn hand(&mut self, number: u64) -> bool {
        self.get(number).map(|bundle| bundle.handed = true).is_some()
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
        while self.bundles.front().is_some_and(|bundle| bundle.handed && bundle.left == 0) {
            self.bundles.pop_front();
            self.first += 1;
        }
    }

    /// Ends the bundles that were opened this long ago.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration, lost: &mut Vec<Lost>) {
        while let Some(bundle) = self.bundles.front() {
            let doubted = bundle.doubt.is_some_and(|until| now >= until);
            if !doubted && now.duration_since(bundle.opened) < timeout {
                break;
            }
            let Some(bundle) = self.bundles.pop_front() else { break };
            self.first += 1;
            let failure = match bundle.handed {
                true if doubted => Failure::Gone,
                true => Failure::Timeout,
                // What was not handed out by now is not sent any more.
                false => Failure::Unsent,
            };
            lost.extend(bundle.members.into_iter().map(|number| (number, failure)));
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
            lost.extend(bundle.members.drain(..).map(|number| (number, Failure::Nobody)));
        }
        self.sweep();
    }

    /// The connection is lost.
    pub(super) fn close(&mut self, lost: &mut Vec<Lost>) {
        for bundle in self.bundles.drain(..) {
            let failure = if bundle.handed { Failure::Gone } else { Failure::Unsent };
            lost.extend(bundle.members.into_iter().map(|number| (number, failure)));
        }
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

    fn flight(now: Instant) -> Flight {
        let lane = Lane { index: 0, server: "x".into(), subject: "x".into(), reply: "r.".into() };
        Flight::new(Arc::new(lane), now)
    }

    const fn number(sequence: u32) -> Number {
        Number::new(1, 0, sequence)
    }

    #[test]
    fn only_the_bundle_that_nobody_took_has_not_run() {
        let now = Instant::now();
        let mut flight = flight(now);
        for bundle in 1..=4 {
            assert_eq!(flight.open(now), bundle);
            flight.add(number(bundle as u32));
            assert!(flight.hand(bundle));
        }
        flight.answered(1);
        let mut lost = Vec::new();
        flight.nobody(3, now, &mut lost);
        assert_eq!(lost, [(number(3), Failure::Nobody)]);
        flight.nobody(3, now, &mut lost);
        flight.expire(now + DOUBT / 2, 10 * DOUBT, &mut lost);
        assert_eq!(lost.len(), 1, "the second may still be answered, the fourth is told by its own refusal");
        lost.clear();
        flight.expire(now + DOUBT, 10 * DOUBT, &mut lost);
        assert_eq!(lost, [(number(2), Failure::Gone)]);
        lost.clear();
        flight.nobody(4, now, &mut lost);
        assert_eq!(lost, [(number(4), Failure::Nobody)]);
        assert!(flight.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_is_not_handed_out() {
        let now = Instant::now();
        let mut flight = flight(now);
        let bundle = flight.open(now);
        flight.add(number(1));
        let mut lost = Vec::new();
        flight.expire(now, Duration::from_secs(1), &mut lost);
        assert!(lost.is_empty());
        flight.expire(now + Duration::from_secs(1), Duration::from_secs(1), &mut lost);
        assert_eq!(lost, [(number(1), Failure::Unsent)]);
        assert!(!flight.hand(bundle));
    }

    #[test]
    fn a_silent_server_is_probed_now_and_then() {
        let now = Instant::now();
        let mut flight = flight(now);
        let later = |millis| now + Duration::from_millis(millis);
        assert!(!flight.probe(later(1000)), "nothing is in flight");
        let bundle = flight.open(later(1000));
        flight.add(number(1));
        assert!(!flight.probe(later(2000)), "it was not sent yet");
        flight.hand(bundle);
        assert!(flight.probe(later(2000)));
        assert!(!flight.probe(later(2100)));
        assert!(flight.probe(later(2250)));
        flight.heard(later(2400));
        assert!(!flight.probe(later(2600)));
        // A probe is nothing that is waited for.
        let probe = flight.open(later(2600));
        flight.hand(probe);
        flight.answered(bundle);
        assert!(flight.is_empty() && !flight.probe(later(9000)));
    }
}
