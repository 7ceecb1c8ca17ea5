//! The text format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use super::super::families::Family;
use metrics::Key;
use std::fmt::Write;

/// `# HELP` and `# TYPE`.
pub(super) fn head(out: &mut String, family: &Family) {
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a text does not fail.
    let _ = writeln!(out, "# HELP {} {help}\n# TYPE {} {}", family.name, family.name, family.kind);
}

/// The labels of a key without braces, sorted by name as Go writes them.
pub(super) fn labels(key: &Key) -> String {
    let mut labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
    labels.sort_unstable();
    let mut out = String::new();
    for (name, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{name}=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out
}

/// One line. `extra` is one more label, written already.
pub(super) fn sample(out: &mut String, name: &str, suffix: &str, labels: &str, extra: &str, value: f64) {
    let comma = if labels.is_empty() || extra.is_empty() { "" } else { "," };
    let _ = write!(out, "{name}{suffix}");
    if !(labels.is_empty() && extra.is_empty()) {
        let _ = write!(out, "{{{labels}{comma}{extra}}}");
    }
    let _ = match value {
        value if value == f64::INFINITY => writeln!(out, " +Inf"),
        value if value == f64::NEG_INFINITY => writeln!(out, " -Inf"),
        value => writeln!(out, " {value}"),
    };
}
