//! A histogram: values counted in buckets.

use super::shards::Shards;
use super::text::sample;

pub(super) struct Buckets {
    /// The upper bounds, in order.
    bounds: Box<[f64]>,
    parts: Shards<Part>,
}

struct Part {
    /// One more than there are bounds.
    counts: Box<[u64]>,
    sum: f64,
}

impl Buckets {
    pub(super) fn new(bounds: &[f64]) -> Self {
        let part = || Part { counts: vec![0; bounds.len() + 1].into(), sum: 0.0 };
        Self { bounds: bounds.into(), parts: Shards::new(part) }
    }

    pub(super) fn add(&self, value: f64, count: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.parts.change(|part| {
            part.counts[bucket] += count;
            part.sum += value * count as f64;
        });
    }

    /// Nothing, as long as there is no value.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str) {
        let (mut counts, mut sum) = (vec![0; self.bounds.len() + 1], 0.0);
        self.parts.each(|part| {
            counts.iter_mut().zip(&part.counts).for_each(|(all, count)| *all += count);
            sum += part.sum;
        });
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return;
        }
        let mut below = 0;
        for (bound, count) in self.bounds.iter().zip(&counts) {
            below += count;
            sample(out, name, "_bucket", labels, &format!("le=\"{bound}\""), below as f64);
        }
        sample(out, name, "_bucket", labels, "le=\"+Inf\"", total as f64);
        sample(out, name, "_sum", labels, "", sum);
        sample(out, name, "_count", labels, "", total as f64);
    }
}
