//! The files that settings stand in: TOML, YAML, JSON.
//!
//! A file may hold passwords, so an error has a place and says what was expected there; it never quotes the file.

use super::{json, yaml_bounds};
use crate::files::read_text;
use serde_json::{Map, Value};
use std::path::Path;
use toml::de::{DeTable, DeValue};
use yaml_rust2::{ScanError, Yaml, YamlLoader, yaml::Hash};

/// The key by which a mapping of YAML takes over the entries of others.
const MERGE: &str = "<<";

/// Reads a file as a table; its extension tells the format.
///
/// # Errors
///
/// What is wrong with the file, without its path.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let parse = match extension.to_ascii_lowercase().as_str() {
        "toml" => toml,
        "yaml" | "yml" => yaml,
        "json" => json::parse,
        _ => return Err("the name must end with .toml, .yaml, .yml or .json".to_owned()),
    };
    let text = read_text(path).map_err(|error| format!("cannot be read: {error}"))?;
    parse(&text)
}

/// What is wrong at a place, both counted from 1.
pub(super) fn at(line: usize, column: usize, what: &str) -> String {
    format!("line {line}, column {column}: {what}")
}

fn toml(text: &str) -> Result<Map<String, Value>, String> {
    let table = DeTable::parse(text).map_err(|error| {
        // Of the error only this: its own display shows the line.
        let named = error.span().and_then(|span| text.get(span)).map(|name| name.trim_matches(['"', '\'']));
        let what = match (error.message(), named) {
            ("duplicate key", Some(name)) => format!("`{name}` is set twice here; leave one"),
            (message, _) => message.to_owned(),
        };
        match error.span() {
            Some(span) => {
                let before = text.get(..span.start).unwrap_or(text);
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                at(before.matches('\n').count() + 1, column, &what)
            }
            None => what,
        }
    })?;
    table
        .into_inner()
        .into_iter()
        .map(|(name, value)| of_toml(value.into_inner()).map(|v| (name.into_inner().into(), v)))
        .collect()
}

fn of_toml(value: DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => text.into_owned().into(),
        DeValue::Boolean(value) => value.into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Integer(number) => {
            let digits = number.as_str();
            match i64::from_str_radix(digits, number.radix()) {
                Ok(value) => value.into(),
                // Its key will refuse the text and show it.
                Err(_) => digits.into(),
            }
        }
        DeValue::Float(number) => of_float(number.as_str().parse().unwrap_or(f64::INFINITY)),
        DeValue::Array(items) => items.into_iter().map(|item| of_toml(item.into_inner())).collect::<Result<_, _>>()?,
        DeValue::Table(table) => {
            let pair = |(name, value): (toml::Spanned<_>, toml::Spanned<DeValue<'_>>)| {
                let name: std::borrow::Cow<'_, str> = name.into_inner();
                Ok((name.into_owned(), of_toml(value.into_inner())?))
            };
            table.into_iter().map(pair).collect::<Result<Map<_, _>, String>>()?.into()
        }
    })
}

/// What JSON cannot hold goes on as a text: its key will refuse it and show it.
fn of_float(value: f64) -> Value {
    if value.is_finite() { value.into() } else { value.to_string().into() }
}

fn yaml(text: &str) -> Result<Map<String, Value>, String> {
    yaml_bounds::check(text)?;
    let mut documents = YamlLoader::load_from_str(text).map_err(|error| scan_error(&error))?;
    if documents.len() > 1 {
        return Err(format!("there are {} documents in it, and one is wanted", documents.len()));
    }
    match documents.pop() {
        None | Some(Yaml::Null) => Ok(Map::new()),
        Some(Yaml::Hash(table)) => of_mapping(table),
        Some(_) => Err("it must hold a mapping, such as `pitaya:` and settings below it".to_owned()),
    }
}

fn scan_error(error: &ScanError) -> String {
    let place = error.marker();
    let twice = error.info().strip_suffix(": duplicated key in mapping");
    let what = match twice.and_then(|key| key.strip_prefix("String(\"")?.strip_suffix("\")")) {
        Some(key) => format!("`{key}` is set twice here; leave one"),
        None if twice.is_some() => "a key is set twice here; leave one".to_owned(),
        None => error.info().to_owned(),
    };
    at(place.line(), place.col() + 1, &what)
}

fn of_yaml(value: Yaml) -> Result<Value, String> {
    Ok(match value {
        Yaml::String(text) => text.into(),
        Yaml::Integer(number) => number.into(),
        Yaml::Boolean(value) => value.into(),
        Yaml::Real(ref text) => match value.as_f64() {
            Some(number) => of_float(number),
            None => text.as_str().into(),
        },
        Yaml::Array(items) => items.into_iter().map(of_yaml).collect::<Result<_, _>>()?,
        Yaml::Hash(table) => of_mapping(table)?.into(),
        Yaml::Null | Yaml::BadValue | Yaml::Alias(_) => Value::Null,
    })
}

/// Reads a mapping, and puts in the entries of those that it merges: the first that has an entry wins, and an entry of
/// the mapping itself goes before them all.
fn of_mapping(table: Hash) -> Result<Map<String, Value>, String> {
    let (mut own, mut merged) = (Map::new(), Map::new());
    for (name, value) in table {
        let name = match name {
            Yaml::String(name) | Yaml::Real(name) => name,
            Yaml::Integer(number) => number.to_string(),
            Yaml::Boolean(value) => value.to_string(),
            _ => return Err("a key of a mapping must be a text or a number".to_owned()),
        };
        if name != MERGE {
            own.insert(name, of_yaml(value)?);
            continue;
        }
        let sources = match value {
            Yaml::Array(sources) => sources,
            one => vec![one],
        };
        for source in sources {
            let Yaml::Hash(source) = source else {
                return Err(format!("`{MERGE}` takes a mapping or a list of mappings, such as `{MERGE}: *base`"));
            };
            for (name, value) in of_mapping(source)? {
                merged.entry(name).or_insert(value);
            }
        }
    }
    // Names of keys do not depend on case.
    let is_own = |name: &str| own.keys().any(|own| own.eq_ignore_ascii_case(name));
    let left: Map<_, _> = merged.into_iter().filter(|(name, _)| !is_own(name)).collect();
    own.extend(left);
    Ok(own)
}
