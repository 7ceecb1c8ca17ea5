//! What came out, as it is kept: JSON that tables, plot and documentation are made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::Ratio;
use crate::suite::claim::{Figure, Verdict};

/// One run of one row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    /// What was measured.
    pub figures: BTreeMap<Figure, f64>,
    /// Wrong, missing and error answers and lost connections.
    pub errors: u64,
    /// What the first of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// The generator kept a rate and never slept.
    #[serde(default)]
    pub paced: bool,
}

/// The rounds of one row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowResult {
    /// Its name in the scenario.
    pub name: String,
    /// Why it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// One a round.
    pub rounds: Vec<Sample>,
}

/// One claim and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimResult {
    /// What is claimed.
    pub title: String,
    /// What it must be.
    pub must_be: String,
    /// Whether it is of another project's server.
    pub of_peer: bool,
    /// The median of the rounds' own ratios and their range, as far as there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Range>,
    /// What the bare server reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_best: Option<f64>,
    /// What came of it.
    pub verdict: Verdict,
}

/// A median and its range.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Range {
    /// The median of the rounds.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl From<Ratio> for Range {
    fn from(ratio: Ratio) -> Self {
        Self { median: ratio.median, min: ratio.min, max: ratio.max }
    }
}

/// One scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// `S1` to `S16`.
    pub id: String,
    /// What it asks.
    pub title: String,
    /// The load average before and after.
    pub load_average: [String; 2],
    /// What was measured.
    pub rows: Vec<RowResult>,
    /// What it must show.
    pub claims: Vec<ClaimResult>,
}

/// One run of the suite.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// The day, as `2025-01-31`.
    pub date: String,
    /// The command.
    pub command: String,
    /// CPU, number of CPUs, kernel.
    pub machine: String,
    /// Rounds, and seconds of each run.
    pub rounds: usize,
    /// Length of the window of a run.
    pub secs: f64,
    /// What was run.
    pub scenarios: Vec<ScenarioResult>,
}

impl Results {
    /// What `--check` complains of: every claim of ours that is not shown to hold. A peer that is missing is no fault.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for scenario in &self.scenarios {
            for claim in &scenario.claims {
                let why = match &claim.verdict {
                    Verdict::Kept | Verdict::AtLimit { .. } => continue,
                    Verdict::Absent { .. } if claim.of_peer => continue,
                    Verdict::Broken => {
                        let ratio = claim.ratio.map_or(0.0, |ratio| ratio.median);
                        format!("{ratio:.3}, must be {}", claim.must_be)
                    }
                    // What has no bound cannot be broken.
                    Verdict::Refused { .. } if claim.must_be == "–" => continue,
                    Verdict::Refused { why } | Verdict::Absent { why } => why.clone(),
                };
                broken.push(format!("{} {}: {why}", scenario.id, claim.title));
            }
        }
        broken
    }

    /// Rows with wrong, missing or late answers: they fail a run whatever it was for.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for scenario in &self.scenarios {
            for row in &scenario.rows {
                let errors: u64 = row.rounds.iter().map(|sample| sample.errors).sum();
                if errors > 0 {
                    let first = row.rounds.iter().find_map(|sample| sample.first_error.as_deref()).unwrap_or_default();
                    failures.push(format!("{} {}: {errors} failures, the first: {first}", scenario.id, row.name));
                }
            }
        }
        failures
    }
}
