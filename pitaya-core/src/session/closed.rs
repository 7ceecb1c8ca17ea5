//! A flag that is raised once and can be waited for.

use super::CloseReason;
use crate::maps::NumberMap;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(super) struct Closed {
    reason: OnceLock<CloseReason>,
    /// Most sessions are never waited for.
    waiting: Mutex<Option<Box<Waiting>>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    wakers: NumberMap<u64, Waker>,
}

impl Closed {
    pub(super) fn reason(&self) -> Option<&CloseReason> {
        self.reason.get()
    }

    /// True for the one who raised it.
    pub(super) fn set(&self, reason: CloseReason) -> bool {
        let first = self.reason.set(reason).is_ok();
        if first {
            let waiting = self.waiting.lock().take();
            waiting.into_iter().flat_map(|waiting| waiting.wakers.into_values()).for_each(Waker::wake);
        }
        first
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        Wait { closed: self, place: None }
    }
}

/// Ends when the flag is raised. Takes its waker back when it is dropped: a session that lives for days is waited for by
/// many calls that do not.
pub(super) struct Wait<'a> {
    closed: &'a Closed,
    place: Option<u64>,
}

impl<'a> Future for Wait<'a> {
    type Output = &'a CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let closed = self.closed;
        if let Some(reason) = closed.reason.get() {
            return Poll::Ready(reason);
        }
        let mut waiting = closed.waiting.lock();
        // Raised between the two looks: the waker would come too late.
        if let Some(reason) = closed.reason.get() {
            return Poll::Ready(reason);
        }
        let list = waiting.get_or_insert_default();
        let place = *self.place.get_or_insert(list.next);
        list.next = list.next.max(place + 1);
        let old = match list.wakers.get_mut(&place) {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => list.wakers.insert(place, cx.waker().clone()),
        };
        drop(waiting);
        // The last hold on a task may be its waker: what it owns is not dropped under the lock.
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.closed.waiting.lock().as_mut().and_then(|waiting| waiting.wakers.remove(&place));
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_and_who_does_not_leaves_nothing() {
        let closed = Closed::default();
        let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
        let wakers = counts.clone().map(Waker::from);
        let mut stays = pin!(closed.wait());
        for _ in 0..3 {
            assert!(stays.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
            assert!(pin!(closed.wait()).poll(&mut Context::from_waker(&wakers[1])).is_pending());
        }
        assert_eq!(closed.waiting.lock().as_ref().map(|waiting| waiting.wakers.len()), Some(1));
        assert!(closed.set(CloseReason::Server) && !closed.set(CloseReason::Client));
        assert_eq!(counts.map(|count| count.0.load(Relaxed)), [1, 0]);
        assert_eq!(stays.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(&CloseReason::Server));
    }
}
