//! What surrounds a call of another server.

use crate::context::{Extras, FromContext, METRIC_TAGS, Source, State, Steps};
use crate::error::{Result, codes};
use crate::rpc::{Metadata, Peer, Rpc};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// What a remote may borrow from: who calls, what travels with the call, until when it waits. There is no session: the
/// caller is a server. Cheap to clone: one counter, and a second one when a pipeline step left something.
#[derive(Debug, Clone)]
pub struct RemoteContext {
    shared: Arc<Surroundings>,
    extras: Extras,
}

#[derive(Debug)]
struct Surroundings {
    route: Arc<str>,
    caller: Option<Peer>,
    deadline: Option<Instant>,
    rpc: Rpc,
    state: Arc<State>,
    steps: Arc<dyn Steps<RemoteContext>>,
}

impl RemoteContext {
    /// The context of a call of `route`. What travels with it is that of `rpc`, which nested calls go through.
    #[must_use]
    pub fn new(
        route: Arc<str>,
        caller: Option<Peer>,
        deadline: Option<Instant>,
        rpc: Rpc,
        state: Arc<State>,
        steps: Arc<dyn Steps<Self>>,
    ) -> Self {
        let shared = Arc::new(Surroundings { route, caller, deadline, rpc, state, steps });
        Self { shared, extras: Extras::default() }
    }

    /// Makes it the context of the next call of the same route by the same caller; false when it is another's, or when
    /// somebody still holds it.
    #[doc(hidden)]
    pub fn renew(&mut self, route: &Arc<str>, metadata: &Arc<Metadata>, deadline: Instant) -> bool {
        let Some(shared) = Arc::get_mut(&mut self.shared) else { return false };
        if !Arc::ptr_eq(&shared.route, route) || !Arc::ptr_eq(shared.rpc.metadata(), metadata) {
            return false;
        }
        shared.deadline = Some(deadline);
        shared.rpc.set_deadline(deadline);
        self.extras = Extras::default();
        true
    }

    /// The remote, as `service.method`.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.shared.route
    }

    /// Who calls, if it said so.
    #[must_use]
    pub fn caller(&self) -> Option<&Peer> {
        self.shared.caller.as_ref()
    }

    /// What the caller sent along.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.shared.rpc.metadata()
    }

    /// When the caller stops waiting; the method is dropped then.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.deadline
    }

    /// The way to other servers: it takes along what came with this call, and its deadline.
    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        self.extras.tagged(&self.shared.rpc)
    }

    /// Sets labels of `pitaya.metrics.additionallabels` for the calls that are made for this one, as
    /// [`Context::add_metric_tags`](crate::Context::add_metric_tags) does.
    pub fn add_metric_tags<K: Into<String>, V: Into<String>>(&mut self, tags: impl IntoIterator<Item = (K, V)>) {
        let known = self.metric_tags().cloned();
        self.extras.add_metric_tags(known, tags);
    }

    /// The labels that were set for this call, here or by its caller.
    #[must_use]
    pub fn metric_tags(&self) -> Option<&Metadata> {
        self.extras.metric_tags().or_else(|| self.metadata().get(METRIC_TAGS)?.as_object())
    }

    /// A value of the app's state.
    ///
    /// # Errors
    /// PIT-500 naming the type when the app has none.
    pub fn state<T: Any>(&self) -> Result<&T> {
        self.shared.state.get()
    }

    /// Leaves a value for later steps and for the method; it lives as long as this call.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.extras.insert(value);
    }

    /// What an earlier step left.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.extras.get()
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
    #[inline]
    fn has_before(&self) -> bool {
        self.shared.steps.any()
    }

    /// Runs the steps of the remotes' pipeline. An error without a code of its own is PIT-500, the one code that Go has
    /// for them all (`pkg/service/remote.go`, `handleRPCUser`).
    fn before(&mut self, payload: &mut (dyn Any + Send)) -> Result<()> {
        let steps = self.shared.steps.clone();
        steps.run(self, payload).map_err(|error| error.or_code(codes::INTERNAL))
    }
}
