//! Where calls between servers go.

mod backend;
mod callee;
#[cfg(feature = "etcd")]
mod etcd;
mod local;
#[cfg(feature = "nats")]
pub mod nats;
mod route_load;
mod route_timeouts;
mod rpc;
mod serve;
mod servers;
pub(crate) mod sys;
#[cfg_attr(not(all(feature = "etcd", feature = "nats")), allow(dead_code))]
pub(crate) mod tls;
mod workplace;

#[cfg(feature = "etcd")]
pub use etcd::{EtcdAddressError, EtcdBindings, EtcdDiscovery, EtcdGroups};
pub use local::LocalCluster;
#[cfg(feature = "nats")]
pub use nats::NatsTransport;
pub use pitaya_core::cluster::*;
pub use servers::Servers;

use crate::trace::Tracer;
pub(crate) use backend::{Amount, Load};
pub(crate) use callee::Calls;
pub(crate) use route_load::RouteLoad;
pub(crate) use route_timeouts::RouteTimeouts;
pub(crate) use rpc::is_lost;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One server's place in its cluster.
pub(crate) struct Cluster {
    pub(crate) own: Arc<ServerInfo>,
    pub(crate) servers: Arc<Servers>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) discovery: Arc<dyn Discovery>,
    /// By server type; a type without one has its sessions stay with one server.
    pub(crate) routers: HashMap<String, Arc<dyn Router>>,
    pub(crate) tracer: Tracer,
    /// How long a call takes at most, unless it says otherwise.
    pub(crate) timeout: Duration,
    /// How long answers to forwarded messages are waited for, of routes that take another time.
    pub(crate) timeouts: RouteTimeouts,
    /// Routes that may run twice.
    pub(crate) repeatable: HashSet<String>,
    /// A user has one session among all frontends of a type.
    pub(crate) unique: bool,
}

impl Cluster {
    /// Tells the transport whether there are servers that reach users by subject: all but our own.
    pub(crate) async fn report_user_publishers(&self) {
        let present = self.servers.all().iter().any(|server| !server.keeps_order());
        self.transport.user_publishers(present).await;
    }

    /// Tells the transport which servers there are, at each change.
    pub(crate) async fn watch_servers(&self) {
        loop {
            let changed = self.servers.changed();
            self.transport.servers_changed(&self.servers.all());
            changed.await;
        }
    }

    /// Tells it again at each change of the servers.
    pub(crate) async fn watch_user_publishers(&self) {
        loop {
            let changed = self.servers.changed();
            self.report_user_publishers().await;
            changed.await;
        }
    }
}

/// The clock that timers go by, which tests may stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A number from 0 to 1: what servers do after a common loss they do not do at the same moment.
pub(crate) fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // Each new hasher has keys of its own: chance enough for this.
    f64::from((RandomState::new().hash_one(0) >> 32) as u32) / f64::from(u32::MAX)
}
