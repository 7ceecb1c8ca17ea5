//! Who is meant: `server.service.method`, or `service.method` on the server that reads it.

use crate::error::Error;

/// The longest route the wire can carry: its length is one byte.
pub const MAX_ROUTE: usize = 255;

/// The parts of a route, borrowed from the text.
///
/// ```
/// use pitaya_core::route::RouteParts;
///
/// let route = RouteParts::parse(b"chat.room.join").unwrap();
/// assert_eq!((route.server, route.service, route.method), (Some("chat"), "room", "join"));
/// assert_eq!(RouteParts::parse(b"room.join").unwrap().server, None);
/// assert_eq!(RouteParts::parse(b"room").unwrap_err().message(), "invalid route");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteParts<'a> {
    /// The server type, when the route names one.
    pub server: Option<&'a str>,
    /// The component.
    pub service: &'a str,
    /// The method of the component.
    pub method: &'a str,
}

impl<'a> RouteParts<'a> {
    /// Splits a route as it came from the wire.
    ///
    /// # Errors
    /// PIT-400 with Go's texts: `route field can not be empty` for a blank part, `invalid route` for any other number
    /// of parts than two or three. Characters outside `[A-Za-z0-9_-]` are `invalid route` as well, so that no route
    /// can break a log line, a metric label or a broker's subject.
    pub fn parse(route: &'a [u8]) -> Result<Self, Error> {
        let invalid = || Error::bad_request("invalid route");
        let text = std::str::from_utf8(route).map_err(|_| invalid())?;
        let mut parts = text.split('.');
        let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if text.split('.').any(|part| part.trim().is_empty()) {
            return Err(Error::bad_request("route field can not be empty"));
        }
        if !text.bytes().all(|b| b == b'.' || is_legal(b)) || parts.next().is_some() {
            return Err(invalid());
        }
        match (second, third) {
            (Some(service), Some(method)) => Ok(Self { server: Some(first), service, method }),
            (Some(method), None) => Ok(Self { server: None, service: first, method }),
            (None, _) => Err(invalid()),
        }
    }
}

const fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Whether `name` can be one part of a route.
#[must_use]
pub fn is_legal_part(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_ROUTE && name.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(route: &[u8]) -> String {
        RouteParts::parse(route).unwrap_err().to_string()
    }

    #[test]
    fn each_wrong_form_has_gos_text() {
        for empty in ["", " ", ".", "a.", ".a", "a..c", "a. .c", "a.b.c."] {
            assert_eq!(refused(empty.as_bytes()), "PIT-400: route field can not be empty", "{empty:?}");
        }
        for invalid in ["a", "a.b.c.d", "a.b\n", "a.b\0", "a.b c", "a.é", "a.b>"] {
            assert_eq!(refused(invalid.as_bytes()), "PIT-400: invalid route", "{invalid:?}");
        }
        assert_eq!(refused(b"a.\xff"), "PIT-400: invalid route");
    }
}
