//! Reasons why an app did not start.

use crate::readable::debug_as_display;
use pitaya_core::Error;
use pitaya_core::cluster::DiscoveryError;
use pitaya_core::registry::Moment;
use std::io;
use std::sync::Arc;

/// Why an app did not start.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on: most often another program has the port.
    #[error("cannot listen on {acceptor}: {source}{}", hint(source))]
    Bind {
        /// The acceptor, as `protocol://address`.
        acceptor: String,
        /// The system's error.
        source: io::Error,
    },
    /// The address of metrics and health cannot be listened on.
    #[error(
        "cannot listen on http://{address}: {source}{}; metrics and health are served there: set \
         pitaya.metrics.prometheus.host and pitaya.metrics.prometheus.port",
        hint(source)
    )]
    Admin {
        /// The address, as `host:port`.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// An `init` or `after_init` method of a component failed.
    #[error("{0}")]
    Component(String),
    /// A module failed to start.
    #[error("{moment:?} of the module `{name}` failed: {}", cause.with_causes())]
    Module {
        /// The name it was registered under.
        name: Arc<str>,
        /// Which of its methods.
        moment: Moment,
        /// Its error; PIT-500 for a panic.
        cause: Error,
    },
    /// A server with this id is in the cluster already.
    #[error("a server with the id `{0}` is in the cluster already: give each its own with `.server_id(..)`")]
    ServerId(Arc<str>),
    /// The transport between servers could not be reached.
    #[error("the cluster cannot be joined: {0}")]
    Cluster(String),
    /// A signal, or [`App::shutdown`](crate::App::shutdown), came before the app had started. What had started is stopped.
    #[error("asked to stop before it had started, while waiting for {step}")]
    Interrupted {
        /// The step that was in progress.
        step: String,
    },
    /// An app runs once.
    #[error("the app has been started before")]
    Again,
}

impl From<DiscoveryError> for StartError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Taken(id) => Self::ServerId(id),
            other => Self::Cluster(other.to_string()),
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; choose another port or stop it)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need privileges)",
        _ => "",
    }
}

debug_as_display!(StartError);
