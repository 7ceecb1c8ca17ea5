//! What happened, counted: metric-ready, and exact.

use crate::accept::Refused;
use pitaya_core::CloseReason;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// The counters of one app, as they stand.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[doc = $doc])+ pub $name: u64,)*
            /// Sessions closed, by [`CloseReason::index`].
            pub closed: [u64; CloseReason::LABELS.len()],
            /// Connections that did not become sessions, by reason; see [`refused`](Self::refused).
            pub refused: [u64; Refused::LABELS.len()],
        }

        impl Counts {
            /// All but `closed` and `refused`, each with its name and what it counts.
            pub(crate) fn fields(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+), self.$name),)*]
            }
        }

        /// In lines of the cache of their own: what lies beside them is read for each message, by all cores.
        #[derive(Default)]
        #[repr(align(128))]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            pub(crate) closed: [AtomicU64; CloseReason::LABELS.len()],
            pub(crate) refused: [AtomicU64; Refused::LABELS.len()],
        }

        impl Counters {
            pub(crate) fn read(&self) -> Counts {
                Counts {
                    $($name: self.$name.load(Relaxed),)*
                    closed: std::array::from_fn(|i| self.closed[i].load(Relaxed)),
                    refused: std::array::from_fn(|i| self.refused[i].load(Relaxed)),
                }
            }
        }
    };
}

counters! {
    /// Connections accepted by a socket.
    accepted;
    /// Connections refused because the app had `limits.connections.total`.
    refused_total;
    /// Connections refused because their address had `limits.connections.peraddress`.
    refused_address;
    /// Connections refused by `limits.accept.rate`.
    refused_rate;
    /// Connections that failed before they were one: TLS or the WebSocket upgrade.
    failed_establish;
    /// Connections of trusted proxies without a PROXY header or with a wrong one, and of others that sent one.
    bad_proxy_headers;
    /// Packets that an acceptor's gate dropped or refused, a rate limit's above all.
    exceeded_rate_limiting;
    /// Messages over `limits.messages` or `limits.routes`: requests that were refused, and notifies that were dropped.
    limited_messages;
    /// Connections that spoke another protocol than their port: TLS on a plain one, or the reverse.
    wrong_protocol;
    /// Connections closed at once because the process had no file descriptor left for them.
    refused_files;
    /// Times the files of an acceptor were read again and taken: certificates, above all.
    reloads;
    /// Times they could not be, so that what was there before stayed in force.
    failed_reloads;
    /// Messages that reached a handler's route.
    messages;
    /// Error answers sent.
    error_answers;
    /// Errors of notifies, which nobody is told.
    failed_notifies;
    /// Panics of handlers and pipeline steps.
    panics;
    /// Requests with id 0: run, and not answered.
    requests_without_id;
    /// Answers that came after a kick or a close, and were dropped.
    late_answers;
    /// Messages that were read and not run, because their session ended first.
    dropped_messages;
    /// Times a session had `limits.inflight` messages waiting, or its backlog full, so that its socket was not read.
    full_backlogs;
    /// Handlers that ran longer than `limits.handler.soft`.
    slow_handlers;
    /// Handlers ended by `limits.handler.hard`.
    overdue_handlers;
    /// Messages sent on to other servers.
    forwarded;
    /// Messages that could not be sent on.
    failed_forwards;
    /// Clients' messages that other servers forwarded here.
    received;
    /// Forwarded messages refused because `limits.forwarded` of them were in work.
    refused_messages;
    /// Forwarded messages that were not run because their time had passed before their turn.
    overdue_messages;
    /// Calls of other servers that reached a remote's route.
    calls;
    /// Calls of other servers refused because `limits.calls` of them were in work.
    refused_calls;
    /// Calls of other servers that ended at their deadline.
    overdue_calls;
    /// Bodies refused because they would inflate past `limits.inflate`.
    refused_inflates;
}

impl Counts {
    /// Sessions closed for a reason, by its label.
    #[must_use]
    pub fn closed(&self, label: &str) -> u64 {
        CloseReason::LABELS.iter().position(|known| *known == label).map_or(0, |i| self.closed[i])
    }

    /// Connections refused for a reason, by its label: `http_on_tcp`, `handshake_too_long`, `origin`; all of them are in
    /// `docs/edge.md`.
    #[must_use]
    pub fn refused(&self, label: &str) -> u64 {
        Refused::LABELS.iter().position(|known| *known == label).map_or(0, |i| self.refused[i])
    }
}

/// Adds one.
#[inline]
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
