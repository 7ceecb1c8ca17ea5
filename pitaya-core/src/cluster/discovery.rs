//! How servers find each other.

use super::{BoxFuture, ServerInfo};
use std::sync::Arc;

/// Where a discovery reports whom it sees: the app's table of servers.
///
/// The app's own server is reported like any other.
pub trait Registrar: Send + Sync + 'static {
    /// A server is there, or is there with another record than before.
    fn put(&self, server: ServerInfo);

    /// A server is gone.
    fn remove(&self, id: &str);

    /// These are all servers there are; whoever else was known is gone.
    fn replace(&self, servers: Vec<ServerInfo>);
}

/// Why a discovery could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Its service cannot be reached or refuses.
    #[error("{0}")]
    Unavailable(String),
    /// What others should be told of this server cannot be told.
    #[error("{0}")]
    Invalid(String),
    /// A server with this id is in the cluster already.
    #[error("a server with the id `{0}` is in the cluster already: give each its own with `.server_id(..)`")]
    Taken(Arc<str>),
}

/// Tells servers of each other. Once watching it repairs itself for ever: loss of its service leaves the last known
/// servers in place, ends nothing, and is over when the service is back.
pub trait Discovery: Send + Sync + 'static {
    /// Reads who is there, and reports from then on all that come and go. When it returns the first list has been
    /// reported.
    ///
    /// # Errors
    /// When its service cannot be reached at the start.
    fn watch(&self, registrar: Arc<dyn Registrar>) -> BoxFuture<'_, Result<(), DiscoveryError>>;

    /// Lets others see this server, until it withdraws or dies. Called once, after [`watch`](Self::watch), when the
    /// server can be called.
    ///
    /// # Errors
    /// When its service cannot be reached or the id is taken.
    fn announce(&self, own: ServerInfo) -> BoxFuture<'_, Result<(), DiscoveryError>>;

    /// Takes this server off the list, so that nobody sends it anything new, and goes on watching.
    fn withdraw(&self) -> BoxFuture<'_, ()>;

    /// Ends everything it does.
    fn stop(&self) -> BoxFuture<'_, ()>;

    /// Whether what it says is up to date: false while its service is away.
    fn is_connected(&self) -> bool;
}
