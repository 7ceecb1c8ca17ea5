//! Which server of a type gets a client's message.

use super::ServerInfo;
use crate::session::Session;
use std::sync::Arc;

/// A client's message that is about to be forwarded.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Whose it is.
    pub session: &'a Session,
    /// The full route.
    pub route: &'a str,
    /// The body, as the client encoded it.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message of this session.
    #[must_use]
    pub fn new(session: &'a Session, route: &'a str, body: &'a [u8]) -> Self {
        Self { session, route, body }
    }
}

/// Chooses the server of one type that gets a message.
///
/// Any `Fn(&Message, &[Arc<ServerInfo>]) -> Option<Arc<ServerInfo>>` is one:
///
/// ```
/// use pitaya_core::cluster::{Message, Router, ServerInfo};
/// use std::sync::Arc;
///
/// /// The room that the session's data name.
/// let by_data = |message: &Message<'_>, servers: &[Arc<ServerInfo>]| {
///     let room: Option<String> = message.session.data().get("room").ok().flatten();
///     servers.iter().find(|server| server.metadata.get("room") == room.as_ref()).cloned()
/// };
/// fn is_a_router(_: impl Router) {}
/// is_a_router(by_data);
/// ```
pub trait Router: Send + Sync + 'static {
    /// One of these servers, of which there is at least one; none is answered to the client as PIT-500.
    fn route(&self, message: &Message<'_>, servers: &[Arc<ServerInfo>]) -> Option<Arc<ServerInfo>>;
}

impl<F> Router for F
where
    F: Fn(&Message<'_>, &[Arc<ServerInfo>]) -> Option<Arc<ServerInfo>> + Send + Sync + 'static,
{
    fn route(&self, message: &Message<'_>, servers: &[Arc<ServerInfo>]) -> Option<Arc<ServerInfo>> {
        self(message, servers)
    }
}
