//! What must a ratio be, and is it?

use serde::{Deserialize, Serialize};

use crate::judge::{self, GENERATOR_BUSY, MAX_SPREAD, Ratio, SERVER_IDLE};
use crate::suite::results::Sample;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// CPU of the servers per message, without the broker, in microseconds.
    Cpu,
    /// The same with the broker.
    CpuWithBroker,
    /// Messages a second.
    Rate,
    /// Median latency in microseconds.
    P50,
    /// 99th percentile of the latency in microseconds.
    P99,
    /// 99.9th percentile.
    P999,
    /// From the telling of a broadcast to the last client, in milliseconds.
    Last,
    /// Resident memory per idle session in bytes.
    Bytes,
    /// CPU of idle sessions in per cent of a core.
    Idle,
    /// Growth of the resident memory in per cent.
    Growth,
    /// The generator's CPU in per cent of a core.
    Generator,
    /// The servers' CPU in per cent of a core.
    Server,
}

/// How two figures are divided, and which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The baseline's cost by the own one: how much of the baseline is reached, or how often less a peer does. More is better.
    Share,
    /// The own cost by the baseline's. Less is better.
    Times,
    /// The own rate by the baseline's. More is better.
    Rate,
    /// The figure itself. Less is better.
    Absolute,
}

/// A figure of a row, divided by the sum of those of others, and its bound.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// What the table says.
    pub title: &'static str,
    /// Whose.
    pub row: &'static str,
    /// Which.
    pub figure: Figure,
    /// Divided by the sum of these; what it is divided by is a peer's when the row is a peer's.
    pub by: &'static [&'static str],
    /// How.
    pub form: Form,
    /// What it must be; `None`: shown only.
    pub bound: Option<f64>,
    /// The bare rows that do the least of the same: what they reach is the most that anybody can, on this machine.
    pub floor: &'static [&'static str],
    /// How much of what they reach must be reached in any case: the bound of another claim.
    pub of_floor: f64,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Verdict {
    /// The bound is kept, or there is none.
    Kept,
    /// It is not kept, and cannot be on this machine: the bare rows do not keep it either by the share of them that must be
    /// reached. That share is.
    AtLimit {
        /// The share of what the bare rows reach.
        share: f64,
    },
    /// It is not.
    Broken,
    /// Nobody can tell.
    Refused {
        /// Why.
        why: String,
    },
    /// A row was not measured.
    Absent {
        /// Why.
        why: String,
    },
}

