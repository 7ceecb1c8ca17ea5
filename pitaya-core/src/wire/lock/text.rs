//! The lock file as text: `code route`, one route a line, in the order of the codes.
//!
//! Two branches that each add a route write the same new code: a conflict to resolve, or two lines with one code, which
//! are refused. Neither goes unnoticed.

use super::{CodeError, RoutesLock};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What stands at the top of a new file.
const HEADER: &str = "\
# The codes of routes, as clients know them: `code route`. Commit this file.
# To bring it up to date, run the server once with PITAYA_UPDATE_ROUTES_LOCK=1.
# The code of a `removed` route stays taken; delete its line when no client knows it any more.
";

/// One code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) route: String,
    /// It is no longer mounted; its code stays taken.
    pub(super) removed: bool,
    /// Where it stands in the file, from 1 on; 0 when it does not yet.
    pub(super) number: usize,
    /// Lines of comment before it.
    above: Vec<String>,
    /// The comment behind it, with its `#`.
    comment: String,
}

impl Line {
    pub(super) fn new(route: String) -> Self {
        Self { route, removed: false, number: 0, above: Vec::new(), comment: String::new() }
    }
}

impl RoutesLock {
    /// The file before there is one.
    #[must_use]
    pub fn empty(name: &str) -> Self {
        let header = HEADER.lines().map(str::to_owned).collect();
        Self { name: name.to_owned(), header, lines: BTreeMap::new(), footer: Vec::new() }
    }

    /// Reads the text of a lock file; `name` is what messages call it.
    ///
    /// # Errors
    /// Every line that is not `code route`, has no code from 1 to 65535, or repeats a code or a route.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<CodeError>> {
        let mut lock = Self { name: name.to_owned(), header: vec![], lines: BTreeMap::new(), footer: vec![] };
        let (mut problems, mut above, mut routes) = (Vec::new(), Vec::new(), HashMap::new());
        for (index, raw) in text.lines().enumerate() {
            let number = index + 1;
            let (entry, comment) = split(raw);
            if entry.is_empty() {
                above.push(raw.trim_end().to_owned());
                continue;
            }
            let place = format!("{name}:{number}");
            let words: Vec<&str> = entry.split_whitespace().collect();
            let (code, route, removed) = match *words {
                [code, route] => (code, route, false),
                [code, route, "removed"] => (code, route, true),
                _ => {
                    problems.push(CodeError::Unreadable { place, text: entry.to_owned() });
                    continue;
                }
            };
            let Some(code) = code.parse().ok().filter(|code| *code != 0) else {
                problems.push(CodeError::OutOfRange { place, code: code.to_owned(), route: route.to_owned() });
                continue;
            };
            if let Some(first) = lock.lines.get(&code) {
                let (first, first_place) = (first.route.clone(), lock.place(first));
                let (second, second_place) = (route.to_owned(), place);
                problems.push(CodeError::Taken { code, first, first_place, second, second_place });
                continue;
            }
            if let Some(first) = routes.insert(route, number) {
                let (route, first_place) = (route.to_owned(), format!("{name}:{first}"));
                problems.push(CodeError::ListedTwice { route, first_place, second_place: place });
                continue;
            }
            if lock.lines.is_empty() {
                lock.header = std::mem::take(&mut above);
            }
            let (route, above, comment) = (route.to_owned(), std::mem::take(&mut above), comment.to_owned());
            lock.lines.insert(code, Line { route, removed, number, above, comment });
        }
        if lock.lines.is_empty() {
            lock.header = above;
        } else {
            lock.footer = above;
        }
        if problems.is_empty() { Ok(lock) } else { Err(problems) }
    }
}

/// The entry and the comment, which begins at a `#` with nothing but a blank before it.
fn split(line: &str) -> (&str, &str) {
    let starts = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    let at = line.match_indices('#').map(|(at, _)| at).find(|at| starts(*at)).unwrap_or(line.len());
    (line[..at].trim(), line[at..].trim_end())
}

/// The text of the file.
impl fmt::Display for RoutesLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        for (code, Line { route, removed, above, comment, .. }) in &self.lines {
            above.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            write!(f, "{code} {route}")?;
            f.write_str(if *removed { " removed" } else { "" })?;
            f.write_str(if comment.is_empty() { "" } else { " " })?;
            writeln!(f, "{comment}")?;
        }
        self.footer.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
