//! How long until the next try.

use crate::cluster::chance;
use std::time::Duration;

/// The longest wait after the first failure.
const FIRST: Duration = Duration::from_millis(50);

/// Waits that double up to a limit. Each is a random part of its limit, so that servers which lost etcd together do not
/// come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// The longest wait of all tries that go on for ever.
    pub(super) const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn up_to(longest: Duration) -> Self {
        Self { next: FIRST.min(longest), longest }
    }

    pub(super) fn reset(&mut self) {
        self.next = FIRST.min(self.longest);
    }

    pub(super) fn next(&mut self) -> Duration {
        let limit = self.next;
        self.next = (limit * 2).min(self.longest);
        limit.mul_f64(chance())
    }

    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_begin_again() {
        let mut backoff = Backoff::up_to(Duration::from_millis(300));
        for limit in [50, 100, 200, 300, 300] {
            assert_eq!(backoff.next, Duration::from_millis(limit));
            assert!(backoff.next() <= Duration::from_millis(limit));
        }
        backoff.reset();
        assert_eq!(backoff.next, FIRST);
        let waits: std::collections::HashSet<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits.len() > 15, "they are random: {waits:?}");
    }
}
