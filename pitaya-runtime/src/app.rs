//! A running app, and the handle to it.

mod busy;
mod health;
mod push;
mod reload;
mod start;
mod start_error;
mod step;
mod stop;

pub(crate) use busy::{CutOff, Pending};
pub(crate) use health::Admin;
pub use start_error::StartError;

use crate::accept::{Admission, Listen};
use crate::cluster::Servers;
use crate::counters::Counts;
use crate::groups::Groups;
use crate::metrics::Metrics;
use crate::modules::{Module, Modules};
use crate::server::Server;
use crate::sessions::Sessions;
use crate::timers::Timers;
use crate::users::Users;
use parking_lot::Mutex;
use pitaya_core::cluster::Callee;
use pitaya_core::describe::Description;
use pitaya_core::registry::Registry;
use pitaya_core::wire::Dictionary;
use pitaya_core::{BoxFuture, Rpc, State};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One server of a game: built by a [`Builder`](crate::Builder), run, and stopped. A cheap handle: clone it, keep it,
/// borrow it in a handler as `app: &App`.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    server: Arc<Server>,
    admission: Arc<Admission>,
    users: Users,
    groups: Groups,
    timers: Timers,
    rpc: Rpc,
    metrics: Metrics,
    /// They may hold this very app: they are taken away at the end.
    modules: Mutex<Arc<Modules>>,
    /// Step of the start or of the stop that is in progress.
    step: step::Step,
    /// Takes calls of other servers, from start to end.
    calls: Mutex<Option<Arc<dyn Callee>>>,
    /// What is needed once, to start.
    start: Mutex<Option<Start>>,
    addresses: Mutex<Vec<SocketAddr>>,
    admin: Mutex<Option<health::Open>>,
    /// It has started, to the end.
    running: AtomicBool,
    /// It drains, or is about to.
    leaving: AtomicBool,
    /// When the drain began: there is one.
    draining: OnceLock<Instant>,
    /// Somebody asked it to stop.
    stop: CancellationToken,
    /// It has stopped.
    stopped: CancellationToken,
}

pub(crate) struct Start {
    pub(crate) acceptors: Vec<Box<dyn Listen>>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) admin: Admin,
    pub(crate) metrics: Metrics,
    pub(crate) state: State,
    /// Ends groups whose time is over.
    pub(crate) sweeper: BoxFuture<'static, ()>,
    pub(crate) warnings: Vec<String>,
}

impl App {
    pub(crate) fn new(
        server: Arc<Server>,
        users: Users,
        groups: Groups,
        timers: Timers,
        rpc: Rpc,
        modules: Modules,
        start: Start,
    ) -> Self {
        Self(Arc::new(Inner {
            server,
            admission: start.admission.clone(),
            users,
            groups,
            timers,
            rpc,
            metrics: start.metrics.clone(),
            modules: Mutex::new(Arc::new(modules)),
            step: Default::default(),
            calls: Mutex::default(),
            start: Mutex::new(Some(start)),
            addresses: Mutex::default(),
            admin: Mutex::default(),
            running: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            draining: OnceLock::new(),
            stop: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }))
    }

    /// Starts: the `init` of the modules and of the components, the `after_init` of both, then the acceptors. When it
    /// returns, clients can connect.
    ///
    /// # Errors
    /// When a module or a component fails to start, an address cannot be listened on, or the app is asked to stop meanwhile;
    /// then nothing keeps running.
    pub async fn start(&self) -> Result<(), StartError> {
        let start = self.0.start.lock().take().ok_or(StartError::Again)?;
        // A signal that comes during the start is heard once it is over.
        self.0.server.reloads.listen();
        let app = self.clone();
        // A task of its own: a caller that stops waiting must not leave the app half started, and half stoppable.
        let started = tokio::spawn(async move { app.start_with(start).await }).await;
        started.unwrap_or_else(|e| Err(StartError::Component(format!("the start failed: {e}"))))
    }

    /// The addresses it listens on, in the order of the acceptors; empty before it has started.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.addresses.lock().clone()
    }

    /// The server type: the first part of its routes.
    #[must_use]
    pub fn server_type(&self) -> &str {
        &self.0.server.kind
    }

    /// The name of this server among all: unique, and chosen at random unless the builder was given one.
    #[must_use]
    pub fn server_id(&self) -> &str {
        &self.0.server.id
    }

    /// The way to the remotes of other servers, and of this one.
    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        &self.0.rpc
    }

    /// Who is here.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.0.server.sessions
    }

    /// The servers of the cluster, this one among them.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.0.server.cluster.servers
    }

    /// The users whose sessions are at the frontends of this type, wherever those run.
    #[must_use]
    pub fn users(&self, frontend_type: &str) -> Users {
        self.0.users.of(frontend_type)
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// The timers; they stop with the app.
    #[must_use]
    pub fn timers(&self) -> &Timers {
        &self.0.timers
    }

    /// The module of this name, if it is one of this type. A stopped app has none.
    #[must_use]
    pub fn module<M: Module>(&self, name: &str) -> Option<Arc<M>> {
        self.modules().find(name)
    }

    fn modules(&self) -> Arc<Modules> {
        self.0.modules.lock().clone()
    }

    /// What is mounted.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.server.registry
    }

    /// Everything that is mounted, as data and, printed, as a table.
    #[must_use]
    pub fn describe(&self) -> Description {
        let Server { kind, registry, dictionary, .. } = &*self.0.server;
        Description::mounted(kind, registry, dictionary)
    }

    /// The route dictionary that the handshake announces.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.0.server.dictionary
    }

    /// What has happened so far, counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.server.counters.read()
    }

    /// What the app measures, and the way to report the application's own.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("server_type", &self.server_type())
            .field("addresses", &self.addresses())
            .field("sessions", &self.sessions().count())
            .finish_non_exhaustive()
    }
}