impl Claim {
    /// A share of the baseline's cost that must be reached.
    #[must_use]
    pub const fn share(title: &'static str, row: &'static str, by: &'static [&'static str], bound: f64) -> Self {
        Self { title, row, figure: Figure::Cpu, by, form: Form::Share, bound: Some(bound), floor: &[], of_floor: 1.0 }
    }

    /// Times the baseline's cost, at most.
    #[must_use]
    pub const fn times(title: &'static str, row: &'static str, by: &'static [&'static str], bound: f64) -> Self {
        Self { form: Form::Times, ..Self::share(title, row, by, bound) }
    }

    /// A rate, at least so many times the baseline's.
    #[must_use]
    pub const fn rate(title: &'static str, row: &'static str, by: &'static [&'static str], bound: f64) -> Self {
        Self { form: Form::Rate, figure: Figure::Rate, ..Self::share(title, row, by, bound) }
    }

    /// A figure that is at most so much.
    #[must_use]
    pub const fn at_most(title: &'static str, row: &'static str, figure: Figure, bound: f64) -> Self {
        Self { title, row, figure, by: &[], form: Form::Absolute, bound: Some(bound), floor: &[], of_floor: 1.0 }
    }

    /// The same claim of another figure.
    #[must_use]
    pub const fn of(self, figure: Figure) -> Self {
        Self { figure, ..self }
    }

    /// The same without a bound.
    #[must_use]
    pub const fn shown(self) -> Self {
        Self { bound: None, ..self }
    }

    /// The same, with what the bare rows reach beside it. Where `share` of that is less than the bound, it is the bound.
    #[must_use]
    pub const fn at_best(self, floor: &'static [&'static str], share: f64) -> Self {
        Self { floor, of_floor: share, ..self }
    }

    /// [`verdict`](Self::verdict), where the bare rows may be the limit. `best` is what they reach.
    #[must_use]
    pub fn verdict_at(
        &self,
        ratio: &Ratio,
        own: &[Sample],
        floor: &[&[Sample]],
        best: Option<f64>,
        rounds: usize,
    ) -> Verdict {
        let verdict = self.verdict(ratio, rounds);
        let (Some(bound), Some(best)) = (self.bound, best) else { return verdict };
        if verdict == Verdict::Kept || best * self.of_floor >= bound {
            return verdict;
        }
        // The peer is on both sides and falls out: what is left is a share of the bare rows.
        let share = Self { bound: Some(self.of_floor), ..*self };
        match share.ratio(own, floor) {
            Ok(reached) if share.verdict(&reached, rounds) == Verdict::Kept => {
                Verdict::AtLimit { share: reached.median }
            }
            _ => verdict,
        }
    }

    /// What the bare rows reach, median of the rounds.
    #[must_use]
    pub fn best(&self, by: &[&[Sample]], floor: &[&[Sample]]) -> Option<f64> {
        let sum = |rows: &[&[Sample]], round: usize| -> Option<f64> {
            rows.iter().map(|rows| rows.get(round)?.figures.get(&self.figure).copied()).sum()
        };
        let rounds = floor.first()?.len();
        let ratios = (0..rounds).map(|round| Some(sum(by, round)? / sum(floor, round)?));
        let ratios: Option<Vec<f64>> = ratios.collect();
        ratios.map(|ratios| judge::median(ratios.into_iter()))
    }

    /// Each round's own ratio. `own` and every one of `by` are the rounds of a row.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ratio(&self, own: &[Sample], by: &[&[Sample]]) -> Result<Ratio, String> {
        for rounds in std::iter::once(&own).chain(by) {
            sound(rounds, self.figure)?;
        }
        let figure = |sample: &Sample| {
            let value = sample.figures.get(&self.figure).copied();
            value.ok_or_else(|| format!("a row has no figure {:?}", self.figure))
        };
        let mut ratios = Vec::new();
        for (round, sample) in own.iter().enumerate() {
            let own = figure(sample)?;
            let mut sum = 0.0;
            for rows in by {
                sum += figure(rows.get(round).ok_or("a round is missing")?)?;
            }
            ratios.push(match self.form {
                Form::Share => sum / own,
                Form::Times | Form::Rate => own / sum,
                Form::Absolute => own,
            });
        }
        if ratios.iter().any(|ratio| !ratio.is_finite()) {
            return Err("nothing was measured".to_owned());
        }
        Ok(Ratio::of(ratios.into_iter()))
    }

    /// Whether the bound is kept. The median decides. Where the rounds lie further apart than 25 % no ratio is printed, and
    /// every single round must keep the bound.
    #[must_use]
    pub fn verdict(&self, ratio: &Ratio, rounds: usize) -> Verdict {
        let steady = self.form == Form::Absolute || ratio.spread() <= MAX_SPREAD;
        let keeps = |value: f64| {
            self.bound.is_none_or(|bound| if self.more_is_better() { value >= bound } else { value <= bound })
        };
        let (worst, best) = if self.more_is_better() { (ratio.min, ratio.max) } else { (ratio.max, ratio.min) };
        match (steady, rounds) {
            (_, 0 | 1) => Verdict::Refused { why: "fewer than two rounds".to_owned() },
            (true, _) if keeps(ratio.median) => Verdict::Kept,
            (true, _) => Verdict::Broken,
            (false, _) if self.bound.is_some() && keeps(worst) => Verdict::Kept,
            (false, _) if self.bound.is_some() && !keeps(best) => Verdict::Broken,
            (false, _) => Verdict::Refused {
                why: format!("its rounds spread over {:.0} % (limit {MAX_SPREAD:.0} %)", ratio.spread()),
            },
        }
    }

    /// The bound as the table shows it.
    #[must_use]
    pub fn must_be(&self) -> String {
        let sign = if self.more_is_better() { "≥" } else { "≤" };
        self.bound.map_or_else(|| "–".to_owned(), |bound| format!("{sign} {bound}"))
    }

    fn more_is_better(&self) -> bool {
        matches!(self.form, Form::Share | Form::Rate)
    }
}

