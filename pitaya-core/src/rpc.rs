//! What carries a call to another server.

use crate::BoxFuture;
use crate::error::Result;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What travels beside a call: a flat JSON object, Go's propagated context. Values keep to strings where a Go server
/// reads them: its numbers have 53 bits.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A server, as others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: Arc<str>,
    /// Its type.
    pub kind: Arc<str>,
}

/// Who is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Any server of this type.
    Any(Arc<str>),
    /// The server with this id.
    Server(Arc<str>),
}

/// One call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RpcCall {
    /// Who is to answer.
    pub target: Target,
    /// The remote, as `service.method`.
    pub route: Cow<'static, str>,
    /// The argument, encoded; empty when there is none.
    pub body: Bytes,
    /// Whether the caller waits for the answer. Otherwise it waits only until the call is on its way, and hears of no
    /// error that comes later.
    pub answer: bool,
    /// How long the caller waits, measured from the call on; `None` leaves it to the transport's setting.
    pub timeout: Option<Duration>,
    /// When the caller itself is no longer waited for: it never waits longer.
    pub deadline: Option<Instant>,
    /// What travels with it.
    pub metadata: Arc<Metadata>,
}

impl RpcCall {
    /// A call without argument or metadata that waits for its answer.
    pub fn new(target: Target, route: impl Into<Cow<'static, str>>) -> Self {
        let (body, metadata) = (Bytes::new(), Arc::default());
        Self { target, route: route.into(), body, answer: true, timeout: None, deadline: None, metadata }
    }
}

/// A way to other servers: in this process, over a broker, or a test's own.
///
/// ```
/// use bytes::Bytes;
/// use pitaya_core::rpc::{Rpc, RpcCall, RpcClient};
/// use pitaya_core::{BoxFuture, Result};
///
/// /// Answers every call with its argument.
/// struct Mirror;
/// impl RpcClient for Mirror {
///     fn call(&self, call: RpcCall) -> BoxFuture<'_, Result<Bytes>> {
///         Box::pin(async move { Ok(call.body) })
///     }
/// }
/// let rpc = Rpc::new(Mirror);
/// # let _ = rpc;
/// ```
pub trait RpcClient: Send + Sync + 'static {
    /// Carries the call, and gives the encoded answer; an empty one when none is wanted. It may go before the future is
    /// polled; dropping that ends the waiting.
    ///
    /// The error is the remote's own with its code, text and metadata; or PIT-404 `route not found` with `route` in the
    /// metadata; PIT-408 `rpc client: request timeout` when there was no answer in time, so that the call *may have run*;
    /// PIT-503 when it has *certainly not run*; PIT-500 when no such server is known or the remote panicked.
    fn call(&self, call: RpcCall) -> BoxFuture<'_, Result<Bytes>>;
}

/// The app's way to other servers. A cheap handle: clone it, or borrow it in a handler, a remote or a hook as `rpc: &Rpc`.
///
/// Typed stubs are made from it, `RoomClient::new(rpc, "room")`; a remote without a stub is called by its name.
#[derive(Clone)]
pub struct Rpc {
    client: Arc<dyn RpcClient>,
    metadata: Arc<Metadata>,
    deadline: Option<Instant>,
}

impl Rpc {
    /// A handle to this way.
    pub fn new(client: impl RpcClient) -> Self {
        Self::shared(Arc::new(client))
    }

    /// A handle to a way that others hold too.
    pub fn shared(client: Arc<dyn RpcClient>) -> Self {
        Self { client, metadata: Arc::default(), deadline: None }
    }

    /// The same way, with one more value that travels with each call.
    #[must_use]
    pub fn with(&self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        let mut metadata = Metadata::clone(&self.metadata);
        metadata.insert(key.into(), value.into());
        self.with_metadata(Arc::new(metadata))
    }

    /// The same way, with these values in place of all that would travel with each call.
    #[must_use]
    pub fn with_metadata(&self, metadata: Arc<Metadata>) -> Self {
        Self { metadata, ..self.clone() }
    }

    /// The same way, on which nobody waits past this.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(self.deadline.map_or(deadline, |known| known.min(deadline))), ..self.clone() }
    }

    /// The deadline of the next call, in place of the one before.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// When whoever called is no longer waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What travels with each call.
    #[must_use]
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// Carries one call: [`RpcClient::call`]. What travels with it is its own metadata, or that of this handle when it has
    /// none.
    ///
    /// # Errors
    /// As for [`RpcClient::call`].
    pub async fn call(&self, mut call: RpcCall) -> Result<Bytes> {
        if call.metadata.is_empty() && !self.metadata.is_empty() {
            call.metadata = self.metadata.clone();
        }
        if let Some(deadline) = self.deadline {
            call.deadline = Some(call.deadline.map_or(deadline, |known| known.min(deadline)));
        }
        self.client.call(call).await
    }

    /// What carries calls, for those that bring all that this handle would add.
    pub(crate) fn client(&self) -> &Arc<dyn RpcClient> {
        &self.client
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}
