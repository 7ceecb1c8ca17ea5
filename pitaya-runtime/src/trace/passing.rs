//! A session's messages that are traced and on their way to other servers.

use super::{Span, Tracer};
use parking_lot::Mutex;
use pitaya_core::cluster::ServerInfo;
use pitaya_core::remote::Metadata;
use pitaya_core::{Error, Result, Session};
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// As many as are in flight at most, which `pitaya.limits.inflight` bounds.
#[derive(Default)]
pub(crate) struct Passing {
    spans: Mutex<Vec<Spans>>,
    /// So that an answer to a message without a span costs no lock.
    count: AtomicUsize,
}

struct Spans {
    id: u64,
    /// The call, then the message: children end first.
    call: Span,
    message: Span,
}

impl Passing {
    /// A message goes to this server, by a transport of this name. If it is traced, these metadata go with it. `id` is 0 for
    /// one that has no answer: nobody waits for it, and its spans end at once.
    pub(crate) fn begin(
        &self,
        tracer: &Tracer,
        session: &Session,
        (id, route): (u64, &str),
        to: &ServerInfo,
        name: &'static str,
    ) -> Option<Metadata> {
        let message = tracer.received(session, route, id != 0)?;
        let Some(call) = tracer.call_within(message.context(), to, name) else {
            message.end(Ok(()));
            return None;
        };
        let metadata = call.metadata(&Metadata::new());
        if id == 0 {
            call.end(Ok(()));
            message.end(Ok(()));
        } else {
            let mut spans = self.spans.lock();
            spans.push(Spans { id, call, message });
            self.count.store(spans.len(), Release);
        }
        Some(metadata)
    }

    /// The message with this number has its answer, or could not be sent.
    #[inline]
    pub(crate) fn end(&self, id: u64, outcome: Result<(), &Error>) {
        if self.count.load(Acquire) != 0 {
            self.end_traced(id, outcome);
        }
    }

    #[cold]
    fn end_traced(&self, id: u64, outcome: Result<(), &Error>) {
        let mut spans = self.spans.lock();
        let Some(place) = spans.iter().position(|spans| spans.id == id) else { return };
        let ended = spans.remove(place);
        self.count.store(spans.len(), Release);
        drop(spans);
        ended.call.end(outcome);
        ended.message.end(outcome);
    }
}
