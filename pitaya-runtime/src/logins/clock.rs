//! The clock that logins are ordered by.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far ahead of its own time a frontend follows another one's clock, in microseconds: one that is far off must not
/// take all others with it.
const AHEAD: u64 = 1_000_000;

/// Hybrid logical clock: the time of this machine, but later than every login it gave out or heard of.
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
    /// A time that is later than all before.
    pub(super) fn next(&self) -> u64 {
        let now = (self.now)();
        let later = |last: u64| now.max(last.saturating_add(1));
        // It never declines.
        self.last.fetch_update(Relaxed, Relaxed, |last| Some(later(last))).map_or(now, later)
    }

    /// Another frontend gave out this time.
    pub(super) fn hear(&self, time: u64) {
        self.last.fetch_max(time.min((self.now)().saturating_add(AHEAD)), Relaxed);
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
        assert_eq!((clock.next(), clock.next()), (11_000_001, 11_000_002));
    }
}
