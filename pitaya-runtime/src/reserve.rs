//! File descriptors in reserve for the admin port: a server that has none left for players must still be able to say so,
//! and that it lives.

use parking_lot::Mutex;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Descriptors that are kept. Several, because another thread may take the one that is given up before the connection that
/// it was meant for.
const KEPT: usize = 4;
/// Time for which an acceptor that found no descriptor makes the server unready: longer than the pauses between probes'
/// tries, so that a descriptor that is free for a moment does not count.
const UNREADY: Duration = Duration::from_secs(3);

/// Open files, each to be given up for a connection to the admin port where no descriptor is left.
#[derive(Debug)]
pub(crate) struct Reserve {
    files: Mutex<Vec<File>>,
    /// Some of them have been given up and not been had again.
    is_short: AtomicBool,
    began: Instant,
    /// When an acceptor last found no descriptor, in milliseconds, plus one; 0 for never.
    refused: AtomicU64,
}

impl Default for Reserve {
    fn default() -> Self {
        Self {
            files: Mutex::default(),
            is_short: AtomicBool::new(false),
            began: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }
}

impl Reserve {
    /// Gives one up. False when there is none.
    pub(crate) fn give(&self) -> bool {
        let given = self.files.lock().pop().is_some();
        if given {
            self.is_short.store(true, Relaxed);
        }
        given
    }

    /// Takes back as many as can be had.
    pub(crate) fn fill(&self) {
        let mut files = self.files.lock();
        while files.len() < KEPT {
            let Ok(file) = File::open(if cfg!(unix) { "/dev/null" } else { "NUL" }) else { return };
            files.push(file);
        }
        self.is_short.store(false, Relaxed);
    }

    /// Whether descriptors are wanted back, before any player has one.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Relaxed)
    }

    /// Notes that a connection could not be accepted.
    pub(crate) fn refused(&self) {
        self.refused.store(self.began.elapsed().as_millis() as u64 + 1, Relaxed);
    }

    /// Whether one could not be a moment ago.
    pub(crate) fn has_refused(&self) -> bool {
        let at = self.refused.load(Relaxed);
        at > 0 && self.began.elapsed().saturating_sub(Duration::from_millis(at - 1)) < UNREADY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_given_and_taken_back() {
        let reserve = Reserve::default();
        assert!(!reserve.give() && !reserve.is_short(), "nothing is kept before somebody asks for it");
        reserve.fill();
        for _ in 0..KEPT {
            assert!(reserve.give() && reserve.is_short());
        }
        assert!(!reserve.give());
        reserve.fill();
        assert!(!reserve.is_short() && reserve.give());
        assert!(!reserve.has_refused());
        reserve.refused();
        assert!(reserve.has_refused());
    }
}
