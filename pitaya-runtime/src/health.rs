//! Whether an app can serve.

use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

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

/// How long one failed `accept` counts. As long as clients wait at the door there is a next one every 50 ms.
const RECENT: Duration = Duration::from_secs(1);

/// Sockets cannot be had: file descriptors or memory are used up.
#[derive(Debug, Default)]
pub(crate) struct Starving(Mutex<Option<(Instant, String)>>);

impl Starving {
    /// An `accept` failed. A client that gave up first is none of our troubles.
    #[cold]
    pub(crate) fn failed(&self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            *self.0.lock() = Some((Instant::now(), format!("cannot accept: {error}")));
        }
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let last = self.0.lock();
        last.as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, problem)| problem.clone())
    }
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

    #[tokio::test(start_paused = true)]
    async fn a_failed_accept_counts_for_a_second() {
        let starving = Starving::default();
        starving.failed(&io::ErrorKind::ConnectionAborted.into());
        assert_eq!(starving.problem(), None);
        starving.failed(&io::Error::from_raw_os_error(24));
        assert!(starving.problem().is_some_and(|problem| problem.contains("Too many open files")));
        tokio::time::advance(RECENT).await;
        assert_eq!(starving.problem(), None);
    }
}
