//! What carries a call to another server.

use crate::BoxFuture;
use crate::context::{AppEvent, Context, FromContext, SessionEvent};
use crate::error::Result;
use crate::remote::{Callee, RemoteContext};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What travels beside a call: a flat JSON object, Go's propagated context. Values keep to strings where a Go server
/// reads them: its numbers have 53 bits.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

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
    /// What travels with it.
    pub metadata: Arc<Metadata>,
}

impl RpcCall {
    /// A call without argument or metadata that waits for its answer.
    pub fn new(target: Target, route: impl Into<Cow<'static, str>>) -> Self {
        let (body, metadata) = (Bytes::new(), Arc::default());
        Self { target, route: route.into(), body, answer: true, timeout: None, metadata }
    }
}

/// A way to other servers: in this process, over a broker, or a test's own.
///
/// ```
/// use bytes::Bytes;
/// use pitaya_core::remote::{Rpc, RpcCall, RpcClient};
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
    /// Carries the call, and gives the encoded answer; an empty one when none is wanted.
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
}

impl Rpc {
    /// A handle to this way.
    pub fn new(client: impl RpcClient) -> Self {
        Self { client: Arc::new(client), metadata: Arc::default() }
    }

    /// The same way, with one more value that travels with each call.
    #[must_use]
    pub fn with(&self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        let mut metadata = Metadata::clone(&self.metadata);
        metadata.insert(key.into(), value.into());
        Self { client: self.client.clone(), metadata: Arc::new(metadata) }
    }

    /// The same way, with these values in place of all that would travel with each call.
    #[must_use]
    pub fn with_metadata(&self, metadata: Arc<Metadata>) -> Self {
        Self { client: self.client.clone(), metadata }
    }

    /// What travels with each call.
    #[must_use]
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// Any server of this type, called in the codec `Cs`: `rpc.any::<(Json,)>("room")`.
    #[must_use]
    pub fn any<Cs>(&self, server_type: impl Into<Arc<str>>) -> Callee<Cs> {
        Callee::new(self, Target::Any(server_type.into()))
    }

    /// The server with this id, called in the codec `Cs`.
    #[must_use]
    pub fn server<Cs>(&self, id: impl Into<Arc<str>>) -> Callee<Cs> {
        Callee::new(self, Target::Server(id.into()))
    }

    /// Carries one call: [`RpcClient::call`].
    ///
    /// # Errors
    /// As for [`RpcClient::call`].
    pub async fn call(&self, call: RpcCall) -> Result<Bytes> {
        self.client.call(call).await
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for Rpc {
    fn from_context(cx: &Context) -> Result<&Self> {
        cx.state()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<AppEvent> for Rpc {
    fn from_context(event: &AppEvent) -> Result<&Self> {
        event.state.get()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<SessionEvent> for Rpc {
    fn from_context(event: &SessionEvent) -> Result<&Self> {
        event.state.get()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<RemoteContext> for Rpc {
    fn from_context(cx: &RemoteContext) -> Result<&Self> {
        Ok(cx.rpc())
    }
}
