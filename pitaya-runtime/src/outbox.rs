//! What waits for a client, and for how long.
//!
//! Anybody may append; nobody waits. The connection takes everything at once and tells how much of it the client has
//! not taken yet. A client that lets too much pile up is closed: a sender learns it as an error, never as a delay.

use parking_lot::{Mutex, MutexGuard};
use pitaya_core::{CloseReason, Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

/// A burst that the connection has had no chance to write yet may be this many times the limit.
const BURST: usize = 4;

pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Something was queued since the connection looked last.
    dirty: AtomicBool,
    /// Bytes that may remain after a write was tried.
    limit: usize,
}

#[derive(Default)]
struct Queue {
    packets: Vec<u8>,
    /// What the connection has taken and the client has not.
    unsent: usize,
    /// The server stops. Not an end: what is in progress is still answered.
    stopping: bool,
    end: Option<CloseReason>,
    /// The connection's. It stays: a task has one for life, and one that had to be given anew would cost each poll more
    /// than it costs to wake with a copy.
    waker: Option<Waker>,
}

impl Queue {
    fn put(&mut self, limit: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        if self.end.is_some() {
            return Err(Error::closed());
        }
        let before = self.packets.len();
        // What waits already is judged, not what comes: one large message is no sign of a slow client.
        let limit = if self.unsent > 0 { limit } else { limit.saturating_mul(BURST) };
        if before + self.unsent >= limit {
            self.packets = Vec::new();
            self.end = Some(CloseReason::SlowConsumer);
            return Err(Error::closed());
        }
        write(&mut self.packets).inspect_err(|_| self.packets.truncate(before))
    }

