//! From sources to settings: which name is meant, which source wins, is the value fit?

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use pitaya_core::text::HIDDEN;
use serde_json::{Map, Value};

use super::{
    Config, ConfigErrors, ConfigProblem, Loaded, Origin, Warning, document, environment,
    keys::{
        Key, Section,
        legacy::{ALIASES, RETIRED},
    },
    nearest::nearest,
    problem::guess,
    shown::{has_hidden_login, shown},
    validate,
};

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
    /// Variables that Kubernetes has set for its Services.
    service_links: Vec<String>,
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
        let (found, service_links) = (BTreeMap::new(), Vec::new());
        Self { config, names, found, service_links, warnings: Vec::new(), problems: Vec::new() }
    }

    /// Takes what stands below `pitaya` in a file.
    pub(super) fn file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        match document::read(path) {
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
    pub(super) fn variable(&mut self, variable: &str, value: &OsStr) {
        if !environment::may_be_setting(variable) || value.is_empty() {
            return;
        }
        // Exact, since no key contains an underscore.
        let name = variable.to_lowercase().replace('_', ".");
        let origin = Origin::Variable(variable.to_owned());
        let meant = self.names.get(name.as_str()).copied();
        if environment::is_service_link(variable, &value.to_string_lossy(), meant.is_some()) {
            return self.service_links.push(variable.to_owned());
        }
        let Some(meant) = meant else {
            let near = self.nearest(&name).map(|(near, _)| super::reference::variable(near));
            let text = format!("no key has this variable; it is not looked at{}", guess(&near));
            return self.warnings.push(Warning { key: variable.to_owned(), origin: Origin::Code, text });
        };
        match value.to_str() {
            Some(value) => self.set(&name, meant, value.into(), origin),
            None => {
                let (key, why) = (name, "the value of the variable is not UTF-8".to_owned());
                self.problems.push(ConfigProblem::Value { key, value: HIDDEN.to_owned(), origin, why });
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
                let value = HIDDEN.to_owned();
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
            let (nearest, note) = self.nearest(&name).map(|(near, note)| (near.to_owned(), note)).unzip();
            let (origin, note) = (origin.clone(), note.flatten());
            self.problems.push(ConfigProblem::Unknown { key: name, origin, nearest, note });
        } else if !value.is_null() {
            let mut parts: Vec<&str> = inside.iter().filter_map(|key| key.split('.').next()).collect();
            parts.dedup();
            let why = format!("this is a section; below it stand {}", parts.join(", "));
            let value = if self.has_secret(&below) { HIDDEN.to_owned() } else { shown(value) };
            self.problems.push(ConfigProblem::Value { key: name, value, origin: origin.clone(), why });
        }
    }

    /// Reads the values that won, and checks what came out.
    pub(super) fn finish(self) -> Result<Loaded, ConfigErrors> {
        let Self { mut config, mut found, service_links, mut warnings, mut problems, .. } = self;
        warnings.extend(service_link_warning(&service_links));
        let mut origins = BTreeMap::new();
        let mut unread = false;
        config.walk(&mut |key: &Key, setting| {
            let Some(Found { value, origin, .. }) = found.remove(key.name) else { return };
            let read = match key.redacted && has_hidden_login(&value) {
                true => Err("the login of this address was left out when it was written; put it in again".to_owned()),
                false => setting.read(&value),
            };
            if let Err(why) = read {
                unread = true;
                let value = if setting.secret() { HIDDEN.to_owned() } else { shown(&value) };
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

    /// Whether a key below this section must not be shown: a value that was given to the section may be meant for it.
    fn has_secret(&mut self, below: &str) -> bool {
        let mut found = false;
        self.config.walk(&mut |key, setting| found |= setting.secret() && key.name.starts_with(below));
        found
    }

    /// The key that was probably meant by a name, an old name of it included; or a key of Go's that has no effect here,
    /// with what does its work.
    fn nearest(&self, name: &str) -> Option<(&'static str, Option<&'static str>)> {
        let near = nearest(name, self.names.keys().copied())?;
        Some(match self.names[near] {
            Name::Key(key) | Name::Alias(key) => (key, None),
            Name::Retired(instead) => (near, Some(instead)),
        })
    }
}

/// One line about all variables that Kubernetes has set.
fn service_link_warning(variables: &[String]) -> Option<Warning> {
    let (first, others) = variables.split_first()?;
    let like_it = match others.len() {
        0 => String::new(),
        1 => ", and one more like it,".to_owned(),
        count => format!(", and {count} more like it,"),
    };
    let text = format!(
        "set by Kubernetes for a Service{like_it} and not looked at; `enableServiceLinks: false` in the Pod's spec \
         keeps such variables away"
    );
    Some(Warning { key: first.clone(), origin: Origin::Code, text })
}
