//! CPU per message as multiples of the bare server's, as a picture: SVG that is readable on light and on dark pages.

use std::fmt::Write;

use crate::judge::median;
use crate::suite::claim::Figure;
use crate::suite::results::{Results, RowResult};

/// A group of bars: what stands before it, its scenario, the row that is 1, and ours, Go's and Pinus's.
struct Group {
    title: &'static str,
    scenario: &'static str,
    bare: &'static [&'static str],
    bars: &'static [(Series, &'static str)],
}

#[derive(Clone, Copy)]
enum Series {
    Ours,
    Go,
    Pinus,
}

const GROUPS: &[Group] = &[
    group("raw echo, 16 in flight", "S1", &["bare"], &[(Series::Ours, "sync"), (Series::Go, "go")]),
    group("raw echo, 1 in flight", "S2", &["bare"], &[(Series::Ours, "sync"), (Series::Go, "go")]),
    group(
        "typed JSON, 16 in flight",
        "S3",
        &["bare"],
        &[(Series::Ours, "typed"), (Series::Go, "go"), (Series::Pinus, "pinus")],
    ),
    group("raw WebSocket, 16 in flight", "S4", &["bare"], &[(Series::Ours, "sync"), (Series::Go, "go")]),
    group(
        "forwarded, 16 in flight",
        "S10",
        &["bare-16", "mux-512"],
        &[(Series::Ours, "forwarded-16"), (Series::Go, "go-16")],
    ),
    group(
        "forwarded, 1 in flight",
        "S10",
        &["bare-1", "mux-64"],
        &[(Series::Ours, "forwarded-1"), (Series::Go, "go-1")],
    ),
];

const fn group(
    title: &'static str,
    scenario: &'static str,
    bare: &'static [&'static str],
    bars: &'static [(Series, &'static str)],
) -> Group {
    Group { title, scenario, bare, bars }
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 56.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
/// The axis goes from here to 1,000, each step of ten the same width.
const FROM: f64 = 0.5;
const TO: f64 = 1_000.0;
/// A grey that stands out from white and from black.
const GREY: &str = "#848d97";

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "Pitaya for Rust",
            Self::Go => "Go Pitaya",
            Self::Pinus => "Pinus",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Ours => "#2f81f7",
            Self::Go => "#d29922",
            Self::Pinus => "#a371f7",
        }
    }
}

/// The picture; what was not measured has no bar.
#[must_use]
pub fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for group in GROUPS {
        let bars: Vec<_> =
            group.bars.iter().filter_map(|(series, row)| Some((*series, times(results, group, row)?))).collect();
        if bars.is_empty() {
            continue;
        }
        let middle = y + bars.len() as f64 * BAR / 2.0 + 4.0;
        let _ =
            writeln!(body, r#"<text x="{:.0}" y="{middle:.1}" text-anchor="end">{}</text>"#, LEFT - 10.0, group.title);
        for (series, times) in bars {
            let (start, end) = (at(1.0).min(at(times)), at(1.0).max(at(times)).max(at(1.0) + 2.0));
            let _ = writeln!(
                body,
                r#"<rect x="{start:.1}" y="{y:.1}" width="{:.1}" height="{:.1}" rx="2" fill="{}"><title>{}: {times:.2} times the bare server</title></rect>"#,
                end - start,
                BAR - 2.0,
                series.colour(),
                series.name(),
            );
            let digits = usize::from(times < 10.0) * 2;
            let _ = writeln!(body, r#"<text x="{:.1}" y="{:.1}">{times:.digits$}</text>"#, end + 5.0, y + BAR - 4.0);
            y += BAR;
        }
        y += GAP;
    }
    let height = y + 8.0;
    let mut text = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0} {height:.0}" font-family="system-ui, sans-serif" font-size="12" fill="{GREY}" role="img">
<title>CPU per message, as multiples of a bare server</title>
<text x="12" y="18" font-size="14" font-weight="600">CPU per message, times that of a bare tokio server (logarithmic; less is better)</text>
"#
    );
    let mut x = LEFT;
    for series in [Series::Ours, Series::Go, Series::Pinus] {
        let _ = writeln!(text, r#"<rect x="{x:.0}" y="28" width="10" height="10" rx="2" fill="{}"/>"#, series.colour());
        let _ = writeln!(text, r#"<text x="{:.0}" y="37">{}</text>"#, x + 15.0, series.name());
        x += 130.0;
    }
    for tick in [1.0, 10.0, 100.0, 1_000.0] {
        let _ = writeln!(
            text,
            r#"<line x1="{0:.1}" x2="{0:.1}" y1="{1:.0}" y2="{2:.0}" stroke="{GREY}" stroke-opacity="0.4"/>"#,
            at(tick),
            TOP - 6.0,
            y - GAP + 6.0
        );
        let _ = writeln!(
            text,
            r#"<text x="{:.1}" y="{:.0}" text-anchor="middle" font-size="10">{tick}</text>"#,
            at(tick),
            y + 4.0
        );
    }
    text + &body + "</svg>\n"
}

/// CPU of a row as a multiple of the bare rows'.
fn times(results: &Results, group: &Group, row: &str) -> Option<f64> {
    let scenario = results.scenarios.iter().find(|scenario| scenario.id == group.scenario)?;
    let find = |name: &str| scenario.rows.iter().find(|row| row.name == name).and_then(cpu);
    let bare: Option<f64> = group.bare.iter().map(|name| find(name)).sum();
    Some(find(row)? / bare?)
}

fn cpu(row: &RowResult) -> Option<f64> {
    let figures: Vec<f64> = row.rounds.iter().filter_map(|sample| sample.figures.get(&Figure::Cpu).copied()).collect();
    (!figures.is_empty()).then(|| median(figures.into_iter()))
}

/// Where a value stands on the axis.
fn at(value: f64) -> f64 {
    let share = (value.clamp(FROM, TO) / FROM).ln() / (TO / FROM).ln();
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::results::{Sample, ScenarioResult};

    #[test]
    fn a_bar_for_what_was_measured_and_none_for_what_was_not() {
        let row = |name: &str, cpu: f64| RowResult {
            name: name.to_owned(),
            absent: None,
            rounds: vec![Sample { figures: [(Figure::Cpu, cpu)].into(), ..Sample::default() }],
        };
        let scenario = ScenarioResult {
            id: "S1".to_owned(),
            title: String::new(),
            load_average: Default::default(),
            rows: vec![row("bare", 0.5), row("sync", 0.55), row("go", 25.0)],
            claims: vec![],
        };
        let picture = svg(&Results { scenarios: vec![scenario], ..Results::default() });
        assert_eq!(picture.matches("times the bare server").count(), 2, "{picture}");
        assert!(picture.contains("Go Pitaya: 50.00 times the bare server"), "{picture}");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert!(at(10.0) - at(1.0) - (at(100.0) - at(10.0)) < 1e-9);
    }
}
