//! What a request says of the additional labels.

use pitaya_core::rpc::Metadata;
use serde_json::Value;

/// So long a value may be; a longer one is cut.
const LONGEST: usize = 64;

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
        Value::String(text) => Some(text.chars().take(LONGEST).collect()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
