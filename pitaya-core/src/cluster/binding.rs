//! Which frontend holds the session of a user.

use super::{BoxFuture, DiscoveryError};
use std::sync::Arc;

/// Remembers, for all servers, which frontend of a type holds the session of a uid. Transports without topics need it to
/// reach a user; over NATS it is not needed.
pub trait BindingStorage: Send + Sync + 'static {
    /// This frontend holds the session of the uid from now on.
    fn put<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), DiscoveryError>>;

    /// This frontend holds it no longer; a binding that is another frontend's by now is left alone.
    fn remove<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), DiscoveryError>>;

    /// The id of the frontend of this type that holds it.
    fn get<'a>(&'a self, kind: &'a str, uid: &'a str) -> BoxFuture<'a, Result<Option<Arc<str>>, DiscoveryError>>;
}
