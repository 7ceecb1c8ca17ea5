//! Calls of other servers' remotes: whom, how long, and again when that is allowed.

use super::{Cluster, now};
use crate::trace;
use bytes::Bytes;
use pitaya_core::cluster::{OutgoingCall, ServerInfo};
use pitaya_core::rpc::{RpcCall, RpcClient, Target};
use pitaya_core::{BoxFuture, Error, Result, codes};
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a call that may be repeated is tried at most.
const TRIES: usize = 3;
/// A deadline beyond what a clock can say.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

impl RpcClient for Cluster {
    fn call(&self, call: RpcCall) -> BoxFuture<'_, Result<Bytes>> {
        let timeout = call.timeout.unwrap_or(self.timeout).min(FOR_EVER);
        let repeats = matches!(call.target, Target::Any(_)) && self.repeats(&call.route);
        if repeats || self.tracer.is_on() {
            return Box::pin(self.carry(call, timeout, repeats));
        }
        // Nothing is to be done when the answer is there: the transport's future is all that there is.
        let left = call.deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(now()).min(timeout));
        match self.choose(&call.target, &[]) {
            Ok(_) if left.is_zero() => Box::pin(ready(Err(Error::rpc_timeout(&call.route)))),
            Ok(to) => {
                let mut out = OutgoingCall::with(full_route(&to, &call.route), call.metadata, left);
                (out.body, out.answer) = (call.body, call.answer);
                self.transport.call(&to, out)
            }
            Err(nobody) => Box::pin(ready(Err(nobody))),
        }
    }
}

/// As it is called from elsewhere: `sys.` names the framework's own, which have no server type in front.
fn full_route(to: &ServerInfo, route: &str) -> String {
    if route.starts_with("sys.") {
        return route.to_owned();
    }
    let mut full = String::with_capacity(to.kind.len() + 1 + route.len());
    full.push_str(&to.kind);
    full.push('.');
    full.push_str(route);
    full
}

impl Cluster {
    /// A call that may be tried again, or has a span.
    async fn carry(&self, call: RpcCall, timeout: Duration, repeats: bool) -> Result<Bytes> {
        let latest = now() + timeout;
        let deadline = call.deadline.map_or(latest, |deadline| deadline.min(latest));
        let (mut tried, mut last) = (Vec::new(), None);
        loop {
            // With nobody left to try, what the last one said stands: it may have run there.
            let to = self.choose(&call.target, &tried).map_err(|none| last.take().unwrap_or(none))?;
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Err(last.unwrap_or_else(|| Error::rpc_timeout(&call.route)));
            }
            let outcome = self.call_server(&to, &call, left).await;
            match outcome {
                Err(error) if repeats && tried.len() + 1 < TRIES && is_lost(&error, deadline) => {
                    tracing::debug!(
                        route = &*call.route,
                        server = &*to.id,
                        code = error.code(),
                        "tried again elsewhere"
                    );
                    tried.push(to.id.clone());
                    last = Some(error);
                }
                outcome => return outcome,
            }
        }
    }

    async fn call_server(&self, to: &Arc<ServerInfo>, call: &RpcCall, left: Duration) -> Result<Bytes> {
        let span = self.tracer.call(&call.metadata, to, self.transport.span());
        let metadata = match &span {
            Some(span) => Arc::new(span.metadata(&call.metadata)),
            None => self.tracer.mark(&call.metadata),
        };
        let mut out = OutgoingCall::with(full_route(to, &call.route), metadata, left);
        (out.body, out.answer) = (call.body.clone(), call.answer);
        let outcome = self.transport.call(to, out).await;
        trace::end(span, outcome.as_ref().map(drop));
        outcome
    }

    fn choose(&self, target: &Target, tried: &[Arc<str>]) -> Result<Arc<ServerInfo>> {
        match target {
            Target::Server(id) => self.servers.get(id).ok_or_else(|| Error::new(codes::UNKNOWN, "server not found")),
            Target::Any(kind) => {
                let server = if tried.is_empty() { self.servers.any(kind) } else { self.servers.another(kind, tried) };
                server.ok_or_else(|| Error::internal("no servers available of this type"))
            }
        }
    }

    /// Whether a route was named as one that may run twice.
    pub(crate) fn repeats(&self, route: &str) -> bool {
        self.repeatable.contains(route)
    }
}

/// Whether a call failed on its way, with time left to try another server.
pub(crate) fn is_lost(error: &Error, deadline: Instant) -> bool {
    let lost = matches!(error.code(), codes::UNAVAILABLE | codes::TIMEOUT);
    lost && now() < deadline
}
