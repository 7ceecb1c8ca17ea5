//! Estimates how late a bundle is, though no two clocks agree.
//!
//! Each bundle says when it was sent, by a clock of its sender's. The difference to our clock is the delay plus what the
//! clocks differ by; the smallest difference of the last minutes stands for no delay at all, and the excess over it is the
//! lateness of a bundle.
//!
//! **A clock may step.** The one of a virtual machine stands still while it is moved or saved: every later bundle of that
//! sender then differs by as much more. Real lateness does not look like that: it grows while a queue grows, and falls
//! while it drains. So a difference that stays where it is, far from the estimate, is a step, and becomes the estimate
//! after [`HOLD`]. That holds both ways, so that one wrong bundle changes nothing.

use std::time::{Duration, Instant};

/// The smallest difference is forgotten after one to two of these: clocks drift apart.
const WINDOW: Duration = Duration::from_secs(120);
/// For how long a difference must stay in its band until it is believed to be a step, in milliseconds.
const HOLD: i64 = 500;
/// Half the width of that band, in milliseconds: differences this near to the estimate are jitter. A queue that drains
/// faster than this in [`HOLD`] is not taken for a step.
const BAND: i64 = 250;
/// Times beyond this, in milliseconds, are no clock's: some 35 million years.
const BOUND: u64 = 1 << 60;

/// The lateness of one sender's bundles.
#[derive(Debug, Default)]
pub(super) struct Delay {
    /// Our clock counts from here, and the window began then.
    epoch: Option<(Instant, Instant)>,
    /// The smallest difference of this window and of the one before, in milliseconds.
    smallest: [Option<i64>; 2],
    /// What may be a step.
    step: Option<Step>,
}

/// Differences that stay away from the estimate.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// When it was first seen, on our clock, in milliseconds.
    since: i64,
    /// The difference that was seen then, and that the others are compared with.
    first: i64,
    /// The smallest one since.
    least: i64,
}

impl Delay {
    /// The lateness of a bundle that was sent at this time of its sender's clock and arrived now. None for a time that no
    /// clock has.
    pub(super) fn age(&mut self, sent: u64, now: Instant) -> Duration {
        if sent > BOUND {
            return Duration::ZERO;
        }
        let (epoch, began) = *self.epoch.get_or_insert((now, now));
        if now.duration_since(began) >= WINDOW {
            let was_silent = now.duration_since(began) >= WINDOW * 2;
            self.epoch = Some((epoch, now));
            self.smallest = [None, self.smallest[0].filter(|_| !was_silent)];
        }
        let here = now.duration_since(epoch).as_millis() as i64;
        let difference = here - sent as i64;
        let [this, before] = self.smallest;
        let least = match (this, before) {
            (Some(this), Some(before)) => this.min(before),
            (known, None) | (None, known) => known.unwrap_or(difference),
        };
        let excess = difference - least;
        if excess.abs() <= BAND {
            self.step = None;
            self.smallest[0] = Some(this.map_or(difference, |this| this.min(difference)));
            return millis(excess);
        }
        match self.holds(here, difference) {
            Some(stepped) => {
                self.smallest = [Some(stepped), None];
                millis(difference - stepped)
            }
            None => millis(excess),
        }
    }

    /// The new estimate, once the difference has stayed far from the old one for long enough.
    fn holds(&mut self, here: i64, difference: i64) -> Option<i64> {
        let step = self.step.filter(|step| (difference - step.first).abs() <= BAND);
        let Some(Step { since, first, least }) = step else {
            self.step = Some(Step { since: here, first: difference, least: difference });
            return None;
        };
        let least = least.min(difference);
        let held = here - since >= HOLD;
        self.step = (!held).then_some(Step { since, first, least });
        held.then_some(least)
    }
}

