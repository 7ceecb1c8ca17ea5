//! What an app is made of, and whether it is valid: all problems at once.

mod assemble;
mod error;
mod mode;
mod steps;
mod unmounted;

pub use error::{BuildError, Problem};

use crate::accept::{Acceptor, Listen, erase};
use crate::cluster::{LocalCluster, Router};
use crate::config::{Config, Loaded, Rate, Warning};
use crate::dictionary::Codes;
use crate::handshake::{Validator, Validators};
use crate::metrics::{AnyRecorder, Recorder};
use crate::modules::{Module, Modules};
use crate::server::Callbacks;
use mode::{Mode, Store};
use pitaya_core::cluster::{Discovery, GroupStore, Transport};
use pitaya_core::codec::{Codec, Serializer, serializer};
use pitaya_core::handler::Handlers;
use pitaya_core::pipeline::Pipeline;
use pitaya_core::registry::{MountError, Registry};
use pitaya_core::wire::Dictionary;
use pitaya_core::{CloseReason, RemoteContext, Remotes, Result, Session, State};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

/// Collects what an app is made of. Nothing is checked before [`build`](Self::build), which reports everything.
///
/// ```
/// use pitaya_runtime::prelude::*;
///
/// struct Room;
/// #[handler]
/// impl Room {
///     pub fn echo(&self, raw: Raw) -> Raw {
///         raw
///     }
/// }
///
/// let app = Builder::new("chat").acceptor(Tcp::bind("127.0.0.1:0")).handlers(Room).build()?;
/// assert_eq!(app.server_type(), "chat");
/// # Ok::<(), BuildError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    kind: String,
    id: Option<String>,
    mode: Option<Mode>,
    routers: HashMap<String, Arc<dyn Router>>,
    metadata: BTreeMap<String, String>,
    repeatable: HashSet<String>,
    config: Config,
    /// Warnings of the config, for the log.
    warnings: Vec<Warning>,
    serializer: Option<Serializer>,
    acceptors: Vec<Box<dyn Listen>>,
    mounts: Vec<Mount>,
    modules: Modules,
    pipeline: Pipeline,
    remote_pipeline: Pipeline<RemoteContext>,
    codes: Codes,
    update_lock: Option<bool>,
    validators: Validators,
    limits: BTreeMap<String, Rate>,
    session_limit: Option<Rate>,
    callbacks: Callbacks,
    recorders: Vec<AnyRecorder>,
    state: State,
    store: Store,
    leave_groups: bool,
    warn_unmounted: bool,
    #[cfg(feature = "otel")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

