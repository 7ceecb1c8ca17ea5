//! Why there is no app.

use crate::accept::BoxError;
use crate::readable::debug_as_display;
use pitaya_core::registry::MountError;
use pitaya_core::wire::{CodeError, DictionaryError};
use std::fmt;
use std::io;

/// Why an app cannot be built: every reason there is.
pub struct BuildError {
    pub(super) problems: Vec<Problem>,
}

/// One reason.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The server type cannot be a part of a route.
    #[error("`{0}` cannot be a server type: letters, digits, `_` and `-` only")]
    ServerType(String),
    /// The server id cannot be a part of a subject or a key.
    #[error("`{0}` cannot be a server id: letters, digits, `_` and `-` only")]
    ServerId(String),
    /// Nobody could come in: there is no acceptor, and there are no remotes.
    #[error("there is no acceptor: add one, such as `.acceptor(Tcp::bind(\"0.0.0.0:3250\"))`")]
    NoAcceptor,
    /// An acceptor cannot work.
    #[error("{acceptor}: {cause}")]
    Acceptor {
        /// The acceptor, as `protocol://address`.
        acceptor: String,
        /// What is wrong with it: a [`TlsError`](crate::accept::TlsError) where certificates are.
        cause: BoxError,
    },
    /// A component cannot be mounted.
    #[error("{0}")]
    Mount(MountError),
    /// Two modules have one name.
    #[error("there is more than one module `{0}`: give each its own name")]
    Module(String),
    /// The route dictionary is not one.
    #[error("dictionary: {0}")]
    Dictionary(DictionaryError),
    /// Routes cannot have the codes that are pinned or locked.
    #[error("dictionary: {0}")]
    Codes(CodeError),
    /// The lock file of the dictionary cannot be read, or not written.
    #[error("dictionary: {path}: {cause}{}", first_time(cause))]
    LockFile {
        /// The file.
        path: String,
        /// The system's error.
        cause: io::Error,
    },
    /// A setting cannot work.
    #[error("{0}")]
    Config(String),
}

fn first_time(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; to write it, run the server once with PITAYA_UPDATE_ROUTES_LOCK=1",
        _ => "",
    }
}

impl BuildError {
    /// The reasons.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.problems {
            [only] => write!(f, "the app cannot be built: {only}"),
            many => {
                write!(f, "the app cannot be built, for {} reasons:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for BuildError {}

debug_as_display!(BuildError, Problem);
