//! The way to other servers, with a watch.

use super::meter::Meter;
use crate::cluster::Cluster;
use bytes::Bytes;
use pitaya_core::rpc::{RpcCall, RpcClient, Target};
use pitaya_core::{BoxFuture, Result};
use std::sync::Arc;
use std::time::Instant;

/// Measures the calls that an app makes.
pub(crate) struct Timed {
    cluster: Arc<Cluster>,
    meter: Arc<Meter>,
}

impl Timed {
    pub(crate) fn new(cluster: Arc<Cluster>, meter: Arc<Meter>) -> Self {
        Self { cluster, meter }
    }
}

impl RpcClient for Timed {
    fn call(&self, call: RpcCall) -> BoxFuture<'_, Result<Bytes>> {
        let since = Instant::now();
        let route = match &call.target {
            _ if call.route.starts_with("sys.") => call.route.to_string(),
            Target::Any(kind) => format!("{kind}.{}", call.route),
            Target::Server(id) => match self.cluster.servers.get(id) {
                Some(server) => format!("{}.{}", server.kind, call.route),
                None => call.route.to_string(),
            },
        };
        let metadata = call.metadata.clone();
        Box::pin(async move {
            let outcome = self.cluster.call(call).await;
            self.meter.called(&route, since, outcome.as_ref().err(), &metadata);
            outcome
        })
    }
}
