//! What lies outside of the app: other servers, and where groups are kept.

use crate::cluster::{Discovery, GroupStore, LocalCluster, Transport};
use crate::config::Config;
use crate::groups::memory::MemoryGroups;
use pitaya_core::BoxFuture;
use std::sync::Arc;

pub(super) enum Mode {
    /// Servers of this process.
    Local(LocalCluster),
    /// What `pitaya.cluster` names.
    #[cfg(all(feature = "nats", feature = "etcd"))]
    Brokers,
    /// The app's own.
    Own(Arc<dyn Transport>, Arc<dyn Discovery>),
}

type Ways = (Arc<dyn Transport>, Arc<dyn Discovery>);

impl Mode {
    /// Makes both ways; nothing is connected yet.
    pub(super) fn ways(self, config: &Config) -> Result<Ways, String> {
        match self {
            Self::Local(cluster) => {
                let seat = cluster.seat(config.cluster.rpc.client.nats.requesttimeout);
                Ok((seat.clone(), seat))
            }
            #[cfg(all(feature = "nats", feature = "etcd"))]
            Self::Brokers => {
                let transport = crate::cluster::NatsTransport::new(&config.cluster.rpc);
                let discovery = crate::cluster::EtcdDiscovery::new(&config.cluster.sd.etcd)
                    .map_err(|problem| format!("pitaya.cluster.sd.etcd.endpoints: {problem}"))?;
                Ok((Arc::new(transport), Arc::new(discovery)))
            }
            Self::Own(transport, discovery) => Ok((transport, discovery)),
        }
    }
}

/// Where groups are kept.
pub(super) enum Store {
    Memory,
    /// What `pitaya.groups.etcd` names.
    #[cfg(feature = "etcd")]
    Etcd,
    /// The app's own.
    Own(Arc<dyn GroupStore>),
}

/// A store, and what has to run for it.
type Kept = (Arc<dyn GroupStore>, BoxFuture<'static, ()>);

impl Store {
    pub(super) fn is_etcd(&self) -> bool {
        match self {
            #[cfg(feature = "etcd")]
            Self::Etcd => true,
            _ => false,
        }
    }

    /// `users_leave`: what users hold is looked up when their sessions end.
    #[cfg_attr(not(feature = "etcd"), expect(unused_variables, reason = "memory has an index in any case"))]
    pub(super) fn open(self, config: &Config, users_leave: bool) -> Result<Kept, String> {
        match self {
            Self::Memory => {
                let store = MemoryGroups::with_limits(&config.groups.memory);
                let sweeper = store.sweeper(config.groups.memory.tickduration);
                Ok((Arc::new(store), Box::pin(sweeper)))
            }
            #[cfg(feature = "etcd")]
            Self::Etcd => {
                let store = crate::cluster::EtcdGroups::new(&config.groups.etcd)
                    .map_err(|problem| format!("pitaya.groups.etcd.endpoints: {problem}"))?;
                let store = if users_leave { store.indexed_by_user() } else { store };
                Ok((Arc::new(store), Box::pin(std::future::ready(()))))
            }
            Self::Own(store) => Ok((store, Box::pin(std::future::ready(())))),
        }
    }
}
