//! What a method may borrow: the session, the app's state, what a pipeline step left for it.

use crate::error::{Error, Result};
use crate::rpc::{Metadata, Rpc};
use crate::session::{CloseReason, Session};
use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// The values an app lends to its components, one of each type.
#[derive(Default, Clone)]
pub struct State(Values);

impl State {
    /// Adds a value; the last of a type stays.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
        self
    }

    /// The value of type `T`.
    ///
    /// # Errors
    /// PIT-500 naming the type when the app has none.
    pub fn get<T: Any>(&self) -> Result<&T> {
        find(&self.0).ok_or_else(|| {
            Error::internal(format!("the app has no {}: give it one with Builder::state", type_name::<T>()))
        })
    }
}

fn find<T: Any>(values: &Values) -> Option<&T> {
    values.get(&TypeId::of::<T>()).and_then(|value| (**value).downcast_ref())
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("values", &self.0.len()).finish()
    }
}

/// What all messages of a session share.
#[derive(Debug)]
pub struct Shared {
    session: Session,
    state: Arc<State>,
    steps: Arc<dyn Steps>,
    routes: Arc<[Arc<str>]>,
    origin: Option<Origin>,
    rpc: OnceLock<Rpc>,
}

/// What came with a message that another server forwarded.
#[derive(Debug)]
pub struct Origin {
    /// What travels with it.
    pub metadata: Arc<Metadata>,
    /// When the client is no longer waited for.
    pub deadline: Instant,
}

/// Steps over payloads, as far as a context has to know of them: the [pipeline](crate::pipeline::Pipeline)'s.
pub trait Steps<X = Context>: std::fmt::Debug + Send + Sync {
    /// Whether there are any.
    fn any(&self) -> bool;

    /// Runs them.
    ///
    /// # Errors
    /// The first one's that fails.
    fn run(&self, cx: &mut X, payload: &mut (dyn Any + Send)) -> Result<()>;
}

/// What surrounds one message. Cheap to clone: one counter, and a second one when a pipeline step left something.
#[derive(Debug, Clone)]
pub struct Context {
    shared: Arc<Shared>,
    route: u32,
    id: u64,
    /// Steps over payloads exist: read per message, so it is not looked up behind two pointers.
    has_before: bool,
    extras: Extras,
}

/// Under which name labels of metrics travel beside calls (`constants.MetricTagsKey` of Go Pitaya).
pub const METRIC_TAGS: &str = "metric-tags";

/// Labels of metrics that were set for one message.
struct MetricTags {
    tags: Metadata,
    rpc: OnceLock<Rpc>,
}

/// What pipeline steps left for those after them, in one context. No memory before the first value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras(Option<Arc<State>>);

impl Extras {
    pub(crate) fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        let values = Arc::make_mut(self.0.get_or_insert_default());
        *values = std::mem::take(values).with(value);
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        find(&self.0.as_ref()?.0)
    }

    pub(crate) fn add_metric_tags<K: Into<String>, V: Into<String>>(
        &mut self,
        known: Option<Metadata>,
        tags: impl IntoIterator<Item = (K, V)>,
    ) {
        let mut all = known.unwrap_or_default();
        all.extend(tags.into_iter().map(|(name, value)| (name.into(), value.into().into())));
        self.insert(MetricTags { tags: all, rpc: OnceLock::new() });
    }

    pub(crate) fn metric_tags(&self) -> Option<&Metadata> {
        self.get::<MetricTags>().map(|set| &set.tags)
    }

    /// The way to other servers that takes the labels along.
    pub(crate) fn tagged<'a>(&'a self, rpc: &'a Rpc) -> &'a Rpc {
        let Some(set) = self.get::<MetricTags>() else { return rpc };
        set.rpc.get_or_init(|| rpc.with(METRIC_TAGS, set.tags.clone()))
    }
}

impl Context {
    /// The context of a session's messages. `routes` are the full names, indexed by registry entry.
    #[must_use]
    pub fn new(session: Session, state: Arc<State>, steps: Arc<dyn Steps>, routes: Arc<[Arc<str>]>) -> Self {
        Self::forwarded(session, state, steps, routes, None)
    }

