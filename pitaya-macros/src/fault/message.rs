//! The text of a message: `"at most {max} players"` captures the field `max`, `"{0}"` the first of a tuple.

use super::Field;
use syn::{Error, LitStr, Result};

/// A format string whose captures are bindings of the fields.
pub(super) struct Message {
    /// The text for `format!`, with the names of the bindings.
    pub(super) text: LitStr,
    /// The captured fields, each once.
    pub(super) fields: Vec<Field>,
}

impl Message {
    /// Reads a text; `find` gives the field of a name, or says why there is none.
    pub(super) fn read(text: &LitStr, find: impl Fn(&str) -> std::result::Result<Field, String>) -> Result<Self> {
        let value = text.value();
        let (mut made, mut fields, mut rest) = (String::new(), Vec::<Field>::new(), value.as_str());
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            made += before;
            made.push('{');
            rest = &after[1..];
            if let Some(after) = rest.strip_prefix('{') {
                made.push('{');
                rest = after;
                continue;
            }
            let name = &rest[..rest.find(['}', ':']).unwrap_or(rest.len())];
            rest = &rest[name.len()..];
            if name.trim().is_empty() {
                let why = "a message names the field it shows\nhelp: write `{0}` for the first field of a tuple, `{max}` for `max`";
                return Err(Error::new(text.span(), why));
            }
            let field = find(name.trim()).map_err(|why| Error::new(text.span(), why))?;
            made += &field.binding.to_string();
            if !fields.iter().any(|known| known.binding == field.binding) {
                fields.push(field);
            }
        }
        made += rest;
        // What a text captures is looked up from where the text stands: with our hygiene, as the bindings.
        Ok(Self { text: LitStr::new(&made, crate::emit::at(text.span())), fields })
    }
}
