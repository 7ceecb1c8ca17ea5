//! What a request says of the additional labels.

use super::series::bounded;
use pitaya_core::rpc::Metadata;
use serde_json::Value;

/// The values of `pitaya.metrics.additionallabels`, in their order; none where the default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Tags(Vec<Option<String>>);

impl Tags {
    pub(super) fn value(&self, index: usize) -> Option<&str> {
        self.0.get(index)?.as_deref()
    }

    /// Of what a request set, what was announced in the config; nothing else becomes a label.
    pub(super) fn read(names: &[(String, String)], set: Option<&Metadata>) -> Self {
        let Some(set) = set.filter(|_| !names.is_empty()) else { return Self::default() };
        let mut values: Vec<_> = names.iter().map(|(name, _)| set.get(name).and_then(text)).collect();
        if values.iter().all(Option::is_none) {
            values.clear();
        }
        Self(values)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(bounded(text).to_owned()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_announced_is_kept_and_nothing_long() {
        let names = ["level", "text", "other"].map(|name| (name.to_owned(), "default".to_owned()));
        let set = serde_json::json!({ "level": 7, "text": "x".repeat(900_000), "stranger": "y" });
        let tags = Tags::read(&names, set.as_object());
        assert_eq!([0, 1, 2].map(|index| tags.value(index)), [Some("7"), Some("other"), None]);
    }
}
