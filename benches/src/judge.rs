//! Which ratio may be printed, and does it keep its bound?

use std::fmt;

use crate::report::LoadReport;

/// A ratio is refused when its rounds lie further apart than this, in per cent of their median.
pub const MAX_SPREAD: f64 = 25.0;
/// A generator busier than this, in per cent of a core, ...
pub const GENERATOR_BUSY: f64 = 97.0;
/// ... while the server is less busy than this measures the generator.
pub const SERVER_IDLE: f64 = 90.0;

/// Server CPU per message as a multiple of the baseline's, each round against the baseline of the same round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The median of the rounds.
    pub median: f64,
    /// The best round.
    pub min: f64,
    /// The worst round.
    pub max: f64,
}

/// Why a ratio is not printed.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// A single round has no spread, so nobody knows what it is worth.
    TooFewRounds,
    /// Some answers were wrong or missing: a rate of wrong answers means nothing.
    Failures(u64, String),
    /// Nothing was answered or the CPU time is below the clock's resolution.
    NothingMeasured,
    /// The rounds disagree by this many per cent of the median.
    Spread(f64),
    /// The generator was the limit: its and the server's per cent of a core.
    GeneratorBound(f64, f64),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewRounds => write!(f, "fewer than two rounds"),
            Self::Failures(count, first) => write!(f, "{count} wrong or missing answers, the first: {first}"),
            Self::NothingMeasured => write!(f, "nothing was measured"),
            Self::Spread(percent) => write!(f, "its rounds spread over {percent:.0} % (limit {MAX_SPREAD:.0} %)"),
            Self::GeneratorBound(generator, server) => {
                write!(f, "the generator was the limit: busy {generator:.0} % while the server was {server:.0} %")
            }
        }
    }
}

/// The ratio of two variants that were measured in the same rounds.
///
/// # Errors
/// A [`Refusal`] when the rounds do not support a figure.
pub fn ratio(variant: &[LoadReport], baseline: &[LoadReport]) -> Result<Ratio, Refusal> {
    let rounds = variant.len().min(baseline.len());
    if rounds < 2 {
        return Err(Refusal::TooFewRounds);
    }
    sound(variant)?;
    sound(baseline)?;
    let ratio = Ratio::of(variant.iter().zip(baseline).map(|(a, b)| a.server_us_per_msg / b.server_us_per_msg));
    if ratio.spread() > MAX_SPREAD {
        return Err(Refusal::Spread(ratio.spread()));
    }
    Ok(ratio)
}

/// Whether the rounds of one variant say anything.
///
/// # Errors
/// A [`Refusal`] when answers were wrong or the generator was the limit.
pub fn sound(runs: &[LoadReport]) -> Result<(), Refusal> {
    let errors: u64 = runs.iter().map(|run| run.errors).sum();
    if errors > 0 {
        let first = runs.iter().find_map(|run| run.first_error.clone());
        return Err(Refusal::Failures(errors, first.unwrap_or_default()));
    }
    if runs.iter().any(|run| run.msgs == 0 || run.server_us_per_msg <= 0.0) {
        return Err(Refusal::NothingMeasured);
    }
    let generator = median(runs.iter().map(|run| run.generator_percent));
    let server = median(runs.iter().map(|run| run.server_percent));
    if generator > GENERATOR_BUSY && server < SERVER_IDLE {
        return Err(Refusal::GeneratorBound(generator, server));
    }
    Ok(())
}

impl Ratio {
    /// The median and the range of the rounds' own ratios.
    #[must_use]
    pub fn of(ratios: impl Iterator<Item = f64> + Clone) -> Self {
        let (min, max) = range(ratios.clone());
        Self { median: median(ratios), min, max }
    }

    /// How far the rounds lie apart, in per cent of their median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.max - self.min) / self.median * 100.0
    }
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Below the first a quarter of the values lie, above the second another; 0 of nothing.
pub fn quartiles(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get((values.len().saturating_sub(1) * quarter + 2) / 4).copied().unwrap_or(0.0);
    (at(1), at(3))
}

/// The smallest and the largest value.
pub fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(cpu: &[f64]) -> Vec<LoadReport> {
        let run = |us: &f64| LoadReport {
            msgs: 1_000,
            server_us_per_msg: *us,
            server_percent: 95.0,
            generator_percent: 95.0,
            ..LoadReport::default()
        };
        cpu.iter().map(run).collect()
    }

    #[test]
    fn the_median_of_the_rounds_own_ratios() {
        // The machine was twice as slow in the second round: the ratio does not care.
        let ratio = ratio(&rounds(&[0.22, 0.46, 0.21]), &rounds(&[0.20, 0.40, 0.20])).expect("good rounds");
        assert!((ratio.median - 1.1).abs() < 1e-9, "{ratio:?}");
        assert!((ratio.min - 1.05).abs() < 1e-9 && (ratio.max - 1.15).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn a_spread_above_a_quarter_is_refused() {
        let base = rounds(&[1.0, 1.0, 1.0]);
        assert!(ratio(&rounds(&[0.9, 1.0, 1.14]), &base).is_ok());
        let Err(Refusal::Spread(percent)) = ratio(&rounds(&[0.9, 1.0, 1.16]), &base) else { panic!("not refused") };
        assert!((percent - 26.0).abs() < 1e-6);
    }

    #[test]
    fn a_generator_that_is_the_limit_is_refused_on_either_side() {
        let good = rounds(&[1.0, 1.0]);
        let mut bound = good.clone();
        bound.iter_mut().for_each(|run| (run.generator_percent, run.server_percent) = (98.0, 80.0));
        assert_eq!(ratio(&bound, &good), Err(Refusal::GeneratorBound(98.0, 80.0)));
        assert_eq!(ratio(&good, &bound), Err(Refusal::GeneratorBound(98.0, 80.0)));
        // Both busy: the CPU per message is still the server's own.
        bound.iter_mut().for_each(|run| run.server_percent = 95.0);
        assert!(ratio(&bound, &good).is_ok());
        // Both waiting, for a neighbour on their cores: the same.
        bound.iter_mut().for_each(|run| (run.generator_percent, run.server_percent) = (60.0, 60.0));
        assert!(ratio(&bound, &good).is_ok());
    }

    #[test]
    fn one_wrong_answer_refuses_everything() {
        let good = rounds(&[1.0, 1.0]);
        let mut wrong = good.clone();
        wrong[1].errors = 1;
        wrong[1].first_error = Some("an answer with another body".to_owned());
        let refusal = ratio(&wrong, &good).unwrap_err();
        assert_eq!(refusal.to_string(), "1 wrong or missing answers, the first: an answer with another body");
    }

    #[test]
    fn nothing_measured_and_one_round_are_refused() {
        let good = rounds(&[1.0, 1.0]);
        assert_eq!(ratio(&good[..1], &good[..1]), Err(Refusal::TooFewRounds));
        assert_eq!(ratio(&rounds(&[0.0, 1.0]), &good), Err(Refusal::NothingMeasured));
        assert_eq!(ratio(&[LoadReport::default(), LoadReport::default()], &good), Err(Refusal::NothingMeasured));
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median([].into_iter()), 0.0);
        assert_eq!(quartiles([5.0, 1.0, 900.0, 3.0, 2.0].into_iter()), (2.0, 5.0));
        assert_eq!(quartiles([].into_iter()), (0.0, 0.0));
    }
}
