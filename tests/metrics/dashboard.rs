//! The dashboard asks only for what there is.

use crate::game::{game, keys};
use pitaya_runtime::metrics::Kind;
use pitaya_runtime::prelude::*;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/metrics/");

fn dashboard() -> Value {
    let text = std::fs::read_to_string(format!("{FOLDER}dashboard.json")).expect("it works");
    serde_json::from_str(&text).expect("it is JSON")
}

/// All names that begin as ours do, each with the labels that are asked of it.
fn asked(query: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("pitaya_") {
        let rest = &query[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let inside =
            rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let labels = inside.split(", ").filter_map(|matcher| matcher.split(['=', '!']).next());
        found.push((rest[..end].to_owned(), labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()));
    }
    found
}

#[test]
fn its_queries_name_families_and_labels_that_exist() {
    let config = Config::load(format!("{FOLDER}config.toml")).expect("it works").config;
    let app =
        game().configure(|c| c.metrics = config.metrics).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let mut known = HashMap::new();
    for family in app.metrics().families() {
        let suffixes: &[&str] = match family.kind {
            Kind::Summary => &["", "_sum", "_count"],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        for suffix in suffixes {
            known.insert(format!("{}{suffix}", family.name), family);
        }
    }
    let dashboard = dashboard();
    let mut names = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("it works") {
        for target in panel["targets"].as_array().expect("it works") {
            let query = target["expr"].as_str().expect("it works");
            let asked = asked(query);
            assert!(!asked.is_empty(), "{query}");
            for (name, labels) in asked {
                let family = known.get(&name).unwrap_or_else(|| panic!("there is no {name}: {query}"));
                for label in &labels {
                    let everywhere = ["game", "serverType", "quantile"].contains(&&**label);
                    assert!(everywhere || family.labels.contains(label), "{name} has no label {label}: {query}");
                }
                names.insert(family.name.clone());
            }
        }
    }
    assert!(names.len() > 15, "{names:?}");
}

#[test]
fn it_loads_without_edits() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("it works");
    assert!(
        variables.iter().any(|v| v["type"] == "datasource" && v["name"] == "datasource" && v["query"] == "prometheus")
    );
    assert!(dashboard.get("__inputs").is_none(), "nothing to be filled in");
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("it works") {
        assert!(ids.insert(panel["id"].as_u64().expect("it works")), "two panels with one id");
        let targets = panel["targets"].as_array().expect("it works").iter();
        for source in targets.chain([panel]).map(|asks| &asks["datasource"]["uid"]) {
            assert_eq!(source, "${datasource}");
        }
    }
}

#[test]
fn the_configuration_of_the_example_is_one() {
    // As `keys` reads files too: both know the same names.
    let config = Config::load(format!("{FOLDER}config.toml")).expect("it works");
    assert!(config.warnings.is_empty() && config.config.metrics.prometheus.enabled);
    assert_ne!(config.config.metrics, keys(&serde_json::json!({})));
}
