//! A file descriptor in reserve: whoever cannot be served is told so.

use super::Acceptor;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// So many connections are turned away before the accept loop pauses: with its pause that is at most a few hundred a
/// second, so that a storm of them costs little.
const AT_ONCE: usize = 32;

/// The reserve. Without it a process that has no file descriptor left can neither accept a connection nor refuse it: its
/// clients wait in the backlog, connected to nobody.
#[derive(Debug)]
pub(super) struct Spare(Option<File>);

impl Spare {
    pub(super) fn open() -> Self {
        Self(spare())
    }

    /// Whether this error of `accept` says that the descriptors are used up.
    pub(super) fn is_needed_for(error: &io::Error) -> bool {
        // EMFILE and ENFILE, which std does not name: the process's own limit, and the system's. The same on every Unix.
        cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
    }

    /// Accepts what is waiting and closes it, one after the other, in the place of the spare descriptor. Returns how many.
    pub(super) fn shed<A: Acceptor>(&mut self, acceptor: &A, listener: &mut A::Listener) -> u64 {
        let mut shed = 0;
        if self.0.take().is_some() {
            // Each is dropped before the next is accepted: one descriptor does for all of them.
            while shed < AT_ONCE as u64 && now(acceptor.accept(listener)).is_some_and(|accepted| accepted.is_ok()) {
                shed += 1;
            }
        }
        self.0 = spare();
        shed
    }
}

fn spare() -> Option<File> {
    File::open(if cfg!(unix) { "/dev/null" } else { "NUL" }).ok()
}

/// What a future gives when it is asked once.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
