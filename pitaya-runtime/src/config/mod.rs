//! What can be set, and what holds if nothing is set.
//!
//! A [`Config`] is the tree of settings below `pitaya`, with the key names of Go Pitaya: `pitaya.heartbeat.interval` is
//! `config.heartbeat.interval`. A file (TOML, YAML or JSON) and the environment fill it:
//!
//! ```toml
//! [pitaya.heartbeat]
//! interval = "15s"            # or PITAYA_HEARTBEAT_INTERVAL=15s
//!
//! [pitaya.limits.packet]
//! size = "256KiB"
//! ```
//!
//! ```
//! use pitaya_runtime::config::Config;
//!
//! let environment = [("PITAYA_HEARTBEAT_INTERVAL".to_owned(), "1m30s".to_owned())];
//! let loaded = Config::from_sources(None, environment)?;
//! assert_eq!(loaded.config.heartbeat.interval.as_secs(), 90);
//! for warning in &loaded.warnings {
//!     eprintln!("{warning}");
//! }
//! # Ok::<(), pitaya_runtime::config::ConfigErrors>(())
//! ```
//!
//! * **Precedence:** what the program sets, then the environment, the file, the default.
//! * **Names** do not depend on case. In a file, sections may be nested or written with dots. A variable is the key in
//!   upper case with `_` for each dot. An empty variable counts as not set, as in Go, and so does a `null` in a file.
//! * **A file** is UTF-8, with or without a byte order mark. In YAML `<<` merges mappings. A name that stands twice in
//!   one table is refused, in each format.
//! * **Kubernetes** sets variables for each Service of a namespace. Those that begin with `PITAYA_` are recognised by
//!   their form and not looked at; `enableServiceLinks: false` in the Pod's spec keeps them away.
//! * **Passwords are not shown**, nor the logins in addresses: not by `Debug`, not in errors, and not when a [`Config`] is
//!   serialized.
//! * **A mistake is not passed over.** A key below `pitaya` that does not exist is refused, with the nearest name; an unknown
//!   `PITAYA_..` variable is a warning, because it may be meant for something else. Other top-level sections of a file
//!   belong to the application and are not looked at. All problems are reported at once.
//! * **Go's files load.** A key of Go's without a meaning here is accepted with a warning that says what does its work, and
//!   so are the names of Go's manual that do nothing in Go.
//!
//! All keys are listed in `docs/config.md`, which [`reference()`] writes.

mod document;
mod environment;
mod json;
mod keys;
pub(crate) mod level;
mod load;
mod nearest;
mod network;
mod problem;
mod rate;
mod reference;
mod serde_tree;
mod setting;
mod shown;
mod size;
#[cfg(test)]
mod tests;
mod unbuilt;
mod validate;
mod yaml_bounds;

use std::{env, ffi::OsString, path::Path};

pub use keys::*;
pub use network::{Network, NetworkError};
pub use pitaya_core::duration;
pub use problem::{ConfigErrors, ConfigProblem, Origin, Warning};
pub use rate::{Rate, RateError};
pub use reference::reference;
pub use setting::{Secret, SerializerType, TlsVersion, UserTopics};
pub use size::{ByteSize, ByteSizeError};

/// A configuration that can be used, and what a person should know about where it came from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Old names, keys without a meaning here, unknown variables. [`Builder::config`](crate::Builder::config) takes them
    /// along, and the app logs them when it starts.
    pub warnings: Vec<Warning>,
}

/// Settings of the program's own, which come without warnings.
impl From<Config> for Loaded {
    fn from(config: Config) -> Self {
        Self { config, warnings: Vec::new() }
    }
}

impl Config {
    /// The defaults for a server that clients reach directly, without a proxy that holds back floods: at most 256
    /// connections from one address, at most 1,000 new ones a second, of web pages only those of its own host, and the
    /// admin port on the loopback interface: name another address of the machine where probes and Prometheus come from
    /// elsewhere.
    pub fn edge() -> Self {
        let mut config = Self::default();
        config.limits.connections.peraddress = 256;
        config.limits.accept.rate = 1_000;
        config.metrics.prometheus.host = "127.0.0.1".to_owned();
        config.acceptor.origins = vec!["same-host".to_owned()];
        config
    }

    /// Reads a file and the environment of the process.
    ///
    /// The kind of file is told by its extension: `.toml`, `.yaml`, `.yml` or `.json`.
    ///
    /// # Errors
    ///
    /// Every problem of both sources, not only the first.
    pub fn load(path: impl AsRef<Path>) -> Result<Loaded, ConfigErrors> {
        Self::read(Some(path.as_ref()), env::vars_os())
    }

    /// Reads the environment of the process alone.
    ///
    /// # Errors
    ///
    /// Every problem, not only the first.
    pub fn load_env() -> Result<Loaded, ConfigErrors> {
        Self::read(None, env::vars_os())
    }

    /// Reads a file, if there is one, and the given variables. What does not begin with `PITAYA_` is not looked at.
    ///
    /// # Errors
    ///
    /// Every problem of both sources, not only the first.
    pub fn from_sources(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigErrors> {
        Self::read(file, environment.into_iter().map(|(name, value)| (name.into(), value.into())))
    }

    /// Reads the environment of the process over these settings: what it does not set stays as it is.
    ///
    /// ```
    /// use pitaya_runtime::config::Config;
    ///
    /// let loaded = Config::edge().with_env()?;
    /// # Ok::<(), pitaya_runtime::config::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Every problem, not only the first.
    pub fn with_env(self) -> Result<Loaded, ConfigErrors> {
        self.read_over(None, env::vars_os())
    }

    /// Reads a file and the environment of the process over these settings, as [`load`](Self::load) does over the defaults.
    ///
    /// # Errors
    ///
    /// Every problem of both sources, not only the first.
    pub fn with_file(self, path: impl AsRef<Path>) -> Result<Loaded, ConfigErrors> {
        self.read_over(Some(path.as_ref()), env::vars_os())
    }

    fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigErrors> {
        Self::default().read_over(file, environment)
    }

    fn read_over(
        self,
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigErrors> {
        let mut loading = load::Loading::new(self);
        if let Some(path) = file {
            loading.file(path);
        }
        for (name, value) in environment {
            // A name that is not Unicode is no key's.
            if let Some(name) = name.to_str() {
                loading.variable(name, &value);
            }
        }
        loading.finish()
    }

    /// What cannot work: values out of range, and values that contradict each other. Empty if all is well.
    ///
    /// Loading does this too; it is for settings made in the program.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        validate::all(self)
    }
}
