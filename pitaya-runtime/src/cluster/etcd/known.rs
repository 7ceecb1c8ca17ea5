//! Which servers are known: what etcd says, and what is kept although etcd does not say it any more.

use pitaya_core::cluster::ServerInfo;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// The servers that were reported.
#[derive(Default)]
pub(super) struct Known(HashMap<Arc<str>, Entry>);

struct Entry {
    key: Vec<u8>,
    server: ServerInfo,
    /// When it is gone, unless it comes back before: etcd does not have it, but may not know better.
    leaves: Option<Instant>,
}

/// What to do with a server that etcd does not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is gone.
    Goes,
    /// It may come back until then.
    StaysUntil(Instant),
}

impl Known {
    /// A record was written.
    pub(super) fn put(&mut self, key: Vec<u8>, server: ServerInfo) {
        self.0.insert(server.id.clone(), Entry { key, server, leaves: None });
    }

    /// A record was deleted. The id of the server that is gone by that.
    pub(super) fn delete(&mut self, id: &str, key: &[u8], missing: Missing) -> Option<Arc<str>> {
        // An id may have moved to the key of another type in the meantime.
        let entry = self.0.get_mut(id).filter(|entry| entry.key == key)?;
        match missing {
            Missing::Goes => self.0.remove_entry(id).map(|(id, _)| id),
            Missing::StaysUntil(end) => {
                entry.leaves.get_or_insert(end);
                None
            }
        }
    }

    /// All there are. What `own` is about is this server: it knows that it lives.
    pub(super) fn replace(&mut self, found: Vec<(Vec<u8>, ServerInfo)>, missing: Missing, own: Option<&str>) {
        let mut before = std::mem::take(&mut self.0);
        for (key, server) in found {
            before.remove(&server.id);
            self.put(key, server);
        }
        for (id, entry) in before {
            if own == Some(&*id) {
                self.0.insert(id, entry);
            } else if let Missing::StaysUntil(end) = missing {
                self.0.insert(id, Entry { leaves: Some(end), ..entry });
            }
        }
    }

    pub(super) fn servers(&self) -> Vec<ServerInfo> {
        self.0.values().map(|entry| entry.server.clone()).collect()
    }

    /// When the next one that is missing leaves.
    pub(super) fn next_leave(&self) -> Option<Instant> {
        self.0.values().filter_map(|entry| entry.leaves).min()
    }

    /// Those that leave by now.
    pub(super) fn leave(&mut self, now: Instant) -> Vec<Arc<str>> {
        let due = |entry: &Entry| entry.leaves.is_some_and(|end| end <= now);
        let ids: Vec<_> = self.0.iter().filter(|(_, entry)| due(entry)).map(|(id, _)| id.clone()).collect();
        self.0.retain(|_, entry| !due(entry));
        ids
    }

    /// Those that are missing get time until then.
    pub(super) fn postpone(&mut self, end: Instant) {
        self.0.values_mut().filter_map(|entry| entry.leaves.as_mut()).for_each(|leaves| *leaves = end);
    }
}

#[cfg(test)]
mod tests {
    use super::Missing::{Goes, StaysUntil};
    use super::*;
    use std::time::Duration;

    fn record(id: &str) -> (Vec<u8>, ServerInfo) {
        (format!("servers/room/{id}").into_bytes(), ServerInfo::new("room", id, false))
    }

    fn ids(known: &Known) -> Vec<String> {
        let mut ids: Vec<_> = known.servers().iter().map(|server| server.id.to_string()).collect();
        ids.sort();
        ids
    }

    fn three() -> Known {
        let mut known = Known::default();
        known.replace(vec![record("a"), record("b"), record("own")], Goes, Some("own"));
        known
    }

    #[test]
    fn a_deleted_server_goes_or_stays_for_a_while() {
        let mut known = three();
        let now = Instant::now();
        let end = now + Duration::from_secs(1);
        assert_eq!(known.delete("a", b"servers/room/a", Goes).as_deref(), Some("a"));
        assert_eq!(known.delete("b", b"servers/gate/b", Goes), None, "the key of another");
        assert_eq!(known.delete("b", b"servers/room/b", StaysUntil(end)), None);
        assert_eq!((ids(&known), known.next_leave()), (vec!["b".to_owned(), "own".to_owned()], Some(end)));
        assert_eq!(known.leave(now), []);
        known.postpone(end + Duration::from_secs(1));
        assert_eq!(known.leave(end), []);
        assert_eq!(known.leave(end + Duration::from_secs(1)), ["b".into()]);
        assert_eq!(ids(&known), ["own"]);
    }

    #[test]
    fn who_comes_back_in_time_has_never_been_away() {
        let mut known = three();
        let end = Instant::now() + Duration::from_secs(1);
        known.replace(Vec::new(), StaysUntil(end), Some("own"));
        assert_eq!(ids(&known), ["a", "b", "own"]);
        let (key, server) = record("a");
        known.put(key, server);
        assert_eq!(known.leave(end), ["b".into()]);
        assert_eq!(ids(&known), ["a", "own"]);
    }

    #[test]
    fn without_an_outage_who_is_missing_is_gone_but_for_oneself() {
        let mut known = three();
        known.replace(vec![record("c")], Goes, Some("own"));
        assert_eq!(ids(&known), ["c", "own"]);
        known.replace(Vec::new(), Goes, None);
        assert_eq!(ids(&known), [""; 0]);
    }
}