    /// The context of a message that another server forwarded.
    #[must_use]
    pub fn forwarded(
        session: Session,
        state: Arc<State>,
        steps: Arc<dyn Steps>,
        routes: Arc<[Arc<str>]>,
        origin: Option<Origin>,
    ) -> Self {
        let has_before = steps.any();
        let shared = Arc::new(Shared { session, state, steps, routes, origin, rpc: OnceLock::new() });
        Self { shared, route: u32::MAX, id: 0, has_before, extras: Extras::default() }
    }

    /// Makes it the context of the next message.
    #[inline]
    pub fn enter(&mut self, route: u32, id: u64) {
        self.route = route;
        self.id = id;
        if self.extras.0.is_some() {
            self.extras = Extras::default();
        }
    }

    /// After a message that was forwarded: lets go of what it left. False when somebody still holds what it left: then
    /// this context is that message's for good.
    #[doc(hidden)]
    pub fn release(&mut self) -> bool {
        self.extras = Extras::default();
        if self.shared.rpc.get().is_some() {
            let Some(shared) = Arc::get_mut(&mut self.shared) else { return false };
            shared.rpc = OnceLock::new();
        }
        true
    }

    /// Makes it the context of another forwarded message with the same metadata of the same session, if nobody holds it
    /// or its session, or left a callback there, and the session is what the message says it is. Only after
    /// [`release`](Self::release).
    #[doc(hidden)]
    pub fn renew(&mut self, uid: &[u8], data: &[u8], deadline: Instant) -> bool {
        let Some(shared) = Arc::get_mut(&mut self.shared) else { return false };
        let Some(origin) = &mut shared.origin else { return false };
        origin.deadline = deadline;
        shared.session.is_same(uid, data)
    }

    /// Whose message it is.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.shared.session
    }

    /// The full route, `server.service.method`.
    #[must_use]
    pub fn route(&self) -> &str {
        self.shared.routes.get(self.route as usize).map_or("", |name| name)
    }

    /// The number the client gave the request, 0 for a notify.
    #[must_use]
    pub fn message_id(&self) -> u64 {
        self.id
    }

    /// What the frontend sent along, when the message was forwarded.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.shared.origin.as_ref().map(|origin| &*origin.metadata)
    }

    /// When the frontend stops waiting, when the message was forwarded. The method goes on all the same.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.origin.as_ref().map(|origin| origin.deadline)
    }

    /// The way to other servers. It takes along what came with a forwarded message, and its deadline.
    ///
    /// # Errors
    /// PIT-500 when the app has none.
    pub fn rpc(&self) -> Result<&Rpc> {
        let mut rpc = self.state::<Rpc>()?;
        if let Some(origin) = &self.shared.origin {
            rpc = self.shared.rpc.get_or_init(|| rpc.with_metadata(origin.metadata.clone()).until(origin.deadline));
        }
        Ok(self.extras.tagged(rpc))
    }

    /// Sets labels of `pitaya.metrics.additionallabels` for this message and for the calls that are made for it; they travel
    /// as Go's `AddMetricTagsToPropagateCtx` sends them. In a step over payloads they count for the message's own response
    /// time too.
    pub fn add_metric_tags<K: Into<String>, V: Into<String>>(&mut self, tags: impl IntoIterator<Item = (K, V)>) {
        let known = self.metric_tags().cloned();
        self.extras.add_metric_tags(known, tags);
    }

    /// The labels that were set for this message, here or by the server that sent it.
    #[must_use]
    pub fn metric_tags(&self) -> Option<&Metadata> {
        self.extras.metric_tags().or_else(|| self.metadata()?.get(METRIC_TAGS)?.as_object())
    }

    /// A value of the app's state.
    ///
    /// # Errors
    /// PIT-500 naming the type when the app has none.
    pub fn state<T: Any>(&self) -> Result<&T> {
        self.shared.state.get()
    }

    /// Leaves a value for later steps and for the method; it lives as long as this message.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.extras.insert(value);
    }

    /// What an earlier step left.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.extras.get()
    }

    /// Ends when the session closes. A handler that works for long can stop early.
    pub async fn closed(&self) {
        self.shared.session.closed().await;
    }
}

