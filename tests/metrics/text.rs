//! What `/metrics` shows, read back.

use pitaya_runtime::App;
use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All samples.
#[derive(Debug)]
pub struct Scrape(pub Vec<Sample>);

impl Scrape {
    pub fn of(app: &App) -> Self {
        Self::parse(&app.metrics().render())
    }

    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).map(sample).collect())
    }

    /// The samples of this name with these labels among theirs.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|known| known == value))
        };
        self.0.iter().filter(fits).collect()
    }

    /// The value of the only one.
    pub fn one(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        match self.all(name, labels)[..] {
            [] => None,
            [sample] => Some(sample.value),
            ref several => panic!("{name} {labels:?} is not one: {several:#?}"),
        }
    }

    /// All values of a label.
    pub fn values(&self, label: &str) -> Vec<&str> {
        let mut values: Vec<_> = self.0.iter().filter_map(|sample| sample.labels.get(label).map(|v| &**v)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

fn sample(line: &str) -> Sample {
    let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
    let (name, inside) = match head.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("no end: {line}"))),
        None => (head, ""),
    };
    // No label of these tests holds a quote or a comma.
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
        (name.to_owned(), value.trim_matches('"').to_owned())
    };
    let labels = inside.split(',').filter(|text| !text.is_empty()).map(pair).collect();
    Sample { name: name.to_owned(), labels, value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")) }
}
