//! What can go wrong with a message for many.

use pitaya_core::__private::{FaultRow, Probe, submit};
use pitaya_core::{Error, Fault, codes};
use std::borrow::Cow;

/// Why a message did not reach everybody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// It could not be written at all: nobody got it.
    #[error("{0}")]
    Message(String),
    /// These users are not here, or do not read; all others got it.
    #[error("{} users could not be reached", .0.len())]
    Unreached(Vec<String>),
    /// No user could be reached: this server has no acceptor, and neither has any other of its type. Has the uids.
    #[error("this server has no clients: name their frontends with groups.at(\"..\") or app.users(\"..\")")]
    NoClients(Vec<String>),
}

/// Converts to the error that clients get: that a server lacks an acceptor is in the log alone.
impl Fault for PushError {
    fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(if matches!(self, Self::NoClients(_)) { codes::INTERNAL } else { codes::UNKNOWN })
    }

    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::NoClients(_) => Cow::Borrowed("the server failed"),
            other => Cow::Owned(other.to_string()),
        }
    }
}

submit! { FaultRow(<Probe<PushError>>::FIND) }

impl From<Error> for PushError {
    fn from(error: Error) -> Self {
        Self::Message(error.to_string())
    }
}
