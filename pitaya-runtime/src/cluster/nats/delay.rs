//! How late a message is, though no two clocks agree.

use std::time::{Duration, Instant};

/// The smallest delay is forgotten after one to two of these: clocks drift apart.
const WINDOW: Duration = Duration::from_secs(120);

/// The delays of one sender's messages: each is its arrival here, less the sending there, plus what the clocks differ by.
/// The smallest seen stands for no delay at all.
#[derive(Debug, Default)]
pub(super) struct Delay {
    /// Our clock counts from here, and the window began then.
    epoch: Option<(Instant, Instant)>,
    /// The smallest of this window and of the one before, in milliseconds.
    smallest: [Option<i64>; 2],
}

impl Delay {
    /// How much later this one is than the fastest.
    pub(super) fn age(&mut self, sent: u64, now: Instant) -> Duration {
        let (epoch, began) = *self.epoch.get_or_insert((now, now));
        if now.duration_since(began) >= WINDOW {
            self.epoch = Some((epoch, now));
            self.smallest = [None, self.smallest[0]];
        }
        let delay = (now.duration_since(epoch).as_millis() as i64).wrapping_sub(sent as i64);
        let this = self.smallest[0].map_or(delay, |known| known.min(delay));
        self.smallest[0] = Some(this);
        let least = self.smallest[1].map_or(this, |known| known.min(this));
        Duration::from_millis(delay.saturating_sub(least).max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_needs_no_common_clock() {
        let (mut delay, start) = (Delay::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let age = |delay: &mut Delay, sent, now| delay.age(sent, at(now)).as_millis();
        assert_eq!(age(&mut delay, 5_000_000, 10), 0);
        assert_eq!(age(&mut delay, 5_000_100, 110), 0);
        assert_eq!(age(&mut delay, 5_000_200, 710), 500);
        // One that was faster than all before makes the others late in hindsight only.
        assert_eq!(age(&mut delay, 5_000_710, 715), 0);
        assert_eq!(age(&mut delay, 5_000_720, 730), 5);
    }

    #[test]
    fn drift_is_forgotten_and_no_number_is_too_large() {
        let (mut delay, start) = (Delay::default(), Instant::now());
        let mut last = Duration::ZERO;
        // The other clock loses a second in each window.
        for window in 0..10u64 {
            let now = start + WINDOW.mul_f64(1.0) * window as u32;
            last = delay.age(1_000_000 + window * (120_000 - 1000), now);
            assert!(last <= Duration::from_secs(2), "{last:?}");
        }
        assert!(last > Duration::ZERO);
        for sent in [0, u64::MAX, i64::MAX as u64] {
            delay.age(sent, start);
        }
    }
}
