//! From sources to settings: which name is meant, which source wins, is the value fit?

use std::{collections::BTreeMap, fs, path::Path};

use config::{FileFormat, Format, ValueKind};
use pitaya_core::wire::UPDATE_VARIABLE;
use serde_json::{Map, Value};

use super::{
    Config, ConfigErrors, ConfigProblem, Loaded, Origin, Warning,
    keys::{
        Key, Section,
        legacy::{ALIASES, RETIRED},
    },
    nearest::nearest,
    problem::{guess, shown},
    validate,
};

/// Variables that look like settings and are none: an order for this run, and where the tests find Go Pitaya.
const NO_SETTINGS: [&str; 2] = [UPDATE_VARIABLE, "PITAYA_GO_DIR"];

/// What a name stands for.
#[derive(Clone, Copy)]
enum Name {
    Key(&'static str),
    Alias(&'static str),
    Retired(&'static str),
}

/// A value for a key. Of two, the one of the higher rank holds.
struct Found {
    rank: Rank,
    value: Value,
    origin: Origin,
}

/// A variable before a file; within one source, the key's own name before an alias.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    variable: bool,
    own_name: bool,
}

/// A configuration in the making.
pub(super) struct Loading {
    config: Config,
    names: BTreeMap<&'static str, Name>,
    found: BTreeMap<&'static str, Found>,
    warnings: Vec<Warning>,
    problems: Vec<ConfigProblem>,
}

impl Loading {
    /// Begins with settings that hold unless a source says otherwise.
    pub(super) fn new(mut config: Config) -> Self {
        let mut names = BTreeMap::new();
        config.walk(&mut |key, _| {
            names.insert(key.name, Name::Key(key.name));
        });
        names.extend(ALIASES.iter().map(|alias| (alias.name, Name::Alias(alias.key))));
        names.extend(RETIRED.iter().map(|retired| (retired.name, Name::Retired(retired.instead))));
        Self { config, names, found: BTreeMap::new(), warnings: Vec::new(), problems: Vec::new() }
    }

    /// Takes what stands below `pitaya` in a file.
    pub(super) fn file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        match read(path) {
            Ok(table) => {
                let ours = table.into_iter().filter(|(name, _)| {
                    let first = name.split('.').next().unwrap_or_default();
                    first.eq_ignore_ascii_case("pitaya")
                });
                let ours: Map<_, _> = ours.collect();
                // Nobody gives a file that says nothing: its settings probably stand a level too high.
                if ours.is_empty() {
                    self.warn("pitaya", &origin, "nothing is set below this name in the file".to_owned());
                }
                self.tree("", ours, &origin);
            }
            Err(why) => self.problems.push(ConfigProblem::File { path: path.to_owned(), why }),
        }
    }

    /// Takes a table of settings. `path` is the key it stands under, empty at the top.
    pub(super) fn tree(&mut self, path: &str, table: Map<String, Value>, origin: &Origin) {
        for (name, value) in table {
            let name = name.to_lowercase();
            let name = if path.is_empty() { name } else { format!("{path}.{name}") };
            match (self.names.get(name.as_str()).copied(), value) {
                (Some(meant), value) => self.set(&name, meant, value, origin.clone()),
                (None, Value::Object(below)) => self.tree(&name, below, origin),
                (None, value) => self.stranger(name, &value, origin),
            }
        }
    }

    /// Takes a variable of the environment.
    pub(super) fn variable(&mut self, variable: &str, value: &str) {
        if !variable.starts_with("PITAYA_") || NO_SETTINGS.contains(&variable) || value.is_empty() {
            return;
        }
        // Exact, since no key contains an underscore.
        let name = variable.to_lowercase().replace('_', ".");
        let origin = Origin::Variable(variable.to_owned());
        match self.names.get(name.as_str()).copied() {
            Some(meant) => self.set(&name, meant, value.into(), origin),
            None => {
                let near = nearest(&name, self.keys()).map(super::reference::variable);
                let text = format!("no key has this variable; it is not looked at{}", guess(&near));
                self.warnings.push(Warning { key: variable.to_owned(), origin: Origin::Code, text });
            }
        }
    }

    /// Notes a value under a name that is known.
    fn set(&mut self, name: &str, meant: Name, value: Value, origin: Origin) {
        // `pass:` with nothing after it leaves the default, as in Go.
        if value.is_null() {
            return;
        }
        let (key, own_name) = match meant {
            Name::Key(key) => (key, true),
            Name::Alias(key) => {
                self.warn(name, &origin, format!("an old name; write `{key}`"));
                (key, false)
            }
            Name::Retired(instead) => return self.warn(name, &origin, format!("has no effect here: {instead}")),
        };
        let found = Found { rank: Rank { variable: matches!(origin, Origin::Variable(_)), own_name }, value, origin };
        match self.found.get(key) {
            Some(other) if other.rank == found.rank => {
                let why = "set twice here, by two names or spellings; leave one".to_owned();
                // Not shown: it may be a password.
                let value = "..".to_owned();
                self.problems.push(ConfigProblem::Value { key: key.to_owned(), value, origin: found.origin, why });
            }
            Some(other) if other.rank > found.rank => {}
            _ => {
                self.found.insert(key, found);
            }
        }
    }

    /// A name in a file that is no key: an empty section, a section that was given a value, or a slip.
    fn stranger(&mut self, name: String, value: &Value, origin: &Origin) {
        let below = format!("{name}.");
        let inside: Vec<&str> = self.keys().filter_map(|key| key.strip_prefix(&below)).collect();
        if inside.is_empty() {
            let nearest = nearest(&name, self.keys()).map(str::to_owned);
            self.problems.push(ConfigProblem::Unknown { key: name, origin: origin.clone(), nearest });
        } else if !value.is_null() {
            let mut parts: Vec<&str> = inside.iter().filter_map(|key| key.split('.').next()).collect();
            parts.dedup();
            let why = format!("this is a section; below it stand {}", parts.join(", "));
            self.problems.push(ConfigProblem::Value { key: name, value: shown(value), origin: origin.clone(), why });
        }
    }

    /// Reads the values that won, and checks what came out.
    pub(super) fn finish(self) -> Result<Loaded, ConfigErrors> {
        let Self { mut config, mut found, warnings, mut problems, .. } = self;
        let mut origins = BTreeMap::new();
        let mut unread = false;
        config.walk(&mut |key: &Key, setting| {
            let Some(Found { value, origin, .. }) = found.remove(key.name) else { return };
            if let Err(why) = setting.read(&value) {
                unread = true;
                let value = if setting.secret() { "..".to_owned() } else { shown(&value) };
                problems.push(ConfigProblem::Value { key: key.name.to_owned(), value, origin, why });
            } else {
                origins.insert(key.name, origin);
            }
        });
        // A value that could not be read left a default behind, which must not be held against the others.
        let unfit = if unread { validate::each(&config) } else { validate::all(&config) };
        problems.extend(unfit.into_iter().map(|problem| match problem {
            ConfigProblem::Value { key, value, origin, why } => {
                let origin = origins.get(key.as_str()).cloned().unwrap_or(origin);
                ConfigProblem::Value { key, value, origin, why }
            }
            other => other,
        }));
        if problems.is_empty() { Ok(Loaded { config, warnings }) } else { Err(ConfigErrors(problems)) }
    }

    fn warn(&mut self, name: &str, origin: &Origin, text: String) {
        self.warnings.push(Warning { key: name.to_owned(), origin: origin.clone(), text });
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().filter_map(|(name, meant)| matches!(meant, Name::Key(_)).then_some(*name))
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = match extension.to_ascii_lowercase().as_str() {
        "toml" => FileFormat::Toml,
        "yaml" | "yml" => FileFormat::Yaml,
        "json" => FileFormat::Json,
        _ => return Err("the name must end with .toml, .yaml, .yml or .json".to_owned()),
    };
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let table = format.parse(None, &text).map_err(|error| error.to_string())?;
    Ok(table.into_iter().map(|(name, value)| (name, plain(value.kind))).collect())
}

/// The parser's value as JSON, the one form that settings are read from.
fn plain(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(value) => value.into(),
        ValueKind::U64(value) => value.into(),
        // What JSON cannot hold goes on as a text: its key will refuse it and show it.
        ValueKind::I128(value) => value.to_string().into(),
        ValueKind::U128(value) => value.to_string().into(),
        ValueKind::Float(value) if !value.is_finite() => value.to_string().into(),
        ValueKind::Float(value) => value.into(),
        ValueKind::String(value) => value.into(),
        ValueKind::Array(items) => items.into_iter().map(|item| plain(item.kind)).collect(),
        ValueKind::Table(table) => {
            table.into_iter().map(|(name, value)| (name, plain(value.kind))).collect::<Map<_, _>>().into()
        }
    }
}
