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
    late: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    last_id: u64,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    /// Set once and for all: nothing is registered after it.
    closed: Option<CloseReason>,
}

impl Pending {
    /// Gives the next id, which counts from 1: servers do not answer id 0.
    pub(crate) fn register(self: &Arc<Self>) -> Result<Ticket, CloseReason> {
        let mut waiting = self.waiting.lock();
        if let Some(reason) = &waiting.closed {
            return Err(reason.clone());
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

    /// Fails all requests, now and from now on. The first reason stays.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut waiting = self.waiting.lock();
        waiting.closed.get_or_insert_with(|| reason.clone());
        for (_, sender) in std::mem::take(&mut waiting.answers) {
            // Who does not listen any more need not know.
            let _ = sender.send(Err(reason.clone().into()));
        }
    }

    /// Why no more answers come, if so.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.waiting.lock().closed.clone()
    }

    pub(crate) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
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
        assert_eq!(pending.late(), 1);
    }

    #[test]
    fn the_first_reason_stays() {
        let pending = Arc::new(Pending::default());
        let mut ticket = pending.register().unwrap();
        pending.close(&CloseReason::ServerClosed);
        pending.close(&CloseReason::Local);
        assert!(matches!(ticket.answer.try_recv(), Ok(Err(RequestError::Closed(CloseReason::ServerClosed)))));
        assert!(matches!(pending.register().map(|_| ()), Err(CloseReason::ServerClosed)));
    }
}