    fn ended(&self) -> Option<CloseReason> {
        self.end.clone().or_else(|| self.stopping.then_some(CloseReason::Shutdown))
    }
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self { queue: Mutex::default(), dirty: AtomicBool::new(false), limit }
    }

    /// Appends whole packets.
    ///
    /// # Errors
    /// PIT-499 when nothing can follow any more, or when too much waits already for a client that does not read; the
    /// writer's own, with nothing appended.
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let mut queue = self.queue.lock();
        let room = queue.packets.capacity();
        let written = queue.put(self.limit, write);
        let wakes = match written {
            // Who made it dirty has woken the connection, which has not looked yet; or it has, and waits for a client that
            // takes nothing. It is to count what is held for that one, whenever that has doubled.
            Ok(()) => {
                let doubled = queue.unsent > 0 && queue.packets.capacity() != room;
                !self.dirty.swap(true, Ordering::AcqRel) || doubled
            }
            // A writer that failed has left nothing.
            Err(_) => queue.ended().is_some(),
        };
        if wakes {
            self.wake_with(queue);
        }
        written
    }

    /// [`append`](Self::append) for whoever calls [`wake`](Self::wake) afterwards, in any case.
    pub(crate) fn put(&self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        self.queue.lock().put(self.limit, write)
    }

    /// Appends the last packets, if any, and ends the queue. False when it has ended before.
    pub(crate) fn end(&self, reason: CloseReason, last: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut queue = self.queue.lock();
        if queue.end.is_some() {
            return false;
        }
        last(&mut queue.packets);
        queue.end = Some(reason);
        self.wake_with(queue);
        true
    }

    /// Whether there is something to take: one atomic load.
    #[inline]
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Moves everything behind `out`; tells whether that was the last.
    pub(crate) fn take(&self, out: &mut Vec<u8>) -> Option<CloseReason> {
        self.dirty.store(false, Ordering::Release);
        let mut queue = self.queue.lock();
        if out.is_empty() && out.capacity() < queue.packets.capacity() {
            std::mem::swap(out, &mut queue.packets);
        } else {
            out.extend_from_slice(&queue.packets);
        }
        // Idle sessions hold no buffers.
        queue.packets = Vec::new();
        queue.ended()
    }

    /// Drops what is queued: nobody will take it.
    pub(crate) fn forget(&self) {
        self.queue.lock().packets = Vec::new();
    }

    /// Memory that what is queued holds, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.queue.lock().packets.capacity()
    }

    /// Why nothing can follow any more, or [`Shutdown`](CloseReason::Shutdown) when nothing new may begin.
    pub(crate) fn ended(&self) -> Option<CloseReason> {
        self.queue.lock().ended()
    }

    /// The server stops: the connection learns it as the reason [`Shutdown`](CloseReason::Shutdown), and answers may
    /// follow until it [ends](Self::end) the queue itself.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stopping = true;
        self.wake_with(queue);
    }

    /// The connection tells how many bytes it could not write.
    pub(crate) fn set_unsent(&self, unsent: usize) {
        self.queue.lock().unsent = unsent;
    }

    /// Who is woken from now on: the connection, or nobody once it is gone.
    pub(crate) fn wakes(&self, waker: Option<Waker>) {
        self.queue.lock().waker = waker;
    }

    /// Makes the connection look.
    pub(crate) fn wake(&self) {
        self.wake_with(self.queue.lock());
    }

    fn wake_with(&self, queue: MutexGuard<'_, Queue>) {
        self.dirty.store(true, Ordering::Release);
        let waker = queue.waker.clone();
        // The connection will want the lock.
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    /// How often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn put(outbox: &Outbox, bytes: usize) -> Result<()> {
        outbox.append(|out| {
            out.resize(out.len() + bytes, 0);
            Ok(())
        })
    }

    #[test]
    fn who_has_not_looked_is_not_woken_again_but_for_an_end() {
        let (outbox, woken) = (Outbox::new(100), Arc::new(Woken::default()));
        let times = || woken.0.load(Ordering::Relaxed);
        put(&outbox, 1).unwrap();
        outbox.wakes(Some(woken.clone().into()));
        assert!(outbox.is_dirty());
        outbox.take(&mut vec![]);
        for _ in 0..3 {
            put(&outbox, 1).unwrap();
        }
        assert_eq!(times(), 1);
        outbox.take(&mut vec![]);
        put(&outbox, 1).unwrap();
        assert_eq!(times(), 2);
        outbox.stop();
        outbox.end(CloseReason::Kicked(None), |_| {});
        assert_eq!(times(), 4, "it does not take what waits, and yet hears of its end");
        outbox.wakes(None);
        outbox.wake();
        assert_eq!(times(), 4);
    }

    #[test]
    fn who_waits_for_a_slow_client_is_woken_when_what_is_held_doubles() {
        let (outbox, woken) = (Outbox::new(1 << 20), Arc::new(Woken::default()));
        outbox.wakes(Some(woken.clone().into()));
        outbox.set_unsent(1);
        for _ in 0..1000 {
            put(&outbox, 1000).unwrap();
        }
        let times = woken.0.load(Ordering::Relaxed);
        assert!((5..=20).contains(&times), "{times}");
        assert!(outbox.held() >= 1_000_000);
    }

    #[test]
    fn too_much_wakes_whoever_does_not_take_it() {
        let (outbox, woken) = (Outbox::new(100), Arc::new(Woken::default()));
        outbox.wakes(Some(woken.clone().into()));
        outbox.set_unsent(60);
        put(&outbox, 40).unwrap();
        put(&outbox, 1).unwrap_err();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_limit_counts_what_a_client_did_not_take() {
        let outbox = Outbox::new(100);
        put(&outbox, 300).unwrap();
        let mut out = vec![];
        assert_eq!(outbox.take(&mut out), None);
        assert_eq!(out.len(), 300);
        outbox.set_unsent(60);
        put(&outbox, 40).unwrap();
        assert_eq!(put(&outbox, 1).unwrap_err().code(), "PIT-499");
        assert_eq!(outbox.ended(), Some(CloseReason::SlowConsumer));
    }

    #[test]
    fn a_burst_is_bounded_too() {
        let outbox = Outbox::new(100);
        put(&outbox, 400).unwrap();
        assert!(put(&outbox, 1).is_err());
    }

    #[test]
    fn one_large_message_is_not_too_much() {
        let outbox = Outbox::new(100);
        put(&outbox, 5000).unwrap();
        assert_eq!(outbox.ended(), None);
    }

    #[test]
    fn nothing_follows_the_end() {
        let outbox = Outbox::new(100);
        put(&outbox, 1).unwrap();
        assert!(outbox.end(CloseReason::Kicked(None), |out| out.push(5)));
        assert!(!outbox.end(CloseReason::Server, |out| out.push(6)));
        assert!(put(&outbox, 1).is_err());
        let mut out = vec![];
        assert_eq!(outbox.take(&mut out), Some(CloseReason::Kicked(None)));
        assert_eq!(out, [0, 5]);
    }

    #[test]
    fn a_stop_lets_answers_through() {
        let outbox = Outbox::new(100);
        outbox.stop();
        put(&outbox, 1).unwrap();
        let mut out = vec![];
        assert_eq!(outbox.take(&mut out), Some(CloseReason::Shutdown));
        assert_eq!(out.len(), 1);
        assert!(outbox.end(CloseReason::Kicked(None), |_| {}));
        assert_eq!(outbox.ended(), Some(CloseReason::Kicked(None)));
        assert!(put(&outbox, 1).is_err());
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let outbox = Outbox::new(100);
        let failed = outbox.append(|out| {
            out.push(1);
            Err(Error::internal("x"))
        });
        assert!(failed.is_err() && !outbox.is_dirty());
    }
}
