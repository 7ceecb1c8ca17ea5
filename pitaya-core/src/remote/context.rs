//! What surrounds a call of another server.

use crate::context::{FromContext, Source, State};
use crate::error::Result;
use crate::rpc::{Metadata, Peer, Rpc};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// What a remote may borrow from: who calls, what travels with the call, until when it waits. There is no session: the
/// caller is a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteContext(Arc<Surroundings>);

#[derive(Debug)]
struct Surroundings {
    route: Arc<str>,
    caller: Option<Peer>,
    deadline: Option<Instant>,
    rpc: Rpc,
    state: Arc<State>,
}

impl RemoteContext {
    /// The context of a call of `route`. What travels with it is that of `rpc`, which nested calls go through.
    #[must_use]
    pub fn new(route: Arc<str>, caller: Option<Peer>, deadline: Option<Instant>, rpc: Rpc, state: Arc<State>) -> Self {
        Self(Arc::new(Surroundings { route, caller, deadline, rpc, state }))
    }

    /// The remote, as `service.method`.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.0.route
    }

    /// Who calls, if it said so.
    #[must_use]
    pub fn caller(&self) -> Option<&Peer> {
        self.0.caller.as_ref()
    }

    /// What the caller sent along.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.0.rpc.metadata()
    }

    /// When the caller stops waiting; the method is dropped then.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// The way to other servers: it takes along what came with this call, and its deadline.
    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        &self.0.rpc
    }

    /// A value of the app's state.
    ///
    /// # Errors
    /// PIT-500 naming the type when the app has none.
    pub fn state<T: Any>(&self) -> Result<&T> {
        self.0.state.get()
    }

    /// Borrows something from the surroundings of a call: see [`FromContext`].
    ///
    /// # Errors
    /// When there is no such thing here.
    #[inline]
    pub fn lend<T: FromContext<Self> + ?Sized>(&self) -> Result<&T> {
        T::from_context(self)
    }
}

impl Source for RemoteContext {
    /// Calls of other servers pass no steps of the clients' pipeline.
    #[inline]
    fn before(&mut self, _: &mut (dyn Any + Send)) -> Result<()> {
        Ok(())
    }
}
