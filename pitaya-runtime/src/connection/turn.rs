//! What a connection can be busy with.

use crate::counters::count;
use crate::handshake::Refusal;
use crate::server::Server;
use pitaya_core::wire::message::open_response;
use pitaya_core::{BoxFuture, Context};
use std::sync::Arc;
use tokio::time::Instant;

/// What a connection is busy with.
pub(super) enum Turn {
    Handshake(Verdict),
    Call(Call),
}

/// What the checks of a handshake will say: the name of the one that refuses, and why.
pub(super) type Verdict = BoxFuture<'static, Result<(), (Arc<str>, Refusal)>>;

/// A call that was pending at its first poll.
pub(super) struct Call {
    pub(super) turn: Box<dyn pitaya_core::turn::Turn>,
    pub(super) head: Head,
    pub(super) started: Instant,
    /// When its message had come, while anybody wants to know.
    pub(super) arrived: Option<std::time::Instant>,
    pub(super) warned: bool,
    /// For the steps after it, when there are any. Not in place: most connections wait for no call, and none of those has any.
    pub(super) context: Option<Box<Context>>,
}

impl Call {
    /// Counts it, once, when it takes longer than a handler should. The clock of the connection looks at it then, and its
    /// end does.
    pub(super) fn warn_if_slow(&mut self, server: &Server) {
        let Some(soft) = server.settings.handler_soft.filter(|_| !self.warned) else { return };
        let took = self.started.elapsed();
        if took >= soft {
            self.warned = true;
            count(&server.counters.slow_handlers);
            let route = server.names.get(self.head.route as usize).map_or("", |name| name);
            if let Some(missed) = server.quotas.slow.admit() {
                tracing::warn!(route, ?took, missed, "a handler runs for longer than pitaya.limits.handler.soft");
            }
        }
    }
}

/// Whose answer it will be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) id: u64,
    pub(super) route: u32,
    /// A request with an id; a notify's outcome stays here.
    pub(super) answers: bool,
}

impl Head {
    /// Whether its method is one of this server.
    #[inline]
    pub(super) fn is_here(self) -> bool {
        self.route != u32::MAX
    }

    /// Its number, if it is answered.
    pub(super) fn answered_id(self) -> u64 {
        if self.answers { self.id } else { 0 }
    }

    /// Opens the answer's packet, or only marks the place.
    #[inline]
    pub(super) fn open(self, out: &mut Vec<u8>) -> usize {
        if self.answers { open_response(out, self.id) } else { out.len() }
    }
}
