//! The dictionary: routes that travel as two bytes. A server announces it in its handshake reply.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::message::MAX_ROUTE;
use crate::maps::{KeyedMap, NumberMap};

/// The most bytes of routes a dictionary may hold, so that the handshake reply that announces it fits in a packet even
/// if every byte has to be escaped. A full dictionary may have routes of 32 bytes on average.
pub const MAX_BYTES: usize = 2 << 20;

/// Why a dictionary cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// A route without a visible character.
    #[error("the dictionary code {code} has an empty route")]
    Empty {
        /// The code it was given.
        code: u16,
    },
    /// A route that could not be sent as text.
    #[error("the dictionary route {route:?} has {} bytes, {MAX_ROUTE} are the most", route.len())]
    RouteTooLong {
        /// The route.
        route: String,
    },
    /// Code 0, which the JavaScript client and libpitaya take for "no code".
    #[error("the dictionary route {route:?} has code 0; codes start at 1 because clients take 0 for none")]
    Zero {
        /// Its route.
        route: String,
    },
    /// One route with two codes.
    #[error("the dictionary route {route:?} has the codes {first} and {second}; give it one")]
    DuplicateRoute {
        /// The route.
        route: String,
        /// The code it had first.
        first: u16,
        /// The code it was then given.
        second: u16,
    },
    /// One code for two routes.
    #[error("the dictionary code {code} belongs to the routes {first:?} and {second:?}; give one of them another")]
    DuplicateCode {
        /// The code.
        code: u16,
        /// The route that had it first.
        first: String,
        /// The route that was then given it.
        second: String,
    },
    /// More routes than there are codes.
    #[error("{routes} routes need more dictionary codes than there are (1 to 65535)")]
    TooMany {
        /// Routes to be listed.
        routes: usize,
    },
    /// More than [`MAX_BYTES`] of routes.
    #[error("the routes of the dictionary have more than {MAX_BYTES} bytes: it would not fit in a handshake")]
    TooLarge,
}

/// A table of routes and their codes, fixed once built. Both directions are unique; codes are 1 to 65535.
///
/// Keys are used verbatim, apart from blanks around them: `room.join` and `chat.room.join` are two routes.
///
/// ```
/// use pitaya_core::wire::Dictionary;
///
/// let dictionary = Dictionary::new([("chat.room.join".to_owned(), 1), ("onMessage".to_owned(), 258)])?;
/// assert_eq!(dictionary.code("onMessage"), Some(258));
/// assert_eq!(dictionary.route(1), Some("chat.room.join"));
/// # Ok::<(), pitaya_core::wire::DictionaryError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    codes: KeyedMap<String, u16>,
    routes: NumberMap<u16, String>,
    bytes: usize,
}

impl Dictionary {
    /// A dictionary of the given routes and codes.
    ///
    /// # Errors
    /// [`DictionaryError`], see there.
    pub fn new(entries: impl IntoIterator<Item = (String, u16)>) -> Result<Self, DictionaryError> {
        let mut dictionary = Self::default();
        for (route, code) in entries {
            dictionary.insert(&route, code)?;
        }
        Ok(dictionary)
    }

    /// A dictionary of all given routes: those with a code keep it, the others get the free codes from 1 on, in the
    /// order of their names, so that equal programs make equal dictionaries.
    ///
    /// # Errors
    /// [`DictionaryError`], see there.
    pub fn generated(routes: impl IntoIterator<Item = (String, Option<u16>)>) -> Result<Self, DictionaryError> {
        let (pinned, mut free): (Vec<_>, Vec<_>) = routes.into_iter().partition(|(_, code)| code.is_some());
        let total = pinned.len() + free.len();
        let mut dictionary = Self::new(pinned.into_iter().filter_map(|(route, code)| Some((route, code?))))?;
        let taken: BTreeSet<u16> = dictionary.routes.keys().copied().collect();
        let mut codes = (1..=u16::MAX).filter(|code| !taken.contains(code));
        free.sort_unstable();
        for (route, _) in free {
            let code = codes.next().ok_or(DictionaryError::TooMany { routes: total })?;
            dictionary.insert(&route, code)?;
        }
        Ok(dictionary)
    }

