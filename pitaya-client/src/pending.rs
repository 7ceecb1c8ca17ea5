//! Requests in flight: who waits for which id, and what they are told when nothing can come any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::close::CloseReason;
use crate::error::RequestError;

pub(crate) type Answer = Result<Bytes, RequestError>;

#[derive(Default)]
pub(crate) struct Pending {
    waiting: Mutex<Waiting>,
    late: Arc<AtomicU64>,
}

#[derive(Default)]
struct Waiting {
    last_id: u64,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    /// The end of the connection: nothing is registered after it.
    closed: Option<End>,
}

struct End {
    reason: CloseReason,
    /// Whether another connection takes the place of this one. Can be taken back, and then is final.
    restoring: bool,
}

impl End {
    fn of_sent(&self) -> RequestError {
        let reason = self.reason.clone();
        if self.restoring { RequestError::Lost(reason) } else { RequestError::Closed(reason) }
    }

    fn of_unsent(&self) -> RequestError {
        let reason = self.reason.clone();
        if self.restoring { RequestError::NotConnected(reason) } else { RequestError::Closed(reason) }
    }
}

impl Pending {
    /// Counts late answers in `late`, as all connections of a client do.
    pub(crate) fn new(late: Arc<AtomicU64>) -> Self {
        Self { waiting: Mutex::default(), late }
    }

    /// Gives the next id, which counts from 1: servers do not answer id 0.
    pub(crate) fn register(self: &Arc<Self>) -> Result<Ticket, RequestError> {
        let mut waiting = self.waiting.lock();
        if let Some(end) = &waiting.closed {
            return Err(end.of_unsent());
        }
        waiting.last_id += 1;
        let id = waiting.last_id;
        let (sender, answer) = oneshot::channel();
        waiting.answers.insert(id, sender);
        Ok(Ticket { id, answer, pending: Arc::clone(self) })
    }

    /// Hands an answer to who waits for it; one that nobody waits for any more is counted.
    pub(crate) fn answer(&self, id: u64, answer: Answer) {
        let sender = self.waiting.lock().answers.remove(&id);
        if sender.is_none_or(|sender| sender.send(answer).is_err()) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Fails all requests, now and from now on. The first final reason stays.
    pub(crate) fn close(&self, reason: &CloseReason, restoring: bool) {
        let mut waiting = self.waiting.lock();
        if waiting.closed.as_ref().is_none_or(|end| end.restoring) {
            waiting.closed = Some(End { reason: reason.clone(), restoring });
        }
        let Waiting { answers, closed: Some(end), .. } = &mut *waiting else { return };
        for (_, sender) in answers.drain() {
            // Who does not listen any more need not know.
            let _ = sender.send(Err(end.of_sent()));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().closed.is_some()
    }

    /// Why no more answers come, if so and for good.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.waiting.lock().closed.as_ref().filter(|end| !end.restoring).map(|end| end.reason.clone())
    }

    /// The error of a request whose packet the connection did not take any more.
    pub(crate) fn unsent(&self) -> RequestError {
        self.waiting.lock().closed.as_ref().map_or(RequestError::Closed(CloseReason::Local), End::of_unsent)
    }
}

/// The right to one answer. Dropping it gives the right up.
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) answer: oneshot::Receiver<Answer>,
    pending: Arc<Pending>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.waiting.lock().answers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_a_request_that_was_dropped() {
        let pending = Arc::new(Pending::default());
        let (first, second) = (pending.register().unwrap(), pending.register().unwrap());
        assert_eq!((first.id, second.id), (1, 2));
        drop(first);
        assert_eq!(pending.waiting.lock().answers.keys().collect::<Vec<_>>(), [&2]);
        pending.answer(1, Ok(Bytes::new()));
        assert_eq!(pending.late.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_first_reason_stays() {
        let pending = Arc::new(Pending::default());
        let mut ticket = pending.register().unwrap();
        pending.close(&CloseReason::ServerClosed, false);
        pending.close(&CloseReason::Local, false);
        pending.close(&CloseReason::HeartbeatTimeout, true);
        assert!(matches!(ticket.answer.try_recv(), Ok(Err(RequestError::Closed(CloseReason::ServerClosed)))));
        let again = pending.register().map(|_| ());
        assert!(matches!(again, Err(RequestError::Closed(CloseReason::ServerClosed))));
    }

    #[test]
    fn a_loss_becomes_an_end_when_it_is_not_made_good() {
        let pending = Arc::new(Pending::default());
        let mut ticket = pending.register().unwrap();
        pending.close(&CloseReason::ServerClosed, true);
        assert!(matches!(ticket.answer.try_recv(), Ok(Err(RequestError::Lost(CloseReason::ServerClosed)))));
        let meanwhile = pending.register().map(|_| ());
        assert!(matches!(meanwhile, Err(RequestError::NotConnected(CloseReason::ServerClosed))));
        assert!(pending.is_closed() && pending.closed().is_none());
        pending.close(&CloseReason::Local, false);
        assert!(matches!(pending.register().map(|_| ()), Err(RequestError::Closed(CloseReason::Local))));
        assert!(matches!(pending.closed(), Some(CloseReason::Local)));
    }
}
