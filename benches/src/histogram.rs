//! How are latencies distributed?

/// Sub-buckets per power of two, as bits: 64 of them bound the error of a percentile to 1.6 %.
const BITS: u32 = 6;
const BUCKETS: usize = ((64 - BITS as usize) << BITS) + (1 << BITS);

/// A histogram of nanoseconds with a fixed size (30 KiB) and a relative error of at most 1/64.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one value, in nanoseconds.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The largest value, exact, in nanoseconds; 0 when empty.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The smallest value, in nanoseconds and rounded up to its bucket, that `percent` of the values do not exceed;
    /// 0 when empty.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        // 99.9 % of 1,000 is 999.0000000000001 in floating point: the nudge keeps that from being rounded up.
        let share = percent / 100.0 * self.total as f64 * (1.0 - 1e-12);
        let rank = (share.ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        self.max
    }
}

#[inline]
fn bucket(value: u64) -> usize {
    let exponent = (63 - (value | 1).leading_zeros()).saturating_sub(BITS);
    ((exponent as usize) << BITS) + (value >> exponent) as usize
}

/// The largest value that falls into a bucket.
fn upper(index: usize) -> u64 {
    let exponent = (index >> BITS).saturating_sub(1);
    let first = (index - (exponent << BITS)) as u64;
    (first << exponent) + ((1u64 << exponent) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_is_at_most_a_64th_wide() {
        let edges = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, (1 << bit) + 1, 3 << bit.min(62)]);
        for value in edges.chain(0..5_000).chain([u64::MAX]) {
            let top = upper(bucket(value));
            assert!(top >= value, "{value} is above its bucket's end {top}");
            assert!(top - value <= value / 64, "{value} lies {} below its bucket's end", top - value);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        for index in 1..BUCKETS {
            assert_eq!(bucket(upper(index - 1) + 1), index);
        }
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|value| histogram.record(value));
        for (percent, exact) in [(50.0, 50_000.0), (90.0, 90_000.0), (99.0, 99_000.0), (99.9, 99_900.0)] {
            let found = histogram.percentile(percent) as f64;
            assert!(found >= exact && found <= exact * 65.0 / 64.0, "p{percent}: {found}, expected {exact}");
        }
        assert_eq!((histogram.percentile(100.0), histogram.max(), histogram.count()), (100_000, 100_000, 100_000));
    }

    #[test]
    fn one_slow_value_in_a_thousand_shows_above_its_percentile_only() {
        let mut histogram = Histogram::default();
        (0..999).for_each(|_| histogram.record(10));
        histogram.record(1_000_000);
        assert_eq!((histogram.percentile(99.9), histogram.percentile(99.95)), (10, 1_000_000));
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let empty = Histogram::default();
        assert_eq!((empty.percentile(50.0), empty.percentile(100.0), empty.max()), (0, 0, 0));
    }
}
