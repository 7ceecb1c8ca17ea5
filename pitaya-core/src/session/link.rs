//! The way to a client, whoever holds its connection.

use super::{ClientCertificate, CloseReason, KickReason, Push, Session};
use crate::BoxFuture;
use crate::codec::Serializer;
use crate::error::Result;
use crate::rpc::Peer;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a session does to the outside world. The connection of a frontend implements it, and so does the stand-in that
/// a backend has for a client of another server: it keeps session, connection and cluster out of each other.
///
/// No method waits for the client.
pub trait Link: Send + Sync + 'static {
    /// Queues a message whose body a codec has written.
    ///
    /// # Errors
    /// PIT-499 when the client is gone or too slow; PIT-400 when the wire cannot carry the message.
    fn push(&self, route: &str, body: &[u8]) -> Result<()>;

    /// Queues a message with bytes that reach the client as they are.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    fn push_raw(&self, route: &str, body: &[u8]) -> Result<()> {
        self.push(route, body)
    }

    /// Queues a message that was encoded once for many.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    fn send(&self, push: &Push) -> Result<()>;

    /// Queues a kick as the last thing, with an optional reason.
    ///
    /// # Errors
    /// PIT-499 when the client is gone.
    fn kick(&self, reason: Option<&KickReason>) -> Result<()>;

    /// Closes after what is queued; for `Replaced` the client gets a kick, so that it does not reconnect and fight.
    fn close(&self, reason: CloseReason);

    /// Makes the uid known: runs the app's callbacks, replaces an older session, tells the cluster.
    fn bind<'a>(&'a self, session: &'a Session, uid: &'a Arc<str>) -> BoxFuture<'a, Result<()>>;

    /// Whether a uid may have characters that nobody sees: what the config of this server says.
    fn takes_invisible_uids(&self) -> bool {
        false
    }

    /// The server that holds the connection, when it is not this one.
    fn frontend(&self) -> Option<&Peer> {
        None
    }

    /// Sends the session's data to the server that holds the connection; done at once when that is this one.
    fn push_to_front<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<()>> {
        let _ = session;
        Box::pin(async { Ok(()) })
    }

    /// A callback of the session panicked when it was closed.
    fn panicked(&self, session: &Session, panic: &(dyn Any + Send)) {
        let _ = panic;
        tracing::error!(session = session.id(), "an on_close callback panicked");
    }

    /// The client's address.
    fn remote_addr(&self) -> Option<SocketAddr>;

    /// The certificate that the client showed, if this server asked for one.
    fn certificate(&self) -> Option<&ClientCertificate> {
        None
    }

    /// What the client speaks.
    fn serializer(&self) -> Serializer;
}
