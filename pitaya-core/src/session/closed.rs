//! A flag that is raised once and can be waited for.

use super::CloseReason;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::OnceLock;
use std::task::{Poll, Waker};

#[derive(Default)]
pub(super) struct Closed {
    reason: OnceLock<CloseReason>,
    waiting: Mutex<Vec<Waker>>,
}

impl Closed {
    pub(super) fn reason(&self) -> Option<&CloseReason> {
        self.reason.get()
    }

    /// True for the one who raised it.
    pub(super) fn set(&self, reason: CloseReason) -> bool {
        let first = self.reason.set(reason).is_ok();
        if first {
            for waker in std::mem::take(&mut *self.waiting.lock()) {
                waker.wake();
            }
        }
        first
    }

    pub(super) async fn wait(&self) -> &CloseReason {
        poll_fn(|cx| {
            if let Some(reason) = self.reason.get() {
                return Poll::Ready(reason);
            }
            let mut waiting = self.waiting.lock();
            // Raised between the two looks: the waker would come too late.
            if let Some(reason) = self.reason.get() {
                return Poll::Ready(reason);
            }
            // A task that polls again must not add up: it counts once.
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
