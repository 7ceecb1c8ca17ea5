//! A message whose route was named as one that may run twice: lost on its way, it goes to another server.

use crate::agent::Agent;
use crate::cluster::{Cluster, is_lost, now};
use crate::trace;
use bytes::Bytes;
use parking_lot::Mutex;
use pitaya_core::cluster::{Forward, ServerInfo, Sink};
use pitaya_core::remote::Metadata;
use pitaya_core::turn::Turn;
use pitaya_core::{BoxFuture, Error, KickReason, Result};
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// How often a message is tried at most.
const TRIES: usize = 3;

/// The message, as a turn of its session: nothing else of the session runs meanwhile.
pub(super) struct Repeat(BoxFuture<'static, Result<Bytes>>);

/// What is sent again.
pub(super) struct Again {
    pub(super) session: i64,
    pub(super) uid: String,
    pub(super) data: Bytes,
    pub(super) id: u64,
    pub(super) notify: bool,
    pub(super) route: String,
    pub(super) body: Bytes,
    /// How long its answer is waited for, where that is not as long as for most.
    pub(super) timeout: Option<Duration>,
}

impl Repeat {
    pub(super) fn new(cluster: Arc<Cluster>, agent: Arc<Agent>, first: Arc<ServerInfo>, message: Again) -> Self {
        Self(Box::pin(run(cluster, agent, first, message)))
    }
}

impl Turn for Repeat {
    fn poll(&mut self, cx: &mut task::Context<'_>, out: &mut Vec<u8>) -> Poll<Result<()>> {
        let body = ready!(self.0.as_mut().poll(cx))?;
        out.extend_from_slice(&body);
        Poll::Ready(Ok(()))
    }
}

async fn run(cluster: Arc<Cluster>, agent: Arc<Agent>, first: Arc<ServerInfo>, message: Again) -> Result<Bytes> {
    let deadline = now() + message.timeout.unwrap_or(cluster.timeout);
    let kind = first.kind.clone();
    let (mut to, mut tried) = (first, Vec::new());
    loop {
        // All of them together have the time of one.
        let outcome = timeout_at(deadline.into(), attempt(&cluster, &agent, &to, &message)).await;
        match outcome.unwrap_or_else(|_| Err(Error::rpc_timeout(&message.route))) {
            Err(error) if tried.len() + 1 < TRIES && is_lost(&error, deadline) => {
                tried.push(to.id.clone());
                let Some(other) = cluster.servers.another(&kind, &tried) else { return Err(error) };
                tracing::debug!(
                    route = message.route,
                    server = &*other.id,
                    code = error.code(),
                    "tried again elsewhere"
                );
                to = other;
            }
            outcome => return outcome,
        }
    }
}

async fn attempt(cluster: &Cluster, agent: &Arc<Agent>, to: &Arc<ServerInfo>, message: &Again) -> Result<Bytes> {
    let (outcome, answer) = oneshot::channel();
    let once = Arc::new(Once { agent: agent.clone(), outcome: Mutex::new(Some(outcome)) });
    let way = cluster.transport.open(once);
    let mut forward = Forward::new(message.session, message.id, message.notify, &message.route, &message.body);
    (forward.uid, forward.data, forward.timeout) = (&message.uid, &message.data, message.timeout);
    let span = cluster.tracer.call(&Metadata::new(), to, cluster.transport.span());
    let metadata = span.as_ref().map(|span| span.metadata(&Metadata::new()));
    forward.metadata = metadata.as_ref();
    way.forward(to, forward)?;
    let outcome = answer.await.unwrap_or_else(|_| Err(Error::rpc_timeout(&message.route)));
    trace::end(span, outcome.as_ref().map(drop));
    outcome
}

/// Hears what becomes of one try; what is pushed goes to the client as ever.
struct Once {
    agent: Arc<Agent>,
    outcome: Mutex<Option<oneshot::Sender<Result<Bytes>>>>,
}

impl Sink for Once {
    fn answered(&self, _: u64, outcome: Result<&[u8], &Error>) {
        if let Some(waiting) = self.outcome.lock().take() {
            let _ = waiting.send(outcome.map(Bytes::copy_from_slice).map_err(Error::clone));
        }
    }

    fn pushed(&self, route: &str, body: &[u8]) {
        self.agent.pushed(route, body);
    }

    fn kicked(&self, reason: Option<&KickReason>) {
        self.agent.kicked(reason);
    }
}
