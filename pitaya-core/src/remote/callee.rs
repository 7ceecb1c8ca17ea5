//! Whom a stub calls, and one call on its way out.

use crate::codec::{Blaming, Reads, ReadsAnswer, Row, Set, Writes};
use crate::error::{Error, Result};
use crate::rpc::{Rpc, RpcCall, RpcClient, Target};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Bytes for an argument before its length is known.
const ROOM: usize = 128;

/// Whom to call, in which codec (the first one of the set), and how long to wait: what a stub is made of, and the way to
/// remotes that have none.
///
/// ```no_run
/// use pitaya_core::remote::Rpc;
/// use pitaya_core::{Protobuf, Result};
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Members {
///     #[prost(string, repeated, tag = "1")]
///     names: Vec<String>,
/// }
///
/// /// A remote of a server that is not written in Rust.
/// async fn members(rpc: &Rpc) -> Result<Members> {
///     rpc.any::<(Protobuf,)>("chat").empty("room.members").request().await
/// }
/// ```
pub struct Callee<Cs> {
    rpc: Rpc,
    target: Target,
    timeout: Option<Duration>,
    codec: PhantomData<fn() -> Cs>,
}

/// A call whose argument is encoded: sent when its answer is asked for.
#[must_use = "nothing is sent before `request` or `notify`"]
pub struct Sent<Cs> {
    client: Arc<dyn RpcClient>,
    call: Result<RpcCall>,
    codec: PhantomData<fn() -> Cs>,
}

impl Rpc {
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
}

impl<Cs> Callee<Cs> {
    /// Calls this target.
    #[must_use]
    pub fn new(rpc: &Rpc, target: Target) -> Self {
        Self { rpc: rpc.clone(), target, timeout: None, codec: PhantomData }
    }

    /// The same on another server.
    #[must_use]
    pub fn on(&self, id: impl Into<Arc<str>>) -> Self {
        Self { target: Target::Server(id.into()), ..self.clone() }
    }

    /// The same, waiting no longer than this.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self.clone() }
    }

    /// The remote `service.method` with this argument.
    pub fn send<P: ?Sized>(&self, route: impl Into<Cow<'static, str>>, argument: &P) -> Sent<Cs>
    where
        Cs: Writes<P>,
    {
        // As much as most arguments take: fewer bytes are not worth growing for.
        let mut body = Vec::with_capacity(ROOM);
        let call = match Cs::write(0, argument, &mut body) {
            Ok(()) => Ok(self.call(route.into(), body.into())),
            Err(e) => Err(e),
        };
        Sent { client: self.rpc.client().clone(), call, codec: PhantomData }
    }

    /// [`send`](Self::send) in a stub: see [`Blaming`].
    #[doc(hidden)]
    pub fn send_as<const KNOWN: bool, P: ?Sized>(&self, route: &'static str, argument: &P) -> Sent<Cs>
    where
        Blaming<Cs, KNOWN>: Writes<P>,
        Row<KNOWN>: Set,
    {
        let Sent { client, call, .. } = self.cast::<Blaming<Cs, KNOWN>>().send(route, argument);
        Sent { client, call, codec: PhantomData }
    }

    /// The remote `service.method` without an argument.
    pub fn empty(&self, route: impl Into<Cow<'static, str>>) -> Sent<Cs> {
        let call = Ok(self.call(route.into(), Bytes::new()));
        Sent { client: self.rpc.client().clone(), call, codec: PhantomData }
    }

    fn call(&self, route: Cow<'static, str>, body: Bytes) -> RpcCall {
        RpcCall {
            target: self.target.clone(),
            route,
            body,
            answer: true,
            timeout: self.timeout,
            deadline: self.rpc.deadline(),
            metadata: self.rpc.metadata().clone(),
        }
    }
}

impl<Cs> Sent<Cs> {
    /// Waits for the answer, and reads it.
    ///
    /// # Errors
    /// The remote's own and those of [`RpcClient::call`](crate::rpc::RpcClient::call); PIT-500 when the answer cannot be read.
    pub async fn request<R>(self) -> Result<R>
    where
        Cs: Reads<R>,
    {
        let call = self.call?;
        let route = call.route.clone();
        let answer = self.client.call(call).await?;
        Cs::read_answer(&answer).map_err(|error| unreadable(&route, &error))
    }

    /// [`request`](Self::request) in a stub: see [`Blaming`].
    #[doc(hidden)]
    pub async fn request_as<const KNOWN: bool, R, Form>(self) -> Result<R>
    where
        Blaming<Cs, KNOWN>: ReadsAnswer<R, Form>,
        Row<KNOWN>: Set,
    {
        let call = self.call?;
        let route = call.route.clone();
        let called = self.client.call(call).await;
        <Blaming<Cs, KNOWN>>::answered(called, |error| unreadable(&route, &error))
    }

    /// Waits until the call is on its way; whatever comes of it stays with the other server.
    ///
    /// # Errors
    /// When it could not be sent.
    pub async fn notify(self) -> Result<()> {
        let call = RpcCall { answer: false, ..self.call? };
        let _: Bytes = self.client.call(call).await?;
        Ok(())
    }
}

fn unreadable(route: &str, error: &Error) -> Error {
    Error::internal(format!("the answer of {route} cannot be read: {}", error.message()))
}

impl<Cs> Callee<Cs> {
    /// The same in another set of codecs.
    fn cast<Other>(&self) -> Callee<Other> {
        Callee { rpc: self.rpc.clone(), target: self.target.clone(), timeout: self.timeout, codec: PhantomData }
    }
}

impl<Cs> Clone for Callee<Cs> {
    fn clone(&self) -> Self {
        self.cast()
    }
}

impl<Cs> fmt::Debug for Callee<Cs> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callee").field("target", &self.target).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl<Cs> fmt::Debug for Sent<Cs> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("call", &self.call).finish_non_exhaustive()
    }
}
