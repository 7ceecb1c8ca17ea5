//! Which codes the routes of an app have.

use crate::builder::Problem;
use crate::files::read_text;
use pitaya_core::registry::Registry;
use pitaya_core::wire::{CodeError, Coded, Dictionary, DictionaryError, RoutesLock, UPDATE_VARIABLE, pinned_twice};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What the builder was asked for.
pub(crate) enum Codes {
    None,
    Generated,
    Given(Result<Dictionary, DictionaryError>),
    Locked(PathBuf),
}

impl Codes {
    /// The dictionary; `update` says whether a lock file is written in place of compared, for a builder that does not
    /// leave that to the variable.
    pub(crate) fn resolve(
        self,
        server_type: &str,
        registry: &Registry,
        update: Option<bool>,
    ) -> Result<Dictionary, Vec<Problem>> {
        let coded = || -> Vec<Coded> {
            let entries = registry.entries().iter();
            entries
                .map(|entry| Coded {
                    route: entry.name().to_string(),
                    pinned: (entry.route().code != 0).then_some(entry.route().code),
                    place: entry.place(),
                })
                .collect()
        };
        match self {
            Self::None => Ok(Dictionary::default()),
            Self::Given(given) => given.map_err(|e| vec![Problem::Dictionary(e)]),
            Self::Generated => {
                let routes = coded();
                let twice = pinned_twice(&routes);
                if !twice.is_empty() {
                    return Err(all(twice));
                }
                let dictionary = Dictionary::generated(routes.into_iter().map(|coded| (coded.route, coded.pinned)));
                dictionary.map_err(|e| vec![Problem::Dictionary(e)])
            }
            Self::Locked(path) => locked(&path, server_type, &coded(), update.unwrap_or_else(is_update)),
        }
    }
}

fn is_update() -> bool {
    env::var(UPDATE_VARIABLE).is_ok_and(|value| matches!(value.as_str(), "1" | "true"))
}

fn locked(path: &Path, server_type: &str, routes: &[Coded], update: bool) -> Result<Dictionary, Vec<Problem>> {
    let name = path.display().to_string();
    let file = |cause: io::Error| vec![Problem::LockFile { path: name.clone(), cause }];
    let text = match read_text(path) {
        Err(e) if update && e.kind() == io::ErrorKind::NotFound => None,
        text => Some(text.map_err(file)?),
    };
    let mut lock = match &text {
        Some(text) => RoutesLock::parse(&name, text).map_err(all)?,
        None => RoutesLock::empty(&name),
    };
    if update {
        lock = lock.update(server_type, routes).map_err(all)?;
        let new = lock.to_string();
        if text.is_none_or(|old| old != new) {
            replace(path, &new).map_err(file)?;
            tracing::info!("{name} is written: commit it");
        }
    }
    lock.dictionary(server_type, routes).map_err(all)
}

/// Writes beside it and renames: whoever reads at the same time, such as another test, sees the old file or the new
/// one, never a part, from which it would give codes away a second time.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_added_extension(uuid::Uuid::new_v4().simple().to_string());
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: the error that is reported is the first one.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn all(problems: Vec<CodeError>) -> Vec<Problem> {
    problems.into_iter().map(Problem::Codes).collect()
}
