//! Why etcd did not do what it was asked.

use pitaya_core::cluster::DiscoveryError;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tonic::{Code, ConnectError, Status};

/// A failed call, with the address that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no connection: certainly not done.
    Unreached,
    /// No answer, or one that says "not now": it may have been done.
    Away,
    /// The token of the login is no longer good.
    Token,
    /// The name, the password or the permissions are wrong.
    Denied,
    /// There is no such lease any more.
    LeaseGone,
    /// The revision is no longer kept.
    Compacted,
    /// The key is another's, who holds it by this lease.
    Taken(i64),
    /// Anything else: it will fail again.
    Refused,
}

impl Fault {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn from_status(address: &str, status: &Status) -> Self {
        let (code, message) = (status.code(), status.message());
        // etcd's texts: `api/v3rpc/rpctypes/error.go`.
        let kind = match code {
            _ if causes(status).any(|cause| cause.is::<ConnectError>()) => Kind::Unreached,
            Code::Unauthenticated => Kind::Token,
            Code::InvalidArgument if message.contains("user name is empty") => Kind::Token,
            Code::InvalidArgument if message.contains("revision of auth store is old") => Kind::Token,
            Code::InvalidArgument if message.contains("authentication failed") => Kind::Denied,
            Code::PermissionDenied => Kind::Denied,
            Code::NotFound if message.contains("requested lease not found") => Kind::LeaseGone,
            Code::OutOfRange if message.contains("compacted") => Kind::Compacted,
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Internal => Kind::Away,
            Code::Cancelled | Code::Aborted | Code::ResourceExhausted => Kind::Away,
            _ => Kind::Refused,
        };
        // The deepest cause says most: `Connection refused`, not `transport error`.
        let text = match (kind, causes(status).last()) {
            (Kind::Unreached, Some(cause)) => format!("etcd at `{address}` cannot be reached: {cause}"),
            (_, Some(cause)) => format!("etcd at `{address}`: {message}: {cause}"),
            (_, None) => format!("etcd at `{address}`: {message}"),
        };
        Self { kind, text }
    }

    pub(super) fn late(address: &str, within: Duration) -> Self {
        Self::new(Kind::Away, format!("etcd at `{address}` did not answer within {within:?}"))
    }

    /// Whether the same call may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Unreached | Kind::Away | Kind::Token | Kind::LeaseGone | Kind::Compacted)
    }

    /// Whether another member of etcd may do better.
    pub(super) fn is_of_member(&self) -> bool {
        matches!(self.kind, Kind::Unreached | Kind::Away)
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |error: &&(dyn Error + 'static)| (**error).source())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.kind == Kind::Token {
            f.write_str(" (etcd wants a login: set `user` and `pass`)")?;
        }
        Ok(())
    }
}

impl From<Fault> for DiscoveryError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}
