//! Bodies of the framework's remotes about memberships of sessions.

use pitaya_core::cluster::Holder;
use std::sync::Arc;

/// Asks the frontend of a session to record that a group was joined, or has been left.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Change {
    #[prost(int64, tag = "1")]
    pub(super) session: i64,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) group: String,
    /// Id and type of the server that writes the membership to its store.
    #[prost(string, tag = "4")]
    pub(super) server: String,
    #[prost(string, tag = "5")]
    pub(super) kind: String,
    /// Identity of that store; empty when it has none.
    #[prost(string, tag = "6")]
    pub(super) store: String,
}

/// Answers a [`Change`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Changed {
    #[prost(uint64, tag = "1")]
    pub(super) epoch: u64,
    /// The session has ended, or is not that user's.
    #[prost(bool, tag = "2")]
    pub(super) ended: bool,
    /// The session is in so many groups, and in no more; 0 when there is room.
    #[prost(uint64, tag = "3")]
    pub(super) most: u64,
    /// The session is there, and has no uid yet.
    #[prost(bool, tag = "4")]
    pub(super) unbound: bool,
}

/// Asks the server that wrote memberships to take out a session that has ended, or which of them the session still holds.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Ended {
    #[prost(string, tag = "1")]
    pub(super) frontend: String,
    #[prost(uint64, tag = "2")]
    pub(super) epoch: u64,
    #[prost(int64, tag = "3")]
    pub(super) session: i64,
    #[prost(string, tag = "4")]
    pub(super) uid: String,
    #[prost(string, repeated, tag = "5")]
    pub(super) groups: Vec<String>,
}

impl Ended {
    pub(super) fn new(holder: &Holder, uid: &str, groups: &[Arc<str>]) -> Self {
        Self {
            frontend: holder.frontend.to_string(),
            epoch: holder.epoch,
            session: holder.session,
            uid: uid.to_owned(),
            groups: groups.iter().map(|group| group.to_string()).collect(),
        }
    }

    pub(super) fn into_parts(self) -> (Holder, String, Vec<Arc<str>>) {
        let Self { frontend, epoch, session, uid, groups } = self;
        (Holder { frontend: frontend.into(), epoch, session }, uid, groups.into_iter().map(Arc::from).collect())
    }
}

/// Answers which memberships a session holds, or is about to.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Held {
    #[prost(string, repeated, tag = "1")]
    pub(super) groups: Vec<String>,
}

/// Asks whether a user has a session at a frontend that shares a store.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WhereIs {
    #[prost(string, tag = "1")]
    pub(super) uid: String,
    #[prost(string, tag = "2")]
    pub(super) store: String,
}

/// Answers [`WhereIs`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Whereabouts {
    #[prost(bool, tag = "1")]
    pub(super) here: bool,
}
