//! Servers of one process that call each other: for a single server, for tests and for examples.

use super::serve::{Incoming, serve};
use crate::counters::count;
use crate::server::Server;
use bytes::Bytes;
use parking_lot::RwLock;
use pitaya_core::remote::{Peer, RpcCall, RpcClient, Target};
use pitaya_core::{BoxFuture, Error, Result, Rpc, codes};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The servers of one process that call each other's remotes, through the same tables as over a broker. A cheap handle:
/// give it to every app that belongs to it.
///
/// ```
/// use pitaya_runtime::prelude::*;
///
/// struct Sums;
/// #[remote(codec = Json)]
/// impl Sums {
///     /// The sum of these.
///     pub async fn sum(&self, numbers: Vec<u32>) -> Result<u32> {
///         Ok(numbers.iter().sum())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = LocalCluster::default();
/// let math = Builder::new("math").local_cluster(&cluster).remotes(Sums).build()?;
/// let game = Builder::new("game").local_cluster(&cluster).acceptor(Tcp::bind("127.0.0.1:0")).build()?;
/// math.start().await?;
/// game.start().await?;
///
/// let sums = SumsClient::new(game.rpc(), "math");
/// assert_eq!(sums.sum(&vec![1, 2, 3]).await.map_err(|e| e.to_string())?, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct LocalCluster(Arc<Members>);

#[derive(Default)]
struct Members {
    servers: RwLock<Vec<Weak<Server>>>,
    /// Whose turn it is: servers of a type are called one after the other.
    next: AtomicUsize,
}

impl LocalCluster {
    /// A server that can be called from now on, unless one has its id already.
    pub(crate) fn join(&self, server: &Arc<Server>) -> Result<(), Arc<str>> {
        let mut servers = self.0.servers.write();
        servers.retain(|known| known.strong_count() > 0);
        if servers.iter().filter_map(Weak::upgrade).any(|known| known.id == server.id) {
            return Err(server.id.clone());
        }
        servers.push(Arc::downgrade(server));
        Ok(())
    }

    pub(crate) fn leave(&self, server: &Arc<Server>) {
        self.0.servers.write().retain(|known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(server)));
    }

    /// The way from this server to all of them.
    pub(crate) fn rpc(&self, server: &Server, timeout: Duration) -> Rpc {
        let caller = Peer { id: server.id.clone(), kind: server.kind.clone() };
        Rpc::new(Local { cluster: self.clone(), caller, timeout })
    }

    fn find(&self, target: &Target) -> Result<Arc<Server>> {
        let servers = self.0.servers.read();
        let mut known = servers.iter().filter_map(Weak::upgrade);
        match target {
            Target::Server(id) => {
                known.find(|server| server.id == *id).ok_or_else(|| Error::new(codes::UNKNOWN, "server not found"))
            }
            Target::Any(kind) => {
                let mut those: Vec<_> = known.filter(|server| server.kind == *kind).collect();
                if those.is_empty() {
                    return Err(Error::internal("no servers available of this type"));
                }
                Ok(those.swap_remove(self.0.next.fetch_add(1, Relaxed) % those.len()))
            }
        }
    }
}

/// The way from one server to the others.
struct Local {
    cluster: LocalCluster,
    caller: Peer,
    timeout: Duration,
}

/// A deadline beyond what a clock can say.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

impl RpcClient for Local {
    fn call(&self, call: RpcCall) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async move {
            let server = self.cluster.find(&call.target)?;
            let timeout = call.timeout.unwrap_or(self.timeout).min(FOR_EVER);
            let deadline = Instant::now() + timeout;
            let Ok(place) = server.calls.clone().try_acquire_owned() else {
                count(&server.counters.refused_calls);
                return Err(Error::new(codes::UNAVAILABLE, "the server has too many calls in work"));
            };
            let incoming = Incoming {
                route: call.route.clone(),
                body: call.body,
                caller: Some(self.caller.clone()),
                metadata: call.metadata,
                deadline,
            };
            // A task of the callee's: a caller that stops waiting does not end what has begun, as between processes.
            let callee = server.clone();
            let task = server.tasks.spawn(async move {
                let _place = place;
                serve(&callee, incoming).await
            });
            if !call.answer {
                return Ok(Bytes::new());
            }
            match timeout_at(deadline, task).await {
                Ok(Ok(Ok(answer))) => answer,
                Ok(Err(_)) => Err(Error::internal("internal error")),
                Ok(Ok(Err(_))) | Err(_) => Err(Error::rpc_timeout(&call.route).with("timeout", format!("{timeout:?}"))),
            }
        })
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.0.servers.read();
        let names = servers.iter().filter_map(Weak::upgrade).map(|server| (server.kind.clone(), server.id.clone()));
        f.debug_map().entries(names).finish()
    }
}
