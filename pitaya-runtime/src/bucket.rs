//! A bucket of tokens: what limits rates.

use crate::config::Rate;
use tokio::time::Instant;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Refill {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl From<Rate> for Refill {
    fn from(rate: Rate) -> Self {
        let burst = f64::from(rate.count());
        Self { per_second: burst / rate.per().as_secs_f64(), burst }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn full(refill: Refill, now: Instant) -> Self {
        Self { tokens: refill.burst, filled: now }
    }

    /// Takes a token, if there is one.
    #[inline]
    pub(crate) fn take(&mut self, refill: Refill, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * refill.per_second).min(refill.burst);
        self.filled = now;
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_quiet_time_gives_a_burst_and_no_more() {
        let (start, refill) = (Instant::now(), Refill::from(Rate::new(5, Duration::from_secs(10))));
        let mut bucket = Bucket::full(refill, start);
        let mut taken = |at: f64| (0..20).filter(|_| bucket.take(refill, start + Duration::from_secs_f64(at))).count();
        assert_eq!([taken(0.0), taken(1.9), taken(2.1), taken(6.1), taken(1e6)], [5, 0, 1, 2, 5]);
    }
}
