//! A summary: the quantiles of what was reported in the last ten minutes, and the sum and number of all.
//!
//! Values are counted in classes whose width is a sixty-fourth of their size or less, so a quantile is at most 0.8 % off.
//! Go's summaries promise the rank instead: the 0.99 quantile is one between 0.989 and 0.991.

use super::shards::Shards;
use super::text::sample;
use pitaya_core::maps::NumberMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Ten minutes, in steps of two.
const WINDOWS: usize = 5;
/// What is kept of the bits of a number: sign, exponent, and six bits of what follows.
const DROPPED: u32 = 46;

pub(super) struct Summary {
    parts: Shards<Part>,
    step: Arc<AtomicU64>,
}

#[derive(Default)]
struct Part {
    count: u64,
    sum: f64,
    windows: [Window; WINDOWS],
}

/// What was reported in one step.
#[derive(Default)]
struct Window {
    step: u64,
    /// How often a value of each class came.
    classes: NumberMap<i32, u64>,
}

impl Summary {
    pub(super) fn new(step: Arc<AtomicU64>) -> Self {
        Self { parts: Shards::new(Part::default), step }
    }

    pub(super) fn add(&self, value: f64, count: u64) {
        if value.is_nan() {
            return;
        }
        let step = self.step.load(Relaxed);
        self.parts.change(|part| {
            part.count += count;
            part.sum += value * count as f64;
            let window = &mut part.windows[step as usize % WINDOWS];
            if window.step != step {
                window.step = step;
                window.classes.clear();
            }
            *window.classes.entry(class(value)).or_default() += count;
        });
    }

    /// Nothing, as long as there is no value.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str, quantiles: &[f64], step: u64) {
        let (mut count, mut sum, mut classes) = (0, 0.0, BTreeMap::<i32, u64>::new());
        self.parts.each(|part| {
            count += part.count;
            sum += part.sum;
            for window in part.windows.iter().filter(|window| window.step + WINDOWS as u64 > step) {
                window.classes.iter().for_each(|(class, count)| *classes.entry(*class).or_default() += count);
            }
        });
        if count == 0 {
            return;
        }
        for quantile in quantiles {
            sample(out, name, "", labels, &format!("quantile=\"{quantile}\""), at(&classes, *quantile));
        }
        sample(out, name, "_sum", labels, "", sum);
        sample(out, name, "_count", labels, "", count as f64);
    }
}

/// In the order of the values.
#[inline]
fn class(value: f64) -> i32 {
    let size = (value.abs().to_bits() >> DROPPED) as i32;
    if value < 0.0 { -size - 1 } else { size }
}

/// The middle of a class.
fn middle(class: i32) -> f64 {
    let of = |size: i32| match size {
        0 => 0.0,
        size => f64::from_bits(((size as u64) << DROPPED) | (1 << (DROPPED - 1))),
    };
    if class < 0 { -of(-class - 1) } else { of(class) }
}

/// NaN when nothing was reported lately, as Go has it.
fn at(classes: &BTreeMap<i32, u64>, quantile: f64) -> f64 {
    let total: u64 = classes.values().sum();
    let rank = (quantile * total as f64).ceil().max(1.0) as u64;
    let mut below = 0;
    for (class, count) in classes {
        below += count;
        if below >= rank {
            return middle(*class);
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(summary: &Summary, step: u64) -> String {
        let mut out = String::new();
        summary.write(&mut out, "x", "", &[0.5, 0.99], step);
        out
    }

    fn quantiles(summary: &Summary, step: u64) -> Vec<f64> {
        let text = written(summary, step);
        let values = text.lines().filter(|line| line.contains("quantile"));
        values.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn quantiles_are_near_and_in_order() {
        let summary = Summary::new(Arc::default());
        for value in 1..=10_000 {
            summary.add(f64::from(value) * 1_000.0, 1);
        }
        let found = quantiles(&summary, 0);
        for (found, exact) in found.iter().zip([5e6, 9.9e6]) {
            assert!((found / exact - 1.0).abs() < 0.008, "{found} for {exact}");
        }
        assert!(written(&summary, 0).contains("x_count 10000\n"));
        assert!(written(&summary, 0).contains("x_sum 50005000000\n"));
    }

    #[test]
    fn values_are_forgotten_and_their_sum_is_not() {
        let step = Arc::new(AtomicU64::new(0));
        let summary = Summary::new(step.clone());
        summary.add(8.0, 3);
        step.store(4, Relaxed);
        summary.add(2.0, 1);
        assert_eq!(quantiles(&summary, 4)[0].round(), 8.0);
        // The first window's place is taken anew, and what stays untouched is too old.
        assert_eq!(quantiles(&summary, 5)[0].round(), 2.0);
        assert!(quantiles(&summary, 9)[0].is_nan());
        assert!(written(&summary, 9).contains("x_sum 26\nx_count 4\n"));
    }

    #[test]
    fn any_number_has_a_class_in_order() {
        let numbers = [f64::NEG_INFINITY, -1e300, -2.0, -1e-300, 0.0, 1e-300, 0.5, 1.0, 1e300, f64::INFINITY];
        assert!(numbers.windows(2).all(|pair| class(pair[0]) < class(pair[1])));
        let summary = Summary::new(Arc::default());
        numbers.iter().chain([&f64::NAN]).for_each(|number| summary.add(*number, 1));
        assert!(written(&summary, 0).contains("x_count 10\n"));
    }
}
