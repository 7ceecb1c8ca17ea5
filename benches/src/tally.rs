//! What came back, and how late?

use std::ops::Range;

use crate::histogram::Histogram;

/// Counts of one run. Times are nanoseconds since the generator's start.
#[derive(Debug)]
pub struct Tally {
    window: Range<u64>,
    /// Right answers since the start, warm-up included.
    pub answers: u64,
    /// Right answers that arrived inside the window.
    pub in_window: u64,
    /// Errors, wrong answers, lost connections and requests without an answer, since the start.
    pub failures: u64,
    /// What the first failure was.
    pub first_failure: Option<String>,
    /// Latencies of the requests that were due inside the window.
    pub latency: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        // No window yet: nothing is due before it opens.
        Self {
            window: u64::MAX..u64::MAX,
            answers: 0,
            in_window: 0,
            failures: 0,
            first_failure: None,
            latency: Histogram::default(),
        }
    }
}

impl Tally {
    /// Says which part of the run counts.
    pub fn open(&mut self, window: Range<u64>) {
        self.window = window;
    }

    /// A right answer that arrived at `now` to a request that was due at `due`.
    #[inline]
    pub fn answered(&mut self, due: u64, now: u64) {
        self.answers += 1;
        if self.window.contains(&now) {
            self.in_window += 1;
        }
        if self.window.contains(&due) {
            self.latency.record(now.saturating_sub(due));
        }
    }

    /// Something went wrong `count` times; `why` is kept if it is the first.
    pub fn fail(&mut self, count: u64, why: impl FnOnce() -> String) {
        if count > 0 {
            self.failures += count;
            self.first_failure.get_or_insert_with(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_decides_what_counts() {
        let mut tally = Tally::default();
        tally.answered(10, 20); // warm-up
        tally.open(100..200);
        tally.answered(90, 110); // due before, arrived inside: a message of the window, not a latency of it
        tally.answered(120, 150);
        tally.answered(190, 240); // due inside, late: its latency must not be lost
        assert_eq!((tally.answers, tally.in_window, tally.latency.count()), (4, 2, 2));
        assert_eq!(tally.latency.max(), 50);
    }

    #[test]
    fn the_first_failure_is_kept() {
        let mut tally = Tally::default();
        tally.fail(0, || "none".to_owned());
        tally.fail(2, || "first".to_owned());
        tally.fail(1, || "second".to_owned());
        assert_eq!((tally.failures, tally.first_failure.as_deref()), (3, Some("first")));
    }
}