/// Whether the rounds of a row say anything of this figure.
fn sound(rounds: &[Sample], figure: Figure) -> Result<(), String> {
    let errors: u64 = rounds.iter().map(|sample| sample.errors).sum();
    if errors > 0 {
        let first = rounds.iter().find_map(|sample| sample.first_error.clone()).unwrap_or_default();
        return Err(format!("{errors} wrong or missing answers, the first: {first}"));
    }
    if rounds.is_empty() {
        return Err("nothing was measured".to_owned());
    }
    let middle = |figure| judge::median(rounds.iter().filter_map(|sample| sample.figures.get(&figure).copied()));
    let (generator, server) = (middle(Figure::Generator), middle(Figure::Server));
    let paced = rounds.iter().any(|sample| sample.paced);
    // An open loop never sleeps: that its generator is busy says nothing, and that a request left late is in its latency.
    let driven =
        matches!(figure, Figure::Cpu | Figure::CpuWithBroker | Figure::Rate | Figure::P50 | Figure::P99 | Figure::P999);
    if driven && !paced && generator > GENERATOR_BUSY && server < SERVER_IDLE {
        return Err(format!("the generator was the limit: busy {generator:.0} % while the server was {server:.0} %"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(cpu: &[f64]) -> Vec<Sample> {
        let sample = |cpu: &f64| Sample {
            figures: [(Figure::Cpu, *cpu), (Figure::Generator, 95.0), (Figure::Server, 95.0)].into(),
            ..Sample::default()
        };
        cpu.iter().map(sample).collect()
    }

    const SHARE: Claim = Claim::share("", "a", &["b"], 0.9);

    #[test]
    fn a_share_is_of_each_rounds_own_baseline() {
        let ratio = SHARE.ratio(&rounds(&[1.0, 2.0, 0.5]), &[&rounds(&[0.95, 1.9, 0.48])]).expect("good rounds");
        assert!((ratio.median - 0.95).abs() < 1e-9, "{ratio:?}");
        assert_eq!(SHARE.verdict(&ratio, 3), Verdict::Kept);
        let times = Claim::times("", "a", &["b", "c"], 1.4);
        let ratio = times.ratio(&rounds(&[3.0, 3.0]), &[&rounds(&[1.0, 1.0]), &rounds(&[1.0, 1.0])]).expect("good");
        assert_eq!((ratio.median, times.verdict(&ratio, 2)), (1.5, Verdict::Broken));
    }

    #[test]
    fn what_the_bare_rows_reach_is_of_the_same_rounds() {
        let (go, bare) = (rounds(&[8.0, 16.0]), rounds(&[2.0, 4.0]));
        assert_eq!(SHARE.at_best(&["bare"], 1.0).best(&[&go], &[&bare]), Some(4.0));
        assert_eq!(SHARE.best(&[&go], &[]), None);
    }

    #[test]
    fn where_the_bare_rows_are_the_limit_a_share_of_them_is_the_bound() {
        let (go, bare) = (rounds(&[8.0, 16.0]), rounds(&[2.0, 4.0]));
        let judged = |bound: f64, own: &[f64]| {
            let (claim, own) = (Claim::share("", "a", &["go"], bound).at_best(&["bare"], 0.9), rounds(own));
            let ratio = claim.ratio(&own, &[&go]).expect("good rounds");
            claim.verdict_at(&ratio, &own, &[&bare], claim.best(&[&go], &[&bare]), 2)
        };
        assert_eq!(judged(3.0, &[2.1, 4.2]), Verdict::Kept);
        assert!(matches!(judged(4.5, &[2.1, 4.2]), Verdict::AtLimit { share } if (share - 2.0 / 2.1).abs() < 1e-9));
        assert_eq!(judged(4.5, &[2.5, 5.0]), Verdict::Broken, "too little of what can be reached");
        assert_eq!(judged(3.5, &[2.5, 5.0]), Verdict::Broken, "it can be reached");
    }

    #[test]
    fn rounds_that_lie_far_apart_must_all_keep_the_bound_or_all_break_it() {
        let verdict = |min, max| SHARE.verdict(&Ratio { min, median: 1.2, max }, 5);
        assert_eq!(verdict(0.91, 1.5), Verdict::Kept);
        assert!(matches!(verdict(0.8, 1.5), Verdict::Refused { .. }));
        let below = SHARE.verdict(&Ratio { min: 0.3, median: 0.4, max: 0.6 }, 5);
        assert_eq!(below, Verdict::Broken);
        assert!(matches!(
            SHARE.shown().verdict(&Ratio { min: 0.3, median: 0.4, max: 0.6 }, 5),
            Verdict::Refused { .. }
        ));
        assert!(matches!(SHARE.verdict(&Ratio { min: 1.0, median: 1.0, max: 1.0 }, 1), Verdict::Refused { .. }));
    }

    #[test]
    fn a_wrong_answer_and_a_generator_that_is_the_limit_are_refused_on_either_side() {
        let good = rounds(&[1.0, 1.0]);
        let mut wrong = good.clone();
        (wrong[1].errors, wrong[1].first_error) = (1, Some("an error".to_owned()));
        assert_eq!(SHARE.ratio(&good, &[&wrong]).unwrap_err(), "1 wrong or missing answers, the first: an error");
        let mut bound = good.clone();
        for sample in &mut bound {
            sample.figures.extend([(Figure::Generator, 98.0), (Figure::Server, 80.0)]);
        }
        assert!(SHARE.ratio(&bound, &[&good]).unwrap_err().starts_with("the generator was the limit"));
        assert!(SHARE.ratio(&good, &[&bound]).is_err());
        bound.iter_mut().for_each(|sample| sample.paced = true);
        assert!(SHARE.ratio(&bound, &[&good]).is_ok());
    }
}