type Mount = Box<dyn FnOnce(&mut Registry, &str, &'static str) -> Vec<MountError> + Send>;

impl Builder {
    /// An app of this server type, with the default config.
    pub fn new(server_type: impl Into<String>) -> Self {
        Self {
            kind: server_type.into(),
            id: None,
            mode: None,
            routers: HashMap::new(),
            metadata: BTreeMap::new(),
            repeatable: HashSet::new(),
            config: Config::default(),
            warnings: Vec::new(),
            serializer: None,
            acceptors: Vec::new(),
            mounts: Vec::new(),
            modules: Modules::default(),
            pipeline: Pipeline::default(),
            remote_pipeline: Pipeline::default(),
            codes: Codes::None,
            update_lock: None,
            validators: Validators::default(),
            limits: BTreeMap::new(),
            session_limit: None,
            callbacks: Callbacks::default(),
            recorders: Vec::new(),
            state: State::default(),
            store: Store::Memory,
            leave_groups: false,
            warn_unmounted: true,
            #[cfg(feature = "otel")]
            provider: None,
        }
    }

    /// The name of this server among all of its cluster, in place of a random one.
    pub fn server_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Joins the servers of this process that are given the same cluster: they forward messages to each other and call
    /// each other's remotes, and no service is needed. Without it the app calls its own remotes only.
    pub fn local_cluster(mut self, cluster: &LocalCluster) -> Self {
        self.mode = Some(Mode::Local(cluster.clone()));
        self
    }

    /// Joins the cluster that `pitaya.cluster` names: calls over NATS, discovery in etcd, byte-compatible with Go Pitaya's.
    #[cfg(all(feature = "nats", feature = "etcd"))]
    pub fn clustered(mut self) -> Self {
        self.mode = Some(Mode::Brokers);
        self
    }

    /// Joins a cluster through a transport and a discovery of one's own.
    pub fn cluster(mut self, transport: impl Transport, discovery: impl Discovery) -> Self {
        self.mode = Some(Mode::Own(Arc::new(transport), Arc::new(discovery)));
        self
    }

    /// Chooses, for each message, the server of this type that gets it. Without a router all messages of a session go to
    /// one server of a type, chosen by chance, as long as that lives.
    pub fn route(mut self, server_type: impl Into<String>, router: impl Router) -> Self {
        self.routers.insert(server_type.into(), Arc::new(router));
        self
    }

    /// Says something of this server to the routers of others.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Names a route that may run twice, beside those of `pitaya.cluster.retry.routes`: a remote as `service.method`, or a
    /// client's message for another server as `type.service.method`. When it is lost on its way, because its server died
    /// or could not be reached, it goes to another of the type. Nothing else is ever repeated.
    pub fn retry(mut self, route: impl Into<String>) -> Self {
        self.repeatable.insert(route.into());
        self
    }

    /// Settings in place of the defaults: a [`Config`], or what [`Config::load`] returns, whose warnings the app logs when
    /// it starts.
    pub fn config(mut self, config: impl Into<Loaded>) -> Self {
        let Loaded { config, warnings } = config.into();
        (self.config, self.warnings) = (config, warnings);
        self
    }

    /// Changes single settings: `.configure(|c| c.heartbeat.interval = Duration::from_secs(5))`.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Speaks this codec with clients, whatever `pitaya.serializertype` says: [`Json`](pitaya_core::Json),
    /// [`Protobuf`](pitaya_core::Protobuf) or one's own. It writes errors, and the handshake names it to clients. It does not
    /// change what a `#[handler]` block reads: that is said there, `#[handler(codec = GoJson)]`, and a block of another codec
    /// is refused when the app is built. [`GoJson`](pitaya_core::GoJson) and [`Json`](pitaya_core::Json) are one to clients,
    /// so blocks of both work under either.
    pub fn serializer<C: Codec>(mut self) -> Self {
        self.serializer = Some(serializer::<C>());
        self
    }

    /// Another way for clients to come in. All of them lead to the same components.
    pub fn acceptor(mut self, acceptor: impl Acceptor) -> Self {
        self.acceptors.push(erase(acceptor));
        self
    }

    /// Mounts a component under the name of its `#[handler]` block.
    pub fn handlers<S: Handlers>(self, component: S) -> Self {
        self.shared_handlers(Arc::new(component))
    }

    /// Mounts a component that the app keeps a handle to.
    pub fn shared_handlers<S: Handlers>(mut self, component: Arc<S>) -> Self {
        self.mounts.push(Box::new(move |registry, kind, codec| registry.mount(kind, None, codec, component)));
        self
    }

    /// Mounts a component under another name: two of one type can be told apart.
    pub fn handlers_as<S: Handlers>(mut self, name: impl Into<String>, component: S) -> Self {
        let name = name.into();
        let component = Arc::new(component);
        self.mounts.push(Box::new(move |registry, kind, codec| registry.mount(kind, Some(&name), codec, component)));
        self
    }

    /// Mounts a component for other servers, under the name of its `#[remote]` block.
    pub fn remotes<S: Remotes>(self, component: S) -> Self {
        self.shared_remotes(Arc::new(component))
    }

    /// Mounts a component for other servers that the app keeps a handle to.
    pub fn shared_remotes<S: Remotes>(mut self, component: Arc<S>) -> Self {
        self.mounts.push(Box::new(move |registry, _, _| registry.mount_remotes(component)));
        self
    }

    /// Mounts a component for clients and for other servers: one instance, with a `#[handler]` and a `#[remote]` block.
    pub fn component<S: Handlers + Remotes>(self, component: S) -> Self {
        let component = Arc::new(component);
        self.shared_handlers(component.clone()).shared_remotes(component)
    }

    /// Starts and stops this with the app, before and after all components: see [`Module`]. Its name finds it again, through
    /// [`App::module`](crate::App::module).
    pub fn module(mut self, name: impl Into<String>, module: impl Module) -> Self {
        self.modules.push(name.into(), module);
        self
    }

    /// A value that components borrow, through [`Context::state`](pitaya_core::Context::state) or a `FromContext` of
    /// their own. One of each type.
    pub fn state<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.state = self.state.with(value);
        self
    }

    /// Gives every mounted route a code and announces them in the handshake: pinned ones (`#[route(code = 7)]`) keep
    /// theirs, the others get the free codes from 1 on in the order of their names.
    pub fn generate_dictionary(mut self) -> Self {
        self.codes = Codes::Generated;
        self
    }

    /// Gives every mounted route the code that this file says, and announces them in the handshake: codes that stay the
    /// same from one release to the next. The file is committed, and is there when the server starts; a path that is
    /// not absolute starts at the working directory.
    ///
    /// A route that is not in the file, and one in the file that is gone, is a [`BuildError`]. With
    /// `PITAYA_UPDATE_ROUTES_LOCK=1` in the environment [`build`](Self::build) writes the file instead: new routes get
    /// free codes, and the codes of removed ones stay taken. Lines for pushes and for routes of other server types are
    /// written by hand and announced as they stand.
    ///
    /// ```
    /// # use pitaya_runtime::prelude::*;
    /// # struct Room;
    /// # #[handler]
    /// # impl Room {
    /// #     pub fn join(&self) -> u8 { 1 }
    /// # }
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("routes.lock");
    /// std::fs::write(&path, "7 chat.room.join\n258 onMessage\n")?;
    /// let app = Builder::new("chat")
    ///     .acceptor(Tcp::bind("127.0.0.1:0"))
    ///     .handlers(Room)
    ///     .dictionary_lock(path)
    ///     .build()?;
    /// assert_eq!(app.dictionary().code("chat.room.join"), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dictionary_lock(mut self, path: impl Into<PathBuf>) -> Self {
        self.codes = Codes::Locked(path.into());
        self
    }

    /// Whether [`build`](Self::build) writes the lock file or compares with it, whatever the environment says: for a
    /// flag of one's own.
    pub fn update_dictionary_lock(mut self, update: bool) -> Self {
        self.update_lock = Some(update);
        self
    }

    /// Announces these codes. Keys are routes as clients write them, and names of pushes.
    pub fn dictionary<R: Into<String>>(mut self, codes: impl IntoIterator<Item = (R, u16)>) -> Self {
        self.codes = Codes::Given(Dictionary::new(codes.into_iter().map(|(route, code)| (route.into(), code))));
        self
    }

    /// A check of what clients say in the handshake. Checks run in the order in which they were added; the first
    /// refusal counts.
    pub fn validate_handshake(mut self, name: &str, validator: impl Validator) -> Self {
        self.validators.push(name, validator);
        self
    }

    /// How often one session may send messages to this route, in place of what `pitaya.limits.routes` says: of this server,
    /// or `type.service.method` of one that it forwards to. A request beyond is answered with PIT-429 and not run, a notify
    /// is dropped, and both are counted.
    ///
    /// ```
    /// use pitaya_runtime::prelude::*;
    /// use std::time::Duration;
    ///
    /// let builder = Builder::new("connector")
    ///     .limit("room.room.say", Rate::per_second(5))
    ///     .limit("room.room.join", Rate::new(10, Duration::from_secs(60)))
    ///     .limit_session(Rate::per_second(50));
    /// # let _ = builder;
    /// ```
    pub fn limit(mut self, route: impl Into<String>, rate: Rate) -> Self {
        self.limits.insert(route.into(), rate);
        self
    }

    /// How often one session may send messages, to whatever routes, in place of what `pitaya.limits.messages` says. What is
    /// beyond ends as with [`limit`](Self::limit).
    pub fn limit_session(mut self, rate: Rate) -> Self {
        self.session_limit = Some(rate);
        self
    }

    /// Runs when a session asks to be bound, with its new uid set; an error refuses.
    pub fn on_session_bind<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.callbacks.on_bind.push(Box::new(move |session| Box::pin(callback(session))));
        self
    }

    /// Runs when a session has been bound; an error takes it back.
    pub fn after_session_bind<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.callbacks.after_bind.push(Box::new(move |session| Box::pin(callback(session))));
        self
    }

    /// Runs when a session that had shaken hands is closed, after its own callbacks.
    pub fn on_session_closed(mut self, callback: impl Fn(&Session, &CloseReason) + Send + Sync + 'static) -> Self {
        self.callbacks.on_closed.push(Box::new(callback));
        self
    }

    /// Traces messages and calls through this provider, whatever `pitaya.tracing.enabled` says. It stays the program's own:
    /// the app has it export what is left when it stops, and does not shut it down. [`trace::provider`](crate::trace::provider)
    /// makes one of the config.
    #[cfg(feature = "otel")]
    pub fn tracing(mut self, provider: opentelemetry_sdk::trace::SdkTracerProvider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Reports what the app measures here too, beside what `pitaya.metrics` enables: any recorder of the `metrics` crate 0.24,
    /// which sees the names and labels that Prometheus does. See [`metrics`](crate::metrics).
    pub fn recorder(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.recorders.push(Arc::new(recorder));
        self
    }

    /// Keeps groups in etcd, as `pitaya.groups.etcd` says: all servers see them, Go's too.
    #[cfg(feature = "etcd")]
    pub fn etcd_groups(mut self) -> Self {
        self.store = Store::Etcd;
        self
    }

    /// Keeps groups in a store of one's own, in place of the server's memory.
    pub fn groups(mut self, store: impl GroupStore + 'static) -> Self {
        self.store = Store::Own(Arc::new(store));
        self
    }

    /// Lets users leave the groups that [`add_member`](crate::Groups::add_member) put them in when their last session ends.
    /// A user who is at another frontend that has the same groups stays, and so does one who is added again meanwhile.
    /// Nothing of this is needed for [`join`](crate::Groups::join): sessions leave in any case.
    ///
    /// With [`etcd_groups`](Self::etcd_groups) it belongs on every server that adds members, because these list what a user
    /// holds. The end of a session then costs two transactions and one call to each other frontend, however many members
    /// there are: `docs/groups.md`.
    pub fn leave_groups_on_close(mut self) -> Self {
        self.leave_groups = true;
        self
    }

    /// Whether the start warns of components that are in the program and not in this app, as it does otherwise: most often
    /// one was forgotten, but a program that has servers of several types mounts each of them on its own.
    pub fn warn_unmounted(mut self, warn: bool) -> Self {
        self.warn_unmounted = warn;
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("server_type", &self.kind)
            .field("acceptors", &self.acceptors.iter().map(|acceptor| acceptor.name()).collect::<Vec<_>>())
            .field("components", &self.mounts.len())
            .finish_non_exhaustive()
    }
}