/// What surrounds a call, as far as a row has to know: [`Context`] and [`RemoteContext`](crate::RemoteContext).
pub trait Source: Clone + Send + Sync + 'static {
    /// Whether there are steps over payloads.
    fn has_before(&self) -> bool;

    /// Runs them.
    ///
    /// # Errors
    /// The first one's that fails; the method does not run.
    fn before(&mut self, payload: &mut (dyn Any + Send)) -> Result<()>;
}

impl Source for Context {
    #[inline]
    fn has_before(&self) -> bool {
        self.has_before
    }

    fn before(&mut self, payload: &mut (dyn Any + Send)) -> Result<()> {
        let steps = self.shared.steps.clone();
        steps.run(self, payload)
    }
}

/// The app starts or ends.
#[derive(Debug, Clone)]
pub struct AppEvent {
    /// The app's state.
    pub state: Arc<State>,
}

/// A session was bound or closed.
#[derive(Debug, Clone)]
pub struct SessionEvent {
    /// Which one.
    pub session: Session,
    /// The app's state.
    pub state: Arc<State>,
}

/// What a method may take as `&Self`, and where it comes from.
///
/// Implemented on the thing itself, so that users add their own, trait objects included:
///
/// ```
/// use pitaya_core::{Context, FromContext, Result};
///
/// struct World {
///     seed: u64,
/// }
/// impl FromContext for World {
///     fn from_context(cx: &Context) -> Result<&Self> {
///         cx.state() // given to the app with Builder::state(World { .. })
///     }
/// }
/// ```
///
/// `X` is the source: [`Context`] for a message, [`RemoteContext`](crate::RemoteContext) for a call of another server, [`AppEvent`] and [`SessionEvent`] for `#[on(..)]` methods.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` is not something that can be borrowed from `{X}`",
    label = "the framework cannot lend this here",
    note = "borrowed comes from the framework, owned from the wire: a payload is written without `&`",
    note = "a message lends `&Context` and `&Session`, a remote `&RemoteContext`, an app hook `&AppEvent`, a session hook `&SessionEvent` and `&Session`; whatever else is lent implements `FromContext<{X}>`"
)]
pub trait FromContext<X = Context> {
    /// Borrows it.
    ///
    /// # Errors
    /// When the source has none; the client gets the error.
    fn from_context(source: &X) -> Result<&Self>;
}

#[diagnostic::do_not_recommend]
impl<X> FromContext<X> for X {
    #[inline]
    fn from_context(source: &X) -> Result<&X> {
        Ok(source)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for Session {
    #[inline]
    fn from_context(cx: &Context) -> Result<&Self> {
        Ok(cx.session())
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<SessionEvent> for Session {
    fn from_context(event: &SessionEvent) -> Result<&Self> {
        Ok(&event.session)
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<SessionEvent> for CloseReason {
    fn from_context(event: &SessionEvent) -> Result<&Self> {
        event.session.close_reason().ok_or_else(|| Error::internal("the session is not closed: there is no reason yet"))
    }
}

// Methods of the source and not a free function: with the type of the source fixed first, the error for a wrong
// argument is the trait's text and not "mismatched types".
impl Context {
    /// Borrows something from the surroundings of a message: see [`FromContext`].
    ///
    /// # Errors
    /// When there is no such thing here.
    #[inline]
    pub fn lend<T: FromContext<Self> + ?Sized>(&self) -> Result<&T> {
        T::from_context(self)
    }
}

impl AppEvent {
    /// Borrows something from the app: see [`FromContext`].
    ///
    /// # Errors
    /// When there is no such thing here.
    #[inline]
    pub fn lend<T: FromContext<Self> + ?Sized>(&self) -> Result<&T> {
        T::from_context(self)
    }
}

impl SessionEvent {
    /// Borrows something from the event of a session: see [`FromContext`].
    ///
    /// # Errors
    /// When there is no such thing here.
    #[inline]
    pub fn lend<T: FromContext<Self> + ?Sized>(&self) -> Result<&T> {
        T::from_context(self)
    }
}
