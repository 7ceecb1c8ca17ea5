//! The clock that logins are ordered by.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far ahead of its own time a frontend follows another one's clock, in microseconds: one that is far off must not
/// take all others with it.
const AHEAD: u64 = 1_000_000;

/// Hybrid logical clock: the time of this machine, but later than every login it gave out or heard of, within
/// [`AHEAD`].
///
/// The machine's time may jump ahead and be corrected. What is given out afterwards is bounded by the corrected time, so
/// it may be earlier than what was given out before; the order of those stands, as others know it. Up to the bound times
/// grow. At the bound two within a microsecond are equal: the frontend and the number of the session decide.
#[derive(Debug)]
pub(super) struct Clock {
    last: AtomicU64,
    now: fn() -> u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: AtomicU64::new(0), now: micros }
    }
}

fn micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl Clock {
    /// A time that is later than all before, as far as the bound allows.
    pub(super) fn next(&self) -> u64 {
        let now = (self.now)();
        let later = |last: u64| now.max(last.saturating_add(1).min(now.saturating_add(AHEAD)));
        // It never declines.
        self.last.fetch_update(Relaxed, Relaxed, |last| Some(later(last))).map_or(now, later)
    }

    /// Another frontend gave out this time.
    pub(super) fn hear(&self, time: u64) {
        self.last.fetch_max(time.min((self.now)().saturating_add(AHEAD)), Relaxed);
    }

    /// Milliseconds by which a login's time is ahead of this machine's, or behind it when negative; none where it is no
    /// more than [`AHEAD`] off.
    pub(super) fn off(&self, time: u64) -> Option<i64> {
        let now = (self.now)();
        let millis = i64::try_from(now.abs_diff(time) / 1000).unwrap_or(i64::MAX);
        (now.abs_diff(time) > AHEAD).then_some(if time > now { millis } else { -millis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_later_than_what_it_heard_and_at_most_a_second_ahead() {
        let clock = Clock { last: AtomicU64::new(0), now: || 10_000_000 };
        assert_eq!((clock.next(), clock.next()), (10_000_000, 10_000_001));
        clock.hear(10_500_000);
        clock.hear(1);
        assert_eq!(clock.next(), 10_500_001);
        clock.hear(u64::MAX);
        assert_eq!((clock.next(), clock.next()), (11_000_000, 11_000_000), "the number of the session decides");
    }

    #[test]
    fn after_a_jump_that_was_corrected_it_is_at_most_a_second_ahead() {
        let mut clock = Clock { last: AtomicU64::new(0), now: || 3_610_000_000 };
        assert_eq!(clock.next(), 3_610_000_000);
        clock.now = || 10_000_000;
        assert_eq!(clock.next(), 11_000_000);
        clock.now = || 10_000_001;
        assert_eq!(clock.next(), 11_000_001, "it grows with the machine's time");
        clock.now = || 12_000_000;
        assert_eq!(clock.next(), 12_000_000);
    }

    #[test]
    fn a_time_is_off_by_more_than_a_second() {
        let clock = Clock { last: AtomicU64::new(0), now: || 40_000_000 };
        assert_eq!((clock.off(41_000_000), clock.off(39_000_000)), (None, None));
        assert_eq!((clock.off(70_000_000), clock.off(10_000_000)), (Some(30_000), Some(-30_000)));
        assert_eq!(clock.off(u64::MAX), Some(i64::try_from((u64::MAX - 40_000_000) / 1000).expect("fits")));
    }
}
