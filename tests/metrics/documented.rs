//! `docs/metrics.md` lists what there is: `UPDATE_DOCS=1 cargo test -p pitaya-tests --test metrics documented`.

use pitaya_runtime::metrics::Family;
use pitaya_runtime::prelude::*;
use std::fmt::Write;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
const BEGIN: &str = "<!-- generated: all metrics -->\n";
const END: &str = "<!-- end -->\n";

fn row(family: &Family) -> String {
    let Family { kind, name, short, help, labels, .. } = family;
    let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    format!("| `{name}` | {kind} | {labels} | `{short}` | {help} |\n")
}

#[test]
fn all_metrics_are_listed() {
    // With brokers, whose transport counts too. Nothing is connected before the start.
    let app = Builder::new("game").clustered().acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let mut table = String::from("| Prometheus | type | labels | StatsD | meaning |\n|---|---|---|---|---|\n");
    for family in app.metrics().families() {
        let _ = write!(table, "{}", row(family));
    }
    let text = std::fs::read_to_string(PATH).expect("docs/metrics.md");
    let (before, rest) = text.split_once(BEGIN).expect("the begin of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    let expected = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, expected).expect("it works");
    } else {
        assert!(text == expected, "docs/metrics.md is not up to date: run this test with UPDATE_DOCS=1");
    }
}
