//! Groups that the sessions of this server have joined, here or at other servers.

use parking_lot::Mutex;
use pitaya_core::Session;
use pitaya_core::cluster::GroupError;
use pitaya_core::rpc::Peer;
use std::collections::HashMap;
use std::sync::Arc;

/// One join of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) group: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) writer: Writer,
}

/// The server that wrote a membership to its store, and takes it out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Writer {
    /// This one.
    Own,
    Other {
        server: Peer,
        /// Identity of its store, when other servers may have the same one.
        store: Option<Arc<str>>,
    },
}

impl Writer {
    /// Id of the other server.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Own => None,
            Self::Other { server, .. } => Some(&server.id),
        }
    }
}

/// The records of all sessions that have joined groups. Written before the store is, so that the end of a session finds
/// everything that may be there.
#[derive(Default)]
pub(crate) struct Records(Mutex<HashMap<i64, Vec<Record>>>);

impl Records {
    /// Adds a record unless there is one of the same group and writer.
    ///
    /// # Errors
    /// [`GroupError::SessionEnded`], [`GroupError::TooManyGroups`].
    pub(super) fn add(&self, session: &Session, record: Record, most: usize) -> Result<(), GroupError> {
        let mut records = self.0.lock();
        // Under the lock: `take` comes after the session was marked closed, so either it finds this record or this look
        // finds the mark.
        if session.is_closed() {
            return Err(GroupError::SessionEnded);
        }
        let known = records.get(&session.id()).map_or(&[][..], Vec::as_slice);
        let same = |known: &Record| known.group == record.group && known.writer.id() == record.writer.id();
        if known.iter().any(same) {
            return Ok(());
        }
        if known.len() >= most {
            return Err(GroupError::TooManyGroups(most));
        }
        records.entry(session.id()).or_default().push(record);
        Ok(())
    }

    /// Removes what one writer has recorded of a group.
    pub(super) fn remove(&self, session: i64, group: &str, writer: Option<&str>) {
        let mut records = self.0.lock();
        let Some(known) = records.get_mut(&session) else { return };
        known.retain(|record| *record.group != *group || record.writer.id() != writer);
        if known.is_empty() {
            records.remove(&session);
        }
    }

    /// Takes the records of a session that has ended.
    pub(super) fn take(&self, session: i64) -> Vec<Record> {
        self.0.lock().remove(&session).unwrap_or_default()
    }
}
