//! Whether an app can serve.

use crate::reserve::Reserve;
use std::fmt;
use std::fs::File;

/// Whether an app can serve, part by part: [`App::health`](crate::App::health).
///
/// As a text it is one line a part, `name: ok` or `name: why not`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The parts. Their names stay as they are.
    pub parts: Vec<Part>,
}

/// A part of an app that has to work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// - `app`: it runs, and does neither drain nor stop;
    /// - `acceptors`: clients that come are let in;
    /// - `discovery`: it says who is there now;
    /// - `transport`: other servers can be reached.
    pub name: &'static str,
    /// Why it does not work, for people to read. `None`: it works.
    pub problem: Option<String>,
}

impl Health {
    pub(crate) fn new(parts: [(&'static str, Option<String>); 4]) -> Self {
        Self { parts: parts.into_iter().map(|(name, problem)| Part { name, problem }).collect() }
    }

    /// Whether all of it works: new clients may be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|part| part.problem.is_none())
    }

    /// Why a part does not work.
    #[must_use]
    pub fn problem(&self, part: &str) -> Option<&str> {
        self.parts.iter().find(|one| one.name == part)?.problem.as_deref()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| {
            let state = part.problem.as_deref().unwrap_or("ok");
            writeln!(f, "{}: {state}", part.name)
        })
    }
}

/// `EMFILE` and `ENFILE`: the process, or the whole system, has no file descriptor left.
const NONE_LEFT: [i32; 2] = [24, 23];

/// Whether clients cannot even be accepted: one could not a moment ago, or the next could not, which is found out by taking
/// what it would take.
pub(crate) fn without_files(reserve: &Reserve) -> Option<String> {
    if reserve.has_refused() {
        // One that is free for this moment was free for nobody before.
        return Some("no file descriptor is left: connections have just been refused".to_owned());
    }
    let error = File::open("/dev/null").err()?;
    error.raw_os_error().filter(|code| NONE_LEFT.contains(code))?;
    Some(format!("no file descriptor is left: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_enough_to_be_unready() {
        let mut health = Health::new([("app", None), ("acceptors", None), ("discovery", None), ("transport", None)]);
        assert!(health.is_ready());
        health.parts[2].problem = Some("away".to_owned());
        assert!(!health.is_ready());
        assert_eq!(health.problem("discovery"), Some("away"));
        assert_eq!(health.to_string(), "app: ok\nacceptors: ok\ndiscovery: away\ntransport: ok\n");
    }
}
