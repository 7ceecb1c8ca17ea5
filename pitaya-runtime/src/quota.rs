//! How often one thing is said in the log: what clients can make happen again and again must not fill a disk.

use crate::accept::Refused;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The shortest time between two lines about the same.
const PAUSE: Duration = Duration::from_secs(1);

/// One line a second, and how many there would have been besides. The clock is read only when there is something to say.
pub(crate) struct Quota {
    began: Instant,
    /// When the next line may be written, in milliseconds.
    next: AtomicU64,
    missed: AtomicU64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { began: Instant::now(), next: AtomicU64::new(0), missed: AtomicU64::new(0) }
    }
}

impl Quota {
    /// Whether a line may be written now; then, how many were left out since the last.
    #[cold]
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = self.began.elapsed();
        let next = self.next.load(Relaxed);
        let after = (now + PAUSE).as_millis() as u64;
        // Of several at the same moment one wins.
        if (now.as_millis() as u64) < next || self.next.compare_exchange(next, after, Relaxed, Relaxed).is_err() {
            self.missed.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.missed.swap(0, Relaxed))
    }
}

/// What an app says at most so often.
#[derive(Default)]
pub(crate) struct Quotas {
    /// Something of the app's panicked.
    pub(crate) panics: Quota,
    /// A hook of the app's failed.
    pub(crate) hooks: Quota,
    /// A handler took long.
    pub(crate) slow: Quota,
    /// Other servers do not know of a binding.
    pub(crate) bindings: Quota,
    /// Connections were refused, by reason.
    pub(crate) refusals: [Quota; Refused::LABELS.len()],
    /// The end of an older session was not waited for.
    pub(crate) logins: Quota,
    /// A gate kept packets out.
    pub(crate) gates: Quota,
    /// Messages were over a limit.
    pub(crate) limits: Quota,
    /// Packets did not come whole in time.
    pub(crate) packets: Quota,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_and_the_others_are_counted() {
        let quota = Quota::default();
        assert_eq!(quota.admit(), Some(0));
        for _ in 0..10 {
            assert_eq!(quota.admit(), None);
        }
        quota.next.store(0, Relaxed);
        assert_eq!(quota.admit(), Some(10));
        assert_eq!(quota.admit(), None);
    }
}
