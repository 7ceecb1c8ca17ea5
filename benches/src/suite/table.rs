//! The results as Markdown.

use std::fmt::Write;

use crate::judge::{MAX_SPREAD, median, range};
use crate::suite::claim::{Figure, Verdict};
use crate::suite::results::{ClaimResult, Results, RowResult, ScenarioResult};

/// All claims in one table.
#[must_use]
pub fn claims(results: &Results) -> String {
    let mut text = "| | claim | ratio (range) | must be | | bare server |\n|---|---|---|---|---|---|\n".to_owned();
    for scenario in &results.scenarios {
        let _ = writeln!(text, "| **{}** | *{}* | | | | |", scenario.id, scenario.title);
        for claim in &scenario.claims {
            let best = claim.at_best.map_or_else(String::new, number);
            let (ratio, verdict) = (ratio(claim), verdict(claim));
            let _ = writeln!(text, "| | {} | {ratio} | {} | {verdict} | {best} |", claim.title, claim.must_be);
        }
    }
    text
}

/// The figures behind the claims of one scenario.
#[must_use]
pub fn rows(scenario: &ScenarioResult) -> String {
    let shown: Vec<Column> =
        COLUMNS.iter().filter(|column| scenario.rows.iter().any(|row| has(row, column.figure))).copied().collect();
    let mut text = format!(
        "**{}. {}.** Load average {} to {}.\n\n| row |",
        scenario.id, scenario.title, scenario.load_average[0], scenario.load_average[1]
    );
    shown.iter().for_each(|column| text.extend([" ", column.title, " |"]));
    text.push_str("\n|---|");
    shown.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    for row in &scenario.rows {
        let _ = write!(text, "| `{}` |", row.name);
        if let Some(why) = &row.absent {
            let _ = writeln!(text, " absent: {why} |{}", " |".repeat(shown.len().saturating_sub(1)));
            continue;
        }
        for column in &shown {
            let _ = write!(text, " {} |", cell(row, *column));
        }
        text.push('\n');
    }
    text
}

#[derive(Clone, Copy)]
struct Column {
    figure: Figure,
    title: &'static str,
    digits: usize,
    ranged: bool,
}

const fn column(figure: Figure, title: &'static str, digits: usize, ranged: bool) -> Column {
    Column { figure, title, digits, ranged }
}

const COLUMNS: [Column; 12] = [
    column(Figure::Rate, "a second", 0, false),
    column(Figure::Cpu, "CPU µs each (range)", 3, true),
    column(Figure::CpuWithBroker, "with broker", 3, false),
    column(Figure::P50, "p50 µs", 0, false),
    column(Figure::P99, "p99 µs", 0, true),
    column(Figure::P999, "p99.9 µs", 0, false),
    column(Figure::Last, "last ms", 1, true),
    column(Figure::Bytes, "bytes", 0, true),
    column(Figure::Idle, "idle CPU %", 2, true),
    column(Figure::Growth, "growth %", 1, true),
    column(Figure::Server, "server CPU %", 0, false),
    column(Figure::Generator, "generator CPU %", 0, false),
];

fn figures(row: &RowResult, figure: Figure) -> impl Iterator<Item = f64> + Clone {
    row.rounds.iter().filter_map(move |sample| sample.figures.get(&figure).copied())
}

fn has(row: &RowResult, figure: Figure) -> bool {
    // Only a cluster has a broker.
    let broker = |row: &RowResult| figures(row, Figure::CpuWithBroker).ne(figures(row, Figure::Cpu));
    figures(row, figure).next().is_some() && (figure != Figure::CpuWithBroker || broker(row))
}

fn cell(row: &RowResult, Column { figure, digits, ranged, .. }: Column) -> String {
    if !has(row, figure) {
        return String::new();
    }
    let middle = median(figures(row, figure));
    let (min, max) = range(figures(row, figure));
    if ranged { format!("{middle:.digits$} ({min:.digits$}..{max:.digits$})") } else { format!("{middle:.digits$}") }
}

fn number(value: f64) -> String {
    let digits = digits(value);
    format!("{value:.digits$}")
}

fn digits(value: f64) -> usize {
    match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    }
}

fn ratio(claim: &ClaimResult) -> String {
    let Some(ratio) = claim.ratio else { return String::new() };
    let digits = digits(ratio.median);
    let range = format!("{:.digits$}..{:.digits$}", ratio.min, ratio.max);
    match claim.verdict {
        Verdict::Refused { .. } => format!("refused ({range})"),
        // No ratio is printed, but every single round says the same.
        _ if (ratio.max - ratio.min) / ratio.median * 100.0 > MAX_SPREAD => format!("in every round ({range})"),
        _ => format!("**{:.digits$}** ({range})", ratio.median),
    }
}

fn verdict(claim: &ClaimResult) -> String {
    match &claim.verdict {
        Verdict::Kept if claim.must_be == "–" => String::new(),
        Verdict::Kept => "kept".to_owned(),
        Verdict::AtLimit { share } => format!("the bare server's limit: {share:.2} of it"),
        Verdict::Broken => "**not kept**".to_owned(),
        Verdict::Refused { why } => format!("refused: {why}"),
        Verdict::Absent { why } => format!("absent: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::results::{Range, Sample};

    fn results() -> Results {
        let sample = |cpu: f64| Sample {
            figures: [(Figure::Cpu, cpu), (Figure::CpuWithBroker, cpu), (Figure::Rate, 1e6)].into(),
            ..Sample::default()
        };
        let row = |name: &str, absent: Option<&str>, rounds| RowResult {
            name: name.to_owned(),
            absent: absent.map(str::to_owned),
            rounds,
        };
        let claim = |title: &str, ratio, verdict| ClaimResult {
            title: title.to_owned(),
            must_be: "≥ 0.9".to_owned(),
            of_peer: true,
            ratio,
            at_best: Some(30.0),
            verdict,
        };
        let range = Range { median: 0.954, min: 0.9, max: 1.0 };
        Results {
            scenarios: vec![ScenarioResult {
                id: "S1".to_owned(),
                title: "Echo".to_owned(),
                load_average: ["1".to_owned(), "2".to_owned()],
                rows: vec![
                    row("bare", None, vec![sample(1.0), sample(3.0), sample(2.0)]),
                    row("go", Some("not here"), vec![]),
                ],
                claims: vec![
                    claim("a", Some(range), Verdict::Kept),
                    claim("b", Some(range), Verdict::Refused { why: "spread".to_owned() }),
                    claim("c", None, Verdict::Absent { why: "not here".to_owned() }),
                ],
            }],
            ..Results::default()
        }
    }

    #[test]
    fn a_refused_ratio_is_not_printed() {
        let text = claims(&results());
        assert!(text.contains("| | a | **0.95** (0.90..1.00) | ≥ 0.9 | kept | 30.0 |"), "{text}");
        assert!(text.contains("| | b | refused (0.90..1.00) | ≥ 0.9 | refused: spread | 30.0 |"), "{text}");
        assert!(text.contains("| | c |  | ≥ 0.9 | absent: not here | 30.0 |"), "{text}");
    }

    #[test]
    fn only_columns_with_figures_are_there() {
        let text = rows(&results().scenarios[0]);
        assert!(text.contains("| row | a second | CPU µs each (range) |\n"), "{text}");
        assert!(text.contains("| `bare` | 1000000 | 2.000 (1.000..3.000) |"), "{text}");
        assert!(text.contains("| `go` | absent: not here | |"), "{text}");
    }
}
