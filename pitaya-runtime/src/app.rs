//! A running app, and the handle to it.

mod health;
mod push;
mod reload;
mod stop;

pub(crate) use health::Admin;

use crate::accept::{Admission, Bound, Listen};
use crate::cluster::{Calls, Servers};
use crate::counters::Counts;
use crate::groups::Groups;
use crate::metrics::Metrics;
use crate::modules::{Module, Modules};
use crate::server::Server;
use crate::sessions::Sessions;
use crate::timers::Timers;
use crate::users::Users;
use parking_lot::Mutex;
use pitaya_core::cluster::{Callee, DiscoveryError, ServerInfo};
use pitaya_core::describe::Description;
use pitaya_core::registry::{Moment, Registry};
use pitaya_core::wire::Dictionary;
use pitaya_core::{AppEvent, BoxFuture, Error, Result, Rpc, State};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
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
    /// The first `init` of a component has been called: all of them are stopped.
    components: AtomicBool,
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

/// Why an app did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on: most often another program has the port.
    #[error("cannot listen on {acceptor}: {source}{}", hint(source))]
    Bind {
        /// The acceptor, as `protocol://address`.
        acceptor: String,
        /// The system's error.
        source: io::Error,
    },
    /// An `init` or `after_init` method of a component failed.
    #[error("{0}")]
    Component(String),
    /// A module failed to start.
    #[error("{moment:?} of the module `{name}` failed: {cause}")]
    Module {
        /// The name it was registered under.
        name: Arc<str>,
        /// Which of its methods.
        moment: Moment,
        /// Its error; PIT-500 for a panic.
        cause: Error,
    },
    /// A server with this id is in the cluster already.
    #[error("a server with the id `{0}` is in the cluster already: give each its own with `.server_id(..)`")]
    ServerId(Arc<str>),
    /// The transport between servers could not be reached.
    #[error("the cluster cannot be joined: {0}")]
    Cluster(String),
    /// An app runs once.
    #[error("the app has been started before")]
    Again,
}

impl From<DiscoveryError> for StartError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Taken(id) => Self::ServerId(id),
            other => Self::Cluster(other.to_string()),
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; choose another port or stop it)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need privileges)",
        _ => "",
    }
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
            components: AtomicBool::new(false),
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
    /// When a module or a component fails to start or an address cannot be listened on; then nothing keeps running.
    pub async fn start(&self) -> Result<(), StartError> {
        let start = self.0.start.lock().take().ok_or(StartError::Again)?;
        let app = self.clone();
        // A task of its own: a caller that stops waiting must not leave the app half started, and half stoppable.
        let started = tokio::spawn(async move { app.start_with(start).await }).await;
        started.unwrap_or_else(|e| Err(StartError::Component(format!("the start failed: {e}"))))
    }

    async fn start_with(&self, start: Start) -> Result<(), StartError> {
        for warning in &start.warnings {
            tracing::warn!("{warning}");
        }
        let server = &self.0.server;
        let Inner { groups, timers, rpc, metrics, .. } = &*self.0;
        metrics.open().await;
        let state = start.state.with(self.clone()).with(groups.clone()).with(timers.clone()).with(rpc.clone());
        let state = state.with(metrics.clone());
        let state = Arc::new(state);
        *server.state.lock() = state.clone();
        let (stopping, sweeper) = (server.stopping.clone(), start.sweeper);
        server.tasks.spawn(async move {
            let _ = stopping.run_until_cancelled(sweeper).await;
        });
        let (stopping, metrics) = (server.stopping.clone(), metrics.clone());
        server.tasks.spawn(async move {
            let _ = stopping.run_until_cancelled(metrics.run()).await;
        });
        let started = self.start_all(start.acceptors, start.admin, &AppEvent { state }).await;
        if started.is_err() {
            self.0.stop.cancel();
            self.finish().await;
        } else {
            let app = self.clone();
            tokio::spawn(async move {
                app.0.stop.cancelled().await;
                app.finish().await;
            });
        }
        started
    }

    async fn start_all(
        &self,
        acceptors: Vec<Box<dyn Listen>>,
        admin: Admin,
        event: &AppEvent,
    ) -> Result<(), StartError> {
        let server = &self.0.server;
        let cluster = &server.cluster;
        self.open_admin(admin).await?;
        // Bound first, so that a busy port is known before anything has been done; accepting comes last.
        let mut bound: Vec<Box<dyn Bound>> = Vec::new();
        for acceptor in acceptors {
            let name = acceptor.name();
            let ready = acceptor.bind().await.map_err(|source| StartError::Bind { acceptor: name, source })?;
            bound.push(ready);
        }
        // Components may call others as soon as they start.
        let calls: Arc<dyn Callee> = Arc::new(Calls::new(server.clone()));
        *self.0.calls.lock() = Some(calls.clone());
        cluster.transport.start(cluster.own.clone(), calls).await.map_err(|e| StartError::Cluster(e.to_string()))?;
        cluster.discovery.watch(cluster.servers.clone()).await?;
        let modules = self.modules();
        for moment in [Moment::Init, Moment::AfterInit] {
            modules.start(moment, self).await?;
            self.0.components.store(true, SeqCst);
            server.registry.app(moment, event).await.map_err(|e| StartError::Component(e.to_string()))?;
        }
        for acceptor in &mut bound {
            let name = format!("{}://{}", acceptor.protocol(), acceptor.address());
            acceptor.listen().map_err(|source| StartError::Bind { acceptor: name, source })?;
        }
        // Last: whoever sees this server may call it.
        cluster.discovery.announce(ServerInfo::clone(&cluster.own)).await?;
        *self.0.addresses.lock() = bound.iter().map(|acceptor| acceptor.address()).collect();
        for acceptor in bound {
            tracing::info!("listening on {}://{}", acceptor.protocol(), acceptor.address());
            server.tasks.spawn(acceptor.run(server.clone(), self.0.admission.clone()));
        }
        self.0.running.store(true, SeqCst);
        let watching = server.clone();
        server.tasks.spawn(async move {
            let watch = watching.reloads.watch(&watching.counters);
            let _ = watching.stopping.run_until_cancelled(watch).await;
        });
        Ok(())
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
