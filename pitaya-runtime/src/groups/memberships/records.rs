//! Groups that the sessions of this server have joined, here or at other servers.

use parking_lot::Mutex;
use pitaya_core::Session;
use pitaya_core::rpc::Peer;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One join of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) group: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) writer: Writer,
    /// Identity of the store, or of the only server that has it. Joins of one group in one store count once.
    place: Arc<str>,
    /// The membership was not in its store when that was asked: it counts no longer for the limit. The end of the session
    /// takes it out all the same, should it have been written late.
    over: bool,
    /// Number of the join that has written the record last.
    join: u64,
}

impl Record {
    pub(super) fn new(group: Arc<str>, uid: Arc<str>, writer: Writer, place: Arc<str>) -> Self {
        Self { group, uid, writer, place, over: false, join: 0 }
    }
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
pub(crate) struct Records(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    sessions: HashMap<i64, Vec<Record>>,
    /// Number of the last join.
    join: u64,
}

/// Result of [`Records::add`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    Done,
    /// The session is in as many groups as it may be, as far as these records tell.
    Full(Vec<Record>),
    /// The session has ended.
    Ended,
}

impl Records {
    /// Adds a record, or renews the one of the same group and writer, unless the session is in `most` groups.
    pub(super) fn add(&self, session: &Session, record: Record, most: usize) -> Added {
        let mut tables = self.0.lock();
        // Under the lock: `take` comes after the session was marked closed, so either it finds this record or this look
        // finds the mark.
        if session.is_closed() {
            return Added::Ended;
        }
        tables.join += 1;
        let record = Record { join: tables.join, ..record };
        let known = tables.sessions.entry(session.id()).or_default();
        let counted: HashSet<_> =
            known.iter().filter(|known| !known.over).map(|known| (&known.group, &known.place)).collect();
        if counted.len() >= most && !counted.contains(&(&record.group, &record.place)) {
            return Added::Full(known.iter().filter(|known| !known.over).cloned().collect());
        }
        match known.iter_mut().find(|known| known.group == record.group && known.writer.id() == record.writer.id()) {
            Some(known) => *known = record,
            None => known.push(record),
        }
        // Those that are over are kept for the end of the session, the newest of them.
        if known.len() > most.saturating_mul(2)
            && let Some(oldest) = known.iter().position(|known| known.over)
        {
            known.remove(oldest);
        }
        Added::Done
    }

    /// Marks records of memberships that are over, but for those that were joined again since they were read.
    pub(super) fn end(&self, session: i64, over: &[Record]) {
        let mut tables = self.0.lock();
        let known = tables.sessions.get_mut(&session).into_iter().flatten();
        known.filter(|known| over.iter().any(|over| over.join == known.join)).for_each(|known| known.over = true);
    }

    /// Whether a session has joined a group, and not left it here.
    pub(super) fn has(&self, session: i64, group: &str, uid: &str) -> bool {
        let tables = self.0.lock();
        let mut known = tables.sessions.get(&session).into_iter().flatten();
        known.any(|known| *known.group == *group && *known.uid == *uid && !known.over)
    }

    /// Removes what one writer has recorded of a group.
    pub(super) fn remove(&self, session: i64, group: &str, writer: Option<&str>) {
        let mut tables = self.0.lock();
        let Some(known) = tables.sessions.get_mut(&session) else { return };
        known.retain(|record| *record.group != *group || record.writer.id() != writer);
        if known.is_empty() {
            tables.sessions.remove(&session);
        }
    }

    /// Takes the records of a session that has ended.
    pub(super) fn take(&self, session: i64) -> Vec<Record> {
        self.0.lock().sessions.remove(&session).unwrap_or_default()
    }
}
