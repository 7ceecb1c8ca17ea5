//! What can be wrong with a configuration, said so that a person can repair it.

use std::{fmt, path::PathBuf};

use crate::readable::debug_as_display;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the program: the builder, or a document the program read itself.
    Code,
    /// In this file.
    File(PathBuf),
    /// In the environment variable of this name.
    Variable(String),
}

impl fmt::Display for Origin {
    /// In brackets, with a leading space; nothing for [`Origin::Code`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => Ok(()),
            Self::File(path) => write!(f, " ({})", path.display()),
            Self::Variable(name) => write!(f, " ({name})"),
        }
    }
}

/// One thing that must be repaired.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// The file cannot be read, or is not what its name says.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}`{origin}{}{}", guess(nearest), about(note))]
    Unknown {
        /// The key as it was written, in lower case.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The key that was probably meant.
        nearest: Option<String>,
        /// What to know of that key: a name of Go's that has no effect here.
        note: Option<&'static str>,
    },
    /// A value that the key does not take.
    #[error("{key} = {value}{origin}: {why}")]
    Value {
        /// The key.
        key: String,
        /// The value, as JSON; passwords are left out.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong, and what is accepted.
        why: String,
    },
}

/// The end of a sentence about an unknown name.
pub(super) fn guess(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn about(note: &Option<&'static str>) -> String {
    note.map(|note| format!(" It has no effect here: {note}")).unwrap_or_default()
}

/// Everything that is wrong with a configuration, found in one go.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.0[..] {
            return write!(f, "the configuration cannot be used: {only}");
        }
        write!(f, "the configuration cannot be used, {} problems:", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

debug_as_display!(ConfigErrors, ConfigProblem);

/// Something a person should know, though the configuration can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key, or the name of the variable that is none.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// What to know.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", self.key, self.origin, self.text)
    }
}
