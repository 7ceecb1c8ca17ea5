//! From what was collected to an app: everything is checked, and everything that is wrong is told.

use super::mode::Mode;
use super::unmounted::unmounted;
use super::{BuildError, Builder, Problem};
use crate::accept::{Admission, Reloads};
use crate::admin::Answer;
use crate::app::{Admin, App, Start};
use crate::budget::Budget;
use crate::cluster::{Amount, Cluster, Load, LocalCluster, RouteLoad, RouteTimeouts, Servers};
use crate::config::SerializerType;
use crate::groups::Groups;
use crate::groups::memberships::{Memberships, Parts};
use crate::limits::Limits;
use crate::logins::Logins;
use crate::metrics::{self, Metrics, Timed};
use crate::server::Server;
use crate::sessions::Sessions;
use crate::settings::{Settings, connections};
use crate::timers::Timers;
use crate::trace::Tracer;
use crate::users::Users;
use parking_lot::Mutex;
use pitaya_core::cluster::server::SIGNED;
use pitaya_core::cluster::{EPOCH, ServerInfo};
use pitaya_core::codec::serializer;
use pitaya_core::registry::Registry;
use pitaya_core::route::is_legal_part;
use pitaya_core::wire::{Dictionary, HandshakeReply};
use pitaya_core::{Json, Protobuf, Rpc};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Builder {
    /// Checks everything and makes the app. Nothing runs yet: see [`App::run`].
    ///
    /// # Errors
    /// Every problem there is.
    pub fn build(mut self) -> std::result::Result<App, BuildError> {
        let mut problems = Vec::new();
        if !is_legal_part(&self.kind) {
            problems.push(Problem::ServerType(self.kind.clone()));
        }
        let id = self.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        if !is_legal_part(&id) {
            problems.push(Problem::ServerId(id.clone()));
        }
        problems.extend(metrics::problems(&self.config.metrics).into_iter().map(Problem::Config));
        problems.extend(self.config.validate().into_iter().map(|p| Problem::Config(p.to_string())));
        let serializer = self.serializer.unwrap_or_else(|| match self.config.serializertype {
            SerializerType::Json => serializer::<Json>(),
            SerializerType::Protobuf => serializer::<Protobuf>(),
        });
        for acceptor in &mut self.acceptors {
            let name = acceptor.name();
            problems
                .extend(acceptor.prepare(&self.config).err().map(|cause| Problem::Acceptor { acceptor: name, cause }));
        }
        let mut registry = Registry::default();
        for mount in self.mounts {
            problems.extend(mount(&mut registry, &self.kind, serializer.name()).into_iter().map(Problem::Mount));
        }
        problems.extend(self.modules.ambiguous().into_iter().map(Problem::Module));
        // Whom only other servers call needs none.
        if self.acceptors.is_empty() && self.mode.is_none() && registry.remotes().entries().is_empty() {
            problems.push(Problem::NoAcceptor);
        }
        let mut rates = self.config.limits.routes.clone();
        rates.append(&mut self.limits);
        let session_rate = self.session_limit.or(self.config.limits.messages);
        let message_limits = Limits::new(session_rate, &rates, &self.kind, &registry).unwrap_or_else(|found| {
            problems.extend(found.into_iter().map(Problem::Config));
            None
        });
        let dictionary = self.codes.resolve(&self.kind, &registry, self.update_lock).unwrap_or_else(|found| {
            problems.extend(found);
            Dictionary::default()
        });
        let (kind, id): (Arc<str>, Arc<str>) = (self.kind.into(), id.into());
        let mut own = ServerInfo::new(kind.clone(), id.clone(), !self.acceptors.is_empty());
        #[cfg(feature = "otel")]
        let tracer = match self.provider {
            Some(provider) => Ok(Tracer::given(provider, &self.config, &own)),
            None => Tracer::configured(&self.config, &own),
        };
        #[cfg(not(feature = "otel"))]
        let tracer = Tracer::configured(&self.config, &own);
        problems.extend(tracer.as_ref().err().cloned().map(Problem::Config));
        // The servers of one process are no word about other processes that may have the same etcd.
        let sweeps = !(matches!(self.mode, None | Some(Mode::Local(_))) && self.store.is_etcd());
        let has_own_transport = matches!(self.mode, Some(Mode::Own(..)));
        let ways = self.mode.unwrap_or_else(|| Mode::Local(LocalCluster::default())).ways(&self.config);
        let kept = self.store.open(&self.config, self.leave_groups);
        problems.extend(ways.as_ref().err().into_iter().chain(kept.as_ref().err()).cloned().map(Problem::Config));
        let (Ok((transport, discovery)), Ok((store, sweeper)), true) = (ways, kept, problems.is_empty()) else {
            return Err(BuildError { problems });
        };
        let tracer = tracer.unwrap_or_default();
        let settings = Settings::from(&self.config);
        let welcome = HandshakeReply {
            heartbeat: settings.heartbeat.as_secs(),
            serializer: serializer.name(),
            dictionary: &dictionary,
        };
        let welcome = welcome.ok();
        let sessions = Arc::new(Sessions::new());
        let stopping = CancellationToken::new();
        let timers = Timers::new(&stopping);
        let limits = &self.config.limits;
        let admission = Admission::new(
            connections(limits.connections.total),
            limits.connections.peraddress,
            limits.accept.rate as usize,
            if limits.accept.burst == 0 { limits.accept.rate } else { limits.accept.burst } as usize,
            self.config.acceptor.trustedproxies.clone(),
        );
        let mut warnings = if self.warn_unmounted { unmounted(&registry) } else { Vec::new() };
        warnings.extend(self.warnings.iter().map(ToString::to_string));
        if has_own_transport
            && self.config.cluster.rpc.authentication.is_set()
            && !transport.extensions().contains(&SIGNED)
        {
            warnings.push("pitaya.cluster.rpc.authentication is set, but the app's transport does not sign".to_owned());
        }
        let unbuilt = self.config.unbuilt().into_iter();
        warnings.extend(unbuilt.map(|section| format!("{section} is set, but has no effect in this version")));
        let timeout = self.config.cluster.rpc.client.nats.requesttimeout;
        own.hostname = hostname();
        own.metadata = self.metadata;
        own.announce(transport.extensions());
        let timeouts = registry
            .entries()
            .iter()
            .filter_map(|entry| Some((entry.name().split_once('.')?.1, entry.route().timeout?)));
        for route in own.announce_timeouts(timeouts) {
            warnings.push(format!("the time-out of {route} is not announced: the list of them is longer than 4 KiB"));
        }
        let epoch = Memberships::new_epoch();
        own.metadata.insert(EPOCH.to_owned(), format!("{epoch:x}"));
        let metrics = Metrics::new(&kind, &self.config.metrics, self.recorders, &transport.counters());
        let meter = metrics.meter(&registry);
        let cluster = Arc::new(Cluster {
            unique: own.frontend && self.config.session.unique,
            own: Arc::new(own),
            servers: Arc::new(Servers::new()),
            transport,
            discovery,
            tracer: tracer.clone(),
            routers: self.routers,
            timeout,
            timeouts: RouteTimeouts::new(&self.config.cluster.timeout.routes),
            repeatable: self.repeatable.into_iter().chain(self.config.cluster.retry.routes.iter().cloned()).collect(),
        });
        let users = Users::new(cluster.clone(), sessions.clone(), serializer);
        let tasks = TaskTracker::new();
        let memberships = Arc::new(Memberships::new(Parts {
            store: store.clone(),
            sessions: sessions.clone(),
            cluster: cluster.clone(),
            config: self.config.groups.clone(),
            users_leave: self.leave_groups,
            epoch,
            ttl: self.config.cluster.sd.etcd.heartbeat.ttl,
            sweeps,
            tasks: tasks.clone(),
            stopping: stopping.clone(),
        }));
        let sweep = memberships.clone().sweep();
        let groups = Groups::new(store, memberships.clone(), users.clone());
        let budget = Budget::new(settings.buffers);
        let forwarded = Amount { messages: settings.forwarded, bytes: settings.forwarded_bytes };
        let routes = registry.entries().len();
        let remotes = RouteLoad::new(settings.calls, registry.remotes().entries().len());
        let server = Server {
            kind,
            id,
            cluster: cluster.clone(),
            settings,
            serializer,
            names: registry.entries().iter().map(|entry| entry.name().clone()).collect(),
            registry,
            pipeline: Arc::new(self.pipeline),
            remote_pipeline: Arc::new(self.remote_pipeline),
            dictionary,
            welcome,
            validators: self.validators,
            greetings: Default::default(),
            limits: message_limits,
            callbacks: self.callbacks,
            logins: Logins::new(cluster.clone(), sessions.clone(), self.config.session.bind.wait),
            sessions,
            memberships,
            counters: Default::default(),
            reserve: Default::default(),
            tracer,
            quotas: Default::default(),
            reloads: Reloads::new(&self.acceptors, &cluster.transport, self.config.acceptor.tls.reload),
            meter,
            budget,
            forwarded: Load::new(forwarded, routes),
            calls: Arc::new(Semaphore::new(limits.calls.min(Semaphore::MAX_PERMITS))),
            remotes,
            state: Mutex::default(),
            tasks,
            accepting: stopping.child_token(),
            stopping,
            aborting: CancellationToken::new(),
            cut_off: Default::default(),
            pending: Default::default(),
        };
        let mut admin = Admin::from(&self.config);
        if metrics.is_served() {
            let metrics = metrics.clone();
            admin.table.heavy("/metrics", move || Answer::new("200 OK", METRICS, metrics.render()));
        }
        let start = Start {
            acceptors: self.acceptors,
            admission: Arc::new(admission),
            admin,
            metrics,
            state: self.state,
            sweeper: Box::pin(async move {
                tokio::join!(sweeper, sweep);
            }),
            warnings,
        };
        let rpc = match &server.meter {
            Some(meter) => Rpc::new(Timed::new(cluster, meter.clone())),
            None => Rpc::shared(cluster),
        };
        let server = Arc::new(server);
        start.metrics.watch(&server);
        Ok(App::new(server, users, groups, timers, rpc, self.modules, start))
    }
}

/// The machine's name, for people who look at the list of servers.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").map_err(std::io::Error::other));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}
