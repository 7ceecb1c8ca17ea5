//! Settings as they may be shown and written: without passwords, and without the logins in addresses.

use super::setting::Setting;
use pitaya_core::text::{HIDDEN, redact};
use serde_json::Value;
use std::fmt;

/// Shows a setting in `Debug` as it stands in a file.
pub(crate) struct Shown<'a>(pub(crate) &'a dyn Setting);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value() {
            Value::Null if self.0.secret() => f.write_str(HIDDEN),
            value => write!(f, "{}", without_logins(value)),
        }
    }
}

/// A value for a message: as JSON, without the passwords of addresses, and not without end.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = without_logins(value.clone()).to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

/// A value without the names and passwords in its texts.
pub(super) fn without_logins(value: Value) -> Value {
    match value {
        Value::String(text) => redact(&text).into(),
        Value::Array(items) => items.into_iter().map(without_logins).collect(),
        Value::Object(table) => table
            .into_iter()
            .map(|(name, value)| (redact(&name), without_logins(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Whether an address was written by [`without_logins`]: it must not be taken for one with the user `..`.
pub(super) fn has_hidden_login(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("..@"),
        Value::Array(items) => items.iter().any(has_hidden_login),
        _ => false,
    }
}
