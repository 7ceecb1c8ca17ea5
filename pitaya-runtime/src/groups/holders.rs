//! Holders of one membership: the user, sessions, or both.

use pitaya_core::cluster::groups::{GroupError, Holder, MAX_HOLDERS};
use serde::{Deserialize, Serialize};

/// Holders of one membership. Without any, the membership is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holders {
    /// Whether the user holds it, beside what sessions do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) user: bool,
    #[serde(default)]
    pub(crate) sessions: Vec<Holder>,
}

impl Holders {
    #[cfg(feature = "etcd")]
    pub(crate) fn user() -> Self {
        Self { user: true, sessions: Vec::new() }
    }

    /// Reads what [`write`](Self::write) has written. Whatever else there is says that the user is a member, as the empty
    /// value does that Go writes.
    #[cfg(feature = "etcd")]
    pub(crate) fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_else(|_| Self::user())
    }

    /// Go's value for what a user holds alone.
    #[cfg(feature = "etcd")]
    pub(crate) fn write(&self) -> String {
        if *self == Self::user() {
            return String::new();
        }
        // Strings and numbers: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.user && self.sessions.is_empty()
    }

    /// Adds a session; false when it is a holder already.
    pub(crate) fn join(&mut self, holder: &Holder) -> Result<bool, GroupError> {
        if self.sessions.contains(holder) {
            return Ok(false);
        }
        if self.sessions.len() >= MAX_HOLDERS {
            return Err(GroupError::TooManySessions);
        }
        self.sessions.push(holder.clone());
        Ok(true)
    }

    /// Removes a session; false when it is no holder.
    pub(crate) fn leave(&mut self, holder: &Holder) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|known| known != holder);
        self.sessions.len() < before
    }
}