    /// What can be used of a dictionary that a server announced: entries that break a rule are left out.
    pub(super) fn lenient<'a>(entries: impl Iterator<Item = (&'a str, u16)>) -> Self {
        let mut dictionary = Self::default();
        for (route, code) in entries {
            // The server can still be talked to: it accepts the routes left out as text.
            let _ = dictionary.insert(route, code);
        }
        dictionary
    }

    fn insert(&mut self, route: &str, code: u16) -> Result<(), DictionaryError> {
        let route = route.trim();
        let owned = || route.to_owned();
        if route.is_empty() {
            return Err(DictionaryError::Empty { code });
        }
        if route.len() > MAX_ROUTE {
            return Err(DictionaryError::RouteTooLong { route: owned() });
        }
        if code == 0 {
            return Err(DictionaryError::Zero { route: owned() });
        }
        if let Some(&first) = self.codes.get(route) {
            return Err(DictionaryError::DuplicateRoute { route: owned(), first, second: code });
        }
        if let Some(first) = self.routes.get(&code) {
            return Err(DictionaryError::DuplicateCode { code, first: first.clone(), second: owned() });
        }
        if self.bytes + route.len() > MAX_BYTES {
            return Err(DictionaryError::TooLarge);
        }
        self.bytes += route.len();
        self.codes.insert(owned(), code);
        self.routes.insert(code, owned());
        Ok(())
    }

    /// The code of a route, if it has one.
    #[inline]
    pub fn code(&self, route: &str) -> Option<u16> {
        self.codes.get(route).copied()
    }

    /// The route of a code, if it has one.
    #[inline]
    pub fn route(&self, code: u16) -> Option<&str> {
        self.routes.get(&code).map(String::as_str)
    }

    /// All entries, sorted by route.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        let mut entries: Vec<_> = self.codes.iter().map(|(route, &code)| (route.as_str(), code)).collect();
        entries.sort_unstable();
        entries.into_iter()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}

/// As the handshake has it: an object from route to code, sorted by route.
impl Serialize for Dictionary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(entries: &[(&str, u16)]) -> Result<Dictionary, DictionaryError> {
        Dictionary::new(entries.iter().map(|&(route, code)| (route.to_owned(), code)))
    }

    fn generated(routes: &[(&str, Option<u16>)]) -> Result<Dictionary, DictionaryError> {
        Dictionary::generated(routes.iter().map(|&(route, code)| (route.to_owned(), code)))
    }

    #[test]
    fn keys_are_trimmed_and_otherwise_verbatim() {
        let dictionary = new(&[(" room.join\n", 7), ("chat.room.join", 2), ("Room.Join", 3)]).unwrap();
        assert_eq!(dictionary.code("room.join"), Some(7));
        assert_eq!(dictionary.code(" room.join\n"), None);
        assert_eq!(dictionary.route(3), Some("Room.Join"));
        assert_eq!(dictionary.route(1), None);
        assert_eq!(dictionary.iter().collect::<Vec<_>>(), [("Room.Join", 3), ("chat.room.join", 2), ("room.join", 7)]);
        assert_eq!((dictionary.len(), dictionary.is_empty()), (3, false));
    }

    #[test]
    fn each_rule_is_told_with_the_names_that_break_it() {
        let long = "r".repeat(MAX_ROUTE + 1);
        for (entries, text) in [
            (&[(" ", 4)][..], "the dictionary code 4 has an empty route".to_owned()),
            (
                &[("a", 0)],
                "the dictionary route \"a\" has code 0; codes start at 1 because clients take 0 for none".into(),
            ),
            (&[("a", 1), (" a ", 2)], "the dictionary route \"a\" has the codes 1 and 2; give it one".into()),
            (
                &[("a", 1), ("b", 1)],
                "the dictionary code 1 belongs to the routes \"a\" and \"b\"; give one of them another".into(),
            ),
            (&[(&long, 1)], format!("the dictionary route {long:?} has 256 bytes, 255 are the most")),
        ] {
            assert_eq!(new(entries).unwrap_err().to_string(), text);
        }
        assert!(new(&[(&long[1..], u16::MAX)]).is_ok());
    }

    #[test]
    fn generated_codes_are_free_rising_and_independent_of_the_order_given() {
        let wanted = new(&[("a", 1), ("b", 4), ("c", 2), ("d", 3), ("e", 5)]).unwrap();
        assert_eq!(
            generated(&[("e", None), ("d", Some(3)), ("c", Some(2)), ("b", None), ("a", None)]),
            Ok(wanted.clone())
        );
        assert_eq!(generated(&[("a", None), ("b", None), ("c", Some(2)), ("d", Some(3)), ("e", None)]), Ok(wanted));
        assert_eq!(
            generated(&[("a", Some(9)), ("a", None)]),
            Err(DictionaryError::DuplicateRoute { route: "a".into(), first: 9, second: 1 })
        );
        assert_eq!(generated(&[("a", Some(0))]), Err(DictionaryError::Zero { route: "a".into() }));
    }

    #[test]
    fn all_codes_can_be_used_and_not_one_more() {
        let routes = |count: usize| (0..count).map(|index| (format!("route{index:05}"), None));
        let full = Dictionary::generated(routes(65_535)).unwrap();
        assert_eq!((full.len(), full.code("route00000"), full.code("route65534")), (65_535, Some(1), Some(65_535)));
        assert_eq!(Dictionary::generated(routes(65_536)), Err(DictionaryError::TooMany { routes: 65_536 }));
    }

    #[test]
    fn what_would_not_fit_in_a_handshake_is_refused() {
        let routes = |count: usize| (0..count).map(|index| (format!("{index:0>255}"), None));
        assert!(Dictionary::generated(routes(MAX_BYTES / 255)).is_ok());
        assert_eq!(Dictionary::generated(routes(MAX_BYTES / 255 + 1)), Err(DictionaryError::TooLarge));
    }
}
