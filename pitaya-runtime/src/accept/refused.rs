//! Refused connections: counted by reason, and logged at a bounded rate.

use crate::counters::count;
use crate::server::Server;
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

/// Upper bound of a log line's text about one refused connection, in bytes: parts of it may come from the peer.
const LONGEST_DETAIL: usize = 200;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $label:literal;)*) => {
        /// Reason why a connection does not become a session. The set is fixed, so that no peer makes a label of a metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Refused {
            $($(#[doc = $doc])+ $reason,)*
        }

        impl Refused {
            /// Labels of all reasons, in the order of the declaration.
            pub(crate) const LABELS: [&'static str; [$(Self::$reason),*].len()] = [$($label),*];
        }
    };
}

reasons! {
    /// HTTP on a port of packets.
    HttpOnTcp = "http_on_tcp";
    /// TLS on a port without it.
    TlsOnPlain = "tls_on_plain";
    /// Something else on a port of TLS.
    NotTls = "not_tls";
    /// Something else on a port of WebSockets, such as packets.
    NotHttp = "not_http";
    /// Bytes before the handshake that are no packet, or a packet that is too long.
    NotAPacket = "not_a_packet";
    /// A packet before the handshake that may only follow it.
    BeforeHandshake = "before_handshake";
    /// A handshake over `pitaya.limits.handshake.size`.
    HandshakeTooLong = "handshake_too_long";
    /// A handshake that cannot be read: no JSON, or of wrong types.
    HandshakeInvalid = "handshake_invalid";
    /// A handshake that a check of the app refused.
    HandshakeRejected = "handshake_refused";
    /// No handshake within `pitaya.limits.handshake.timeout`.
    HandshakeTimeout = "handshake_timeout";
    /// A missing or wrong PROXY header of a trusted proxy, or one of somebody else.
    ProxyHeader = "proxy_header";
    /// A TLS handshake that failed.
    Tls = "tls";
    /// An upgrade request that is not one of a WebSocket client.
    Upgrade = "upgrade";
    /// An upgrade request over `pitaya.acceptor.upgrade`.
    UpgradeTooLarge = "upgrade_too_large";
    /// An `Origin` that `pitaya.acceptor.origins` does not allow.
    Origin = "origin";
    /// A WebSocket subprotocol was asked for and there is none: browsers give up then. The connection itself is taken.
    Subprotocol = "subprotocol";
    /// `pitaya.limits.connections.total` are open.
    Total = "total";
    /// `pitaya.limits.connections.peraddress` are open.
    PerAddress = "per_address";
    /// More than `pitaya.limits.accept.rate` came.
    Rate = "rate";
    /// No file descriptor is left.
    Files = "files";
    /// An acceptor of the app's own failed.
    Other = "other";
}

impl Refused {
    /// Word for the log and for metrics.
    pub(crate) const fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }

    /// Text about a limit of admission.
    pub(crate) const fn limit(self) -> &'static str {
        match self {
            Self::Total => "pitaya.limits.connections.total is reached",
            Self::PerAddress => "pitaya.limits.connections.peraddress is reached for this address",
            Self::Rate => "pitaya.limits.accept.rate is exceeded",
            _ => "",
        }
    }

    /// Whether the client speaks another protocol than its port.
    pub(crate) const fn is_wrong_protocol(self) -> bool {
        matches!(self, Self::HttpOnTcp | Self::TlsOnPlain | Self::NotTls | Self::NotHttp)
    }
}

/// Failure of an acceptor that knows its reason; travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct RefusedError {
    pub(crate) reason: Refused,
    text: Cow<'static, str>,
}

impl RefusedError {
    pub(crate) fn new(reason: Refused, text: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, text: text.into() }
    }

    /// The reason that an error of an acceptor carries. `None` for a connection that merely broke, as those of port scans
    /// and of load balancers' health checks do.
    pub(crate) fn reason_of(error: &io::Error) -> Option<Refused> {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof};
        if let Some(known) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return Some(known.reason);
        }
        let broke = [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof];
        (!broke.contains(&error.kind())).then_some(Refused::Other)
    }
}

impl From<RefusedError> for io::Error {
    fn from(error: RefusedError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Server {
    /// Counts a refused connection, and logs it: at most one line a second for each reason.
    #[cold]
    pub(crate) fn refused(&self, reason: Refused, remote: SocketAddr, detail: &str) {
        count(&self.counters.refused[reason as usize]);
        if reason.is_wrong_protocol() {
            count(&self.counters.wrong_protocol);
        }
        if let Some(missed) = self.quotas.refusals[reason as usize].admit() {
            let detail = detail[..detail.floor_char_boundary(LONGEST_DETAIL)].escape_debug();
            tracing::warn!(%remote, reason = reason.label(), missed, %detail, "connection refused");
        }
    }
}
