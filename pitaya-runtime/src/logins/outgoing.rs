//! Acknowledgements on their way: what is ready for one frontend at one moment goes as one message.

use super::message::{Acknowledged, LoginsMsg};
use crate::cluster::{Cluster, sys};
use parking_lot::Mutex;
use pitaya_core::cluster::{OutgoingCall, ServerInfo};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::yield_now;

/// Acknowledgements in one message.
const TOGETHER: usize = 1000;

#[derive(Default)]
pub(super) struct Outgoing(Mutex<Vec<(Arc<str>, Acknowledged)>>);

impl Outgoing {
    /// Adds one. True when it is the first: then [`send`](Self::send) must follow.
    pub(super) fn add(&self, to: Arc<str>, known: Acknowledged) -> bool {
        let mut waiting = self.0.lock();
        waiting.push((to, known));
        waiting.len() == 1
    }

    /// Sends what is there, behind whatever comes at the same moment. Sending waits for nobody, so little piles up.
    pub(super) async fn send(&self, cluster: &Cluster) {
        yield_now().await;
        let waiting = std::mem::take(&mut *self.0.lock());
        let mut by_frontend: HashMap<Arc<str>, Vec<Acknowledged>> = HashMap::new();
        for (to, known) in waiting {
            by_frontend.entry(to).or_default().push(known);
        }
        for (to, all) in by_frontend {
            for known in all.chunks(TOGETHER) {
                send(cluster, &to, &LoginsMsg { known: known.to_vec(), ..LoginsMsg::default() }).await;
            }
        }
    }
}

/// Sends a message that is not answered. What is lost is asked for again.
pub(super) async fn send(cluster: &Cluster, to: &Arc<str>, message: &LoginsMsg) {
    let mut call = OutgoingCall::new(sys::LOGINS, cluster.timeout);
    (call.body, call.answer) = (message.encode_to_vec().into(), false);
    if let Err(error) = cluster.transport.call(&address(cluster, to), call).await {
        let (code, error) = (error.code(), error.message());
        tracing::debug!(server = &**to, code, error, "acknowledgement of logins not sent");
    }
}

/// A frontend of this type. One that was heard of may not be known to discovery yet.
pub(super) fn address(cluster: &Cluster, id: &Arc<str>) -> Arc<ServerInfo> {
    let unknown = || Arc::new(ServerInfo::new(cluster.own.kind.clone(), id.clone(), true));
    cluster.servers.get(id).unwrap_or_else(unknown)
}
