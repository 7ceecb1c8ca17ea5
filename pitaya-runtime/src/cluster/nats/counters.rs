//! What happened on the way between servers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// The counters of one [`NatsTransport`](super::NatsTransport), as they stand.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct NatsCounts {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl NatsCounts {
            pub(super) fn fields(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+), self.$name),)*]
            }
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> NatsCounts {
                NatsCounts { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections to the broker that were made.
    connections;
    /// Connections to the broker that were lost.
    disconnects;
    /// Calls of remotes made.
    calls;
    /// Messages of clients forwarded.
    forwarded;
    /// Bundles of calls and of forwarded messages sent to servers of ours.
    bundles;
    /// Calls and forwarded messages without an answer in time: PIT-408.
    timeouts;
    /// Calls and forwarded messages that may have run when the connection or their server was lost: PIT-408.
    lost;
    /// Calls and forwarded messages that certainly did not run, because nobody was there or nothing could be sent: PIT-503.
    unreachable;
    /// What was refused because `rpc.client.nats.buffer` was full.
    refused;
    /// Answers and pushes that could not be sent back, because there was no connection or the buffer was full.
    unsent;
    /// Messages larger than the broker takes.
    oversize;
    /// Answers that nobody waited for any more, and pushes to sessions that had ended.
    stray;
    /// Messages of other servers that could not be understood.
    malformed;
    /// Messages of other servers that were refused because they were not signed.
    unsigned;
    /// Messages of other servers that were refused because they were signed with a key that is not known here.
    unknown_key;
    /// Messages of other servers that were refused because they are not what was signed.
    forged;
    /// Messages of other servers that were refused because they came again.
    replayed;
    /// Messages of other servers that were refused because of the time at which they were signed.
    untimely;
    /// Messages of other servers that came when their sender had stopped waiting, and were not run.
    late;
    /// Messages that the NATS library dropped, because they came faster than they were taken.
    dropped;
    /// Probes of servers that had not answered for a while.
    probes;
    /// Errors that the broker reported.
    broker_errors;
}

/// Adds one.
#[inline]
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
