//! This server, as the transport sees it that calls come in by.

use super::backend::Backend;
use super::serve::serve;
use super::servers::SET_ASIDE;
use super::sys;
use crate::counters::count;
use crate::server::Server;
use crate::trace;
use pitaya_core::cluster::{Callee, Delivery, IncomingCall, Reply};
use pitaya_core::remote::Metadata;
use pitaya_core::{CloseReason, Error, codes};
use std::sync::Arc;
use tokio::time::timeout_at;

/// Takes the calls and messages of other servers. Kept by the app while it runs.
pub(crate) struct Calls {
    server: Arc<Server>,
    backend: Backend,
}

impl Calls {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { backend: Backend::new(&server), server }
    }
}

impl Callee for Calls {
    fn call(&self, mut call: IncomingCall, reply: Reply) {
        let Ok(place) = self.server.calls.clone().try_acquire_owned() else {
            count(&self.server.counters.refused_calls);
            return reply(Err(Error::new(codes::UNAVAILABLE, "the server has too many calls in work")));
        };
        let span = self.server.tracer.served(&call.route, &call.metadata, call.caller.as_ref(), None);
        // Whatever type a caller writes in front, it has come to this server.
        if call.route.matches('.').count() == 2
            && let Some((_, route)) = call.route.split_once('.')
        {
            call.route = route.to_owned().into();
        }
        let server = self.server.clone();
        // A task of its own: a caller that stops waiting does not end what has begun.
        self.server.tasks.spawn(async move {
            let _place = place;
            let work = async {
                match sys::find(&call.route) {
                    // It may wait for callbacks of the app.
                    Some(operation) => timeout_at(call.deadline.into(), operation.guarded(&server, &call)).await,
                    None => serve(&server, call).await,
                }
            };
            let answer = trace::around(span.as_ref(), work).await;
            // One that was dropped at its deadline says so by itself.
            if let (Some(span), Ok(answer)) = (span, &answer) {
                span.end(answer.as_ref().map(drop));
            }
            // At the deadline nobody waits any more.
            if let Ok(answer) = answer {
                reply(answer);
            }
        });
    }

    fn metadata(&self) -> Metadata {
        self.server.tracer.metadata()
    }

    fn messages(&self, delivery: Delivery) {
        self.backend.take(delivery);
    }

    fn push(&self, uid: &str, route: &str, body: &[u8]) -> bool {
        self.server.sessions.by_uid(uid).is_some_and(|session| session.push_raw(route, body).is_ok())
    }

    fn kick(&self, uid: &str) -> bool {
        self.server.sessions.by_uid(uid).is_some_and(|session| session.kick().is_ok())
    }

    fn bound_elsewhere(&self, uid: &str, frontend: &str) {
        if !self.server.cluster.unique || *frontend == *self.server.id {
            return;
        }
        if let Some(session) = self.server.sessions.by_uid(uid) {
            tracing::debug!(uid, frontend, "bound at another frontend: this session is kicked");
            session.close_for(CloseReason::Replaced);
        }
    }

    fn unreachable(&self, server: &str) {
        let servers = self.server.cluster.servers.clone();
        if servers.set_aside(server) {
            tokio::spawn(async move {
                tokio::time::sleep(SET_ASIDE).await;
                servers.look_at_the_clock();
            });
        }
    }
}
