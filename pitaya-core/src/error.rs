//! What went wrong, whose fault it is, and what a client sees of it.

mod boxed;
mod fault;

pub use boxed::Untyped;
#[doc(hidden)]
pub use fault::{Converts, FaultRow, Find, MetadataValue, NotStd, Probe, Text, metadata};
pub use fault::{Fault, IntoError};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The result of everything a handler calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The codes of the framework itself (`pkg/errors/errors.go` of Go Pitaya, and the literals beside it). An application
/// chooses its own codes freely; these are the ones a client meets without the application's doing.
pub mod codes {
    /// An error without a code of its own.
    pub const UNKNOWN: &str = "PIT-000";
    /// The request cannot be understood: bad route, bad payload, a request to a notify route.
    pub const BAD_REQUEST: &str = "PIT-400";
    /// A message of another server was not signed, or not rightly: it has *certainly not run*. Go has no such code.
    pub const UNAUTHENTICATED: &str = "PIT-401";
    /// Nothing is mounted under the route.
    pub const NOT_FOUND: &str = "PIT-404";
    /// No answer in time, or the connection was lost after sending: the request *may have run*.
    pub const TIMEOUT: &str = "PIT-408";
    /// Code of a kick: another session of the user took the place of this one. Go has no such code.
    pub const REPLACED: &str = "PIT-409";
    /// Refused because the client sends too much: the request has *certainly not run*. Go has no such code.
    pub const TOO_MANY: &str = "PIT-429";
    /// A push or an answer on a session that is closed. Seen by server code only.
    pub const CLOSED: &str = "PIT-499";
    /// The server failed: a panic, or a server type that cannot be reached.
    pub const INTERNAL: &str = "PIT-500";
    /// Refused for overload, or nobody there: the request has *certainly not run*.
    pub const UNAVAILABLE: &str = "PIT-503";
}

/// An error as it travels to a client: a code to act on, a text for people, and optional metadata.
///
/// Any `std::error::Error` converts into it with `?`. A type that derives [`Fault`] keeps its code; any other gets
/// [`codes::UNKNOWN`], as in Go. Boxed errors convert with [`Error::boxed`]. This type does not implement `std::error::Error`
/// itself, for the two conversions would overlap; it converts into boxed errors.
///
/// ```
/// use pitaya_core::{Error, Result};
///
/// fn parse(text: &str) -> Result<u32> {
///     let n: u32 = text.parse()?; // PIT-000 with the text of ParseIntError
///     if n > 9 {
///         return Err(Error::new("GAME-7", "at most nine").with("max", "9"));
///     }
///     Ok(n)
/// }
/// assert_eq!(parse("x").unwrap_err().code(), "PIT-000");
/// assert_eq!(parse("10").unwrap_err().metadata().unwrap()["max"], "9");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    metadata: BTreeMap<String, String>,
    /// Text of the error and of its causes, where it has any.
    chain: Option<Box<str>>,
}

/// Errors are equal that are the same to a client: the chain of causes never travels.
impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        (&self.code, &self.message, &self.metadata) == (&other.code, &other.message, &other.metadata)
    }
}

impl Eq for Parts {}

impl Error {
    /// An error with a code and a text.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts { code: code.into(), message: message.into(), metadata: BTreeMap::new(), chain: None }))
    }

    /// An error of the client's making: [`codes::BAD_REQUEST`].
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(codes::BAD_REQUEST, message)
    }

    /// Nothing mounted under `route`, in the words that Go uses and clients compare.
    #[must_use]
    pub fn handler_not_found(route: &str) -> Self {
        Self::new(codes::NOT_FOUND, format!("pitaya/handler: {route} not found"))
    }

    /// No remote mounted under `service.method`, in Go's words, which name the route in the metadata.
    #[must_use]
    pub fn remote_not_found(route: &str) -> Self {
        Self::new(codes::NOT_FOUND, "route not found").with("route", route)
    }

    /// No answer from another server in time, in Go's words: the call *may have run*.
    #[must_use]
    pub fn rpc_timeout(route: &str) -> Self {
        Self::new(codes::TIMEOUT, "rpc client: request timeout").with("route", route)
    }

    /// An error of the server's making: [`codes::INTERNAL`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(codes::INTERNAL, message)
    }

    /// What a handler answers that has nothing to answer: Go's text for a nil reply.
    #[must_use]
    pub fn null_reply() -> Self {
        Self::new(codes::UNKNOWN, "reply must not be null")
    }

    /// A push, kick or answer to a session that is gone: Go's `ErrBrokenPipe`.
    #[must_use]
    pub fn closed() -> Self {
        Self::new(codes::CLOSED, "broken low-level pipe")
    }

    /// Adds one pair of metadata; the client gets it as `metadata.key`.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// Gives the error a code unless it already has one of its own.
    #[must_use]
    pub fn or_code(mut self, code: &'static str) -> Self {
        if self.0.code == codes::UNKNOWN {
            self.0.code = Cow::Borrowed(code);
        }
        self
    }

    /// The code, such as `PIT-404`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The text for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Text for those who run the server: the message and the causes below it, joined by `: `. Clients never get it.
    ///
    /// ```
    /// use pitaya_core::Error;
    ///
    /// let refused = std::io::Error::other("connection refused");
    /// let error = Error::boxed(Box::<dyn std::error::Error>::from(Loading(refused)));
    /// assert_eq!(error.message(), "no table");
    /// assert_eq!(error.with_causes(), "no table: connection refused");
    /// # #[derive(Debug)]
    /// # struct Loading(std::io::Error);
    /// # impl std::fmt::Display for Loading {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no table") }
    /// # }
    /// # impl std::error::Error for Loading {
    /// #     fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(&self.0) }
    /// # }
    /// ```
    #[must_use]
    pub fn with_causes(&self) -> &str {
        self.0.chain.as_deref().unwrap_or(&self.0.message)
    }

    /// The metadata, if there is any.
    #[must_use]
    pub fn metadata(&self) -> Option<&BTreeMap<String, String>> {
        (!self.0.metadata.is_empty()).then_some(&self.0.metadata)
    }
}

impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let converted = fault::find(&error).unwrap_or_else(|| Self::new(codes::UNKNOWN, error.to_string()));
        converted.caused_by(&error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Error");
        s.field("code", &self.0.code).field("message", &self.0.message);
        if let Some(metadata) = self.metadata() {
            s.field("metadata", metadata);
        }
        s.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_its_own_is_kept() {
        assert_eq!(Error::new("X-1", "x").or_code(codes::BAD_REQUEST).code(), "X-1");
        assert_eq!(Error::from(std::fmt::Error).or_code(codes::BAD_REQUEST).code(), "PIT-400");
    }

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
