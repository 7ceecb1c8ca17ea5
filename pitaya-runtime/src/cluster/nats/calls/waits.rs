//! A task that waits.

use super::{Answer, Calls, Key};
use crate::cluster::nats::outcome::Failure;
use std::task::{Context, Poll};

/// A task that waits for its answer. Dropped before, it waits for nothing any more.
pub(in super::super) struct Waits {
    calls: Calls,
    key: Option<Key>,
}

impl Waits {
    pub(in super::super) fn new(calls: &Calls, key: Key) -> Self {
        Self { calls: calls.clone(), key: Some(key) }
    }

    pub(in super::super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(key) = self.key else { return Poll::Ready(Err(Failure::Gone)) };
        let polled = self.calls.poll(key, cx);
        if polled.is_ready() {
            self.key = None;
        }
        polled
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.calls.give_up(key);
        }
    }
}