fn millis(excess: i64) -> Duration {
    Duration::from_millis(u64::try_from(excess).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender and a receiver, each with a clock of its own.
    struct Lane {
        delay: Delay,
        start: Instant,
        /// The receiver's clock, in milliseconds.
        now: u64,
        /// How far the sender's clock is ahead, in milliseconds.
        ahead: i64,
    }

    impl Lane {
        fn new() -> Self {
            Self { delay: Delay::default(), start: Instant::now(), now: 0, ahead: 5_000_000 }
        }

        fn wait(&mut self, millis: u64) -> &mut Self {
            self.now += millis;
            self
        }

        /// A bundle that arrives now, so long after it was sent: how late it seems.
        fn bundle(&mut self, under_way: u64) -> u64 {
            let sent = (self.now as i64 - under_way as i64 + self.ahead) as u64;
            self.delay.age(sent, self.start + Duration::from_millis(self.now)).as_millis() as u64
        }
    }

    #[test]
    fn lateness_needs_no_common_clock() {
        let mut lane = Lane::new();
        assert_eq!(lane.wait(10).bundle(10), 0);
        assert_eq!(lane.wait(100).bundle(10), 0);
        assert_eq!(lane.wait(600).bundle(510), 500);
        // One that was faster than all before makes the others late in hindsight only.
        assert_eq!(lane.wait(5).bundle(5), 0);
        assert_eq!(lane.wait(15).bundle(10), 5);
    }

    /// The sender's clock stood still: it is behind by as much from then on.
    #[test]
    fn a_clock_that_stood_still_is_followed_within_a_second() {
        for stood in [300, 8_000, 3_600_000] {
            let mut lane = Lane::new();
            assert_eq!(lane.bundle(3), 0);
            lane.ahead -= stood;
            let mut late = 0;
            while lane.wait(20).bundle(3 + late % 7) > 7 {
                late += 20;
            }
            assert!(late <= 600, "late for {late} ms after {stood} ms");
            assert!((0..1_000).all(|turn| lane.wait(20).bundle(3 + turn % 7) <= 7), "and never again");
            assert!(lane.wait(20).bundle(2_003) >= 1_990, "what is late then is late");
        }
    }

    /// The sender's clock, or ours, goes on elsewhere: nothing is ever late, and lateness is noticed soon after.
    #[test]
    fn a_clock_that_jumped_ahead_loses_nothing() {
        let mut lane = Lane::new();
        assert_eq!(lane.bundle(3), 0);
        lane.ahead += 8_000;
        assert!((0..50).all(|_| lane.wait(20).bundle(3) == 0));
        assert_eq!(lane.wait(20).bundle(2_003), 2_000);
    }

    #[test]
    fn one_wrong_time_changes_nothing() {
        for wrong in [0, 1, 5_008_000, BOUND, BOUND + 1, i64::MAX as u64, u64::MAX] {
            let mut lane = Lane::new();
            assert_eq!(lane.bundle(3), 0);
            let now = lane.start + Duration::from_millis(lane.now);
            lane.delay.age(wrong, now);
            assert!((0..50).all(|_| lane.wait(20).bundle(3) == 0), "after {wrong}");
            assert_eq!(lane.wait(20).bundle(1_003), 1_000, "after {wrong}");
        }
    }

    /// A broker that stood still gives out what it held: each was sent earlier than it comes, the last the least.
    #[test]
    fn a_queue_that_drains_is_late_to_its_end() {
        let mut lane = Lane::new();
        assert_eq!(lane.bundle(3), 0);
        lane.wait(8_000);
        for left in (0..=400).rev() {
            let late = left * 20;
            assert_eq!(lane.wait(5).bundle(3 + late), late);
        }
        assert_eq!(lane.wait(20).bundle(3), 0);
    }

    /// More is sent than arrives.
    #[test]
    fn a_queue_that_grows_is_late_to_its_end() {
        let mut lane = Lane::new();
        assert_eq!(lane.bundle(3), 0);
        assert!((1..500).all(|turn| lane.wait(20).bundle(3 + turn * 20) == turn * 20));
        assert_eq!(lane.wait(20).bundle(3), 0);
    }

    #[test]
    fn drift_is_forgotten() {
        let mut lane = Lane::new();
        for window in 0..10 {
            // The sender's clock loses a tenth of a second in each window.
            lane.ahead -= 100;
            let late = lane.wait(120_000).bundle(3);
            assert!(late <= 200, "{late} ms in window {window}");
        }
        // Days without a word.
        lane.ahead -= 6_000;
        assert_eq!(lane.wait(300_000_000).bundle(3), 0);
    }
}
