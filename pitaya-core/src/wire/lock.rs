//! The lock file: codes of routes that stay what they are from one release to the next.
//!
//! A client keeps codes: in its dictionary cache, or compiled in. A code must therefore never come to mean another
//! route, whatever is added, renamed or removed. The file is committed; at build it is compared with the routes.

mod error;
#[cfg(test)]
mod tests;
mod text;

pub use error::CodeError;

use super::dictionary::{Dictionary, DictionaryError};
use crate::route::RouteParts;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use text::Line;

/// The variable that makes a server write its lock file in place of comparing with it.
pub const UPDATE_VARIABLE: &str = "PITAYA_UPDATE_ROUTES_LOCK";

/// A route that is to have a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// The full route.
    pub route: String,
    /// The code of `#[route(code = ..)]`.
    pub pinned: Option<u16>,
    /// `file:line` of the method, for messages.
    pub place: String,
}

/// What a lock file says: each code and its route, those of removed routes included.
///
/// Routes with the app's own server type are compared with what is mounted. All other lines are the author's: routes of
/// other server types, and pushes; they are announced as they stand.
///
/// ```
/// use pitaya_core::wire::{Coded, RoutesLock};
///
/// let coded = |route: &str| Coded { route: route.into(), pinned: None, place: "src/room.rs:7".into() };
/// let lock = RoutesLock::parse("routes.lock", "1 chat.room.leave\n2 chat.room.shout # loud\n7 onMessage\n")?;
/// let routes = [coded("chat.room.join"), coded("chat.room.leave")];
/// let error = lock.dictionary("chat", &routes).unwrap_err();
/// assert_eq!(
///     error[0].to_string(),
///     "routes.lock is not up to date: `chat.room.join` (src/room.rs:7) is new; `chat.room.shout` (routes.lock:2) is \
///      gone. Run the server once with PITAYA_UPDATE_ROUTES_LOCK=1 and commit the file"
/// );
/// let lock = lock.update("chat", &routes)?;
/// assert_eq!(lock.to_string(), "1 chat.room.leave\n2 chat.room.shout removed # loud\n3 chat.room.join\n7 onMessage\n");
/// assert_eq!(lock.dictionary("chat", &routes)?.code("chat.room.join"), Some(3));
/// # Ok::<(), Vec<pitaya_core::wire::CodeError>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutesLock {
    /// As messages call it.
    name: String,
    header: Vec<String>,
    lines: BTreeMap<u16, Line>,
    footer: Vec<String>,
}

impl RoutesLock {
    /// The dictionary of these routes, if the file lists exactly them.
    ///
    /// # Errors
    /// Every contradiction between pinned codes and the file; then, how the routes differ from it.
    pub fn dictionary(&self, server_type: &str, routes: &[Coded]) -> Result<Dictionary, Vec<CodeError>> {
        self.contradictions(routes)?;
        let listed = self.listed();
        let mut differences = Vec::new();
        for Coded { route, place, .. } in sorted(routes) {
            match listed.get(&**route) {
                None => differences.push(format!("`{route}` ({place}) is new")),
                Some((_, line)) if line.removed => {
                    differences.push(format!("`{route}` ({place}) is back ({})", self.place(line)));
                }
                Some(_) => {}
            }
        }
        let mounted: BTreeSet<&str> = routes.iter().map(|coded| &*coded.route).collect();
        for line in self.lines.values().filter(|line| !line.removed && is_own(server_type, &line.route)) {
            if !mounted.contains(&*line.route) {
                differences.push(format!("`{}` ({}) is gone", line.route, self.place(line)));
            }
        }
        if !differences.is_empty() {
            return Err(vec![CodeError::OutOfDate { name: self.name.clone(), differences }]);
        }
        let live = self.lines.iter().filter(|(_, line)| !line.removed);
        Dictionary::new(live.map(|(code, line)| (line.route.clone(), *code))).map_err(|e| vec![e.into()])
    }

    /// The file as it has to be for these routes. Known routes keep their codes; new ones get the pinned code, or, in
    /// the order of their names, the smallest that no line has; those that are gone are marked as removed, so that
    /// their codes stay taken.
    ///
    /// # Errors
    /// Contradictions between pinned codes and the file, and more routes than there are codes.
    pub fn update(mut self, server_type: &str, routes: &[Coded]) -> Result<Self, Vec<CodeError>> {
        self.contradictions(routes)?;
        let mounted: BTreeSet<&str> = routes.iter().map(|coded| &*coded.route).collect();
        for line in self.lines.values_mut() {
            let is_mounted = mounted.contains(&*line.route);
            if is_mounted || is_own(server_type, &line.route) {
                line.removed = !is_mounted;
            }
        }
        let known: BTreeSet<&str> = self.lines.values().map(|line| &*line.route).collect();
        let new: Vec<&Coded> = sorted(routes).into_iter().filter(|coded| !known.contains(&*coded.route)).collect();
        let taken: BTreeSet<u16> =
            self.lines.keys().copied().chain(routes.iter().filter_map(|coded| coded.pinned)).collect();
        let mut free = (1..=u16::MAX).filter(|code| !taken.contains(code));
        for coded in new {
            let code = coded.pinned.or_else(|| free.next());
            let total = self.lines.len() + 1;
            let code = code.ok_or_else(|| vec![DictionaryError::TooMany { routes: total }.into()])?;
            self.lines.insert(code, Line::new(coded.route.clone()));
        }
        Ok(self)
    }

    /// Pinned codes that contradict each other or the file.
    fn contradictions(&self, routes: &[Coded]) -> Result<(), Vec<CodeError>> {
        let mut problems = pinned_twice(routes);
        let listed = self.listed();
        for Coded { route, pinned, place } in routes {
            let Some(code) = *pinned else { continue };
            match listed.get(&**route) {
                Some(&(locked, line)) if locked != code => problems.push(CodeError::PinnedOtherwise {
                    route: route.clone(),
                    pinned: code,
                    place: place.clone(),
                    locked,
                    locked_place: self.place(line),
                }),
                Some(_) => {}
                None => problems.extend(self.lines.get(&code).map(|line| CodeError::Taken {
                    code,
                    first: line.route.clone(),
                    first_place: self.place(line),
                    second: route.clone(),
                    second_place: place.clone(),
                })),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn listed(&self) -> HashMap<&str, (u16, &Line)> {
        self.lines.iter().map(|(code, line)| (&*line.route, (*code, line))).collect()
    }

    fn place(&self, line: &Line) -> String {
        format!("{}:{}", self.name, line.number)
    }
}

/// One error for each code that is pinned for two routes, across all components.
#[must_use]
pub fn pinned_twice(routes: &[Coded]) -> Vec<CodeError> {
    let mut owners: BTreeMap<u16, &Coded> = BTreeMap::new();
    let mut problems = Vec::new();
    for coded in routes {
        let Some(code) = coded.pinned else { continue };
        match owners.get(&code) {
            Some(first) => problems.push(CodeError::Taken {
                code,
                first: first.route.clone(),
                first_place: first.place.clone(),
                second: coded.route.clone(),
                second_place: coded.place.clone(),
            }),
            None => drop(owners.insert(code, coded)),
        }
    }
    problems
}

fn sorted(routes: &[Coded]) -> Vec<&Coded> {
    let mut sorted: Vec<_> = routes.iter().collect();
    sorted.sort_unstable_by_key(|coded| &coded.route);
    sorted
}

/// Whether this is a route of servers of that type, and not a push or a route of others.
fn is_own(server_type: &str, route: &str) -> bool {
    RouteParts::parse(route.as_bytes()).is_ok_and(|parts| parts.server == Some(server_type))
}
