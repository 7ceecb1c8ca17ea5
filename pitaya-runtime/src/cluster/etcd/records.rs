//! A server in etcd: its key and its value.
//!
//! Others write there too: Go, other languages, people. What cannot be read is left out and told once.

use parking_lot::Mutex;
use pitaya_core::cluster::ServerInfo;
use std::collections::HashSet;

/// The part of a key behind the prefix that all servers share (Go: `getKey` in `etcd_service_discovery.go`).
const SERVERS: &str = "servers/";
/// Keys that are remembered as told.
const TOLD: usize = 256;

/// Where the records of a cluster lie, and which of them count.
pub(super) struct Records {
    /// `<prefix>servers/`; the prefix is taken as it is, a slash included or not.
    pub(super) folder: String,
    blacklist: Vec<String>,
    told: Mutex<HashSet<Vec<u8>>>,
}

/// Why a record does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("its key is not `servers/<type>/<id>`")]
    Key,
    #[error("its value is no record of a server: {0}")]
    Value(String),
    #[error("it says that it is {0:?}")]
    Other(String),
}

impl Records {
    pub(super) fn new(prefix: &str, blacklist: &[String]) -> Self {
        Self { folder: format!("{prefix}{SERVERS}"), blacklist: blacklist.to_vec(), told: Mutex::default() }
    }

    /// The whole key of a server; none if its type or id cannot stand in one.
    pub(super) fn key(&self, server: &ServerInfo) -> Option<String> {
        let key = format!("{}/{}", server.kind, server.id);
        split(&key).is_some().then(|| format!("{}{key}", self.folder))
    }

    /// The id in a key.
    pub(super) fn id<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        self.parts(key).map(|(_, id)| id)
    }

    /// The server of a record; none if it does not count. `own` is the id of this server: it counts even if its type is
    /// on the list of those that do not.
    pub(super) fn read(&self, key: &[u8], value: &[u8], own: Option<&str>) -> Option<ServerInfo> {
        let parts = self.parts(key);
        if let Some((kind, id)) = parts
            && own != Some(id)
            && self.blacklist.iter().any(|listed| listed == kind)
        {
            return None;
        }
        match parse(parts, value) {
            Ok(server) => {
                self.told.lock().remove(key);
                Some(server)
            }
            Err(why) => {
                self.tell(key, &why);
                None
            }
        }
    }

    fn parts<'a>(&self, key: &'a [u8]) -> Option<(&'a str, &'a str)> {
        let key = key.strip_prefix(self.folder.as_bytes())?;
        split(std::str::from_utf8(key).ok()?)
    }

    /// Once for each key, until it holds a good record; when there are too many, no more.
    fn tell(&self, key: &[u8], why: &Unusable) {
        let mut told = self.told.lock();
        if told.len() < TOLD && told.insert(key.to_vec()) {
            tracing::warn!("a record in etcd is left out, {:?}: {why}", String::from_utf8_lossy(key));
        }
    }
}

fn split(key: &str) -> Option<(&str, &str)> {
    let (kind, id) = key.split_once('/')?;
    (!kind.is_empty() && !id.is_empty() && !id.contains('/')).then_some((kind, id))
}

fn parse(parts: Option<(&str, &str)>, value: &[u8]) -> Result<ServerInfo, Unusable> {
    let (kind, id) = parts.ok_or(Unusable::Key)?;
    let server = ServerInfo::parse(value).map_err(|e| Unusable::Value(e.to_string()))?;
    let own = (&*server.kind, &*server.id) == (kind, id);
    if own { Ok(server) } else { Err(Unusable::Other(format!("{}/{}", server.kind, server.id))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &Records, key: &str, value: &str) -> Option<String> {
        let server = records.read(key.as_bytes(), value.as_bytes(), Some("own"));
        server.map(|server| format!("{}/{}", server.kind, server.id))
    }

    #[test]
    fn only_good_records_count() {
        let records = Records::new("p/", &["hidden".to_owned()]);
        let room = r#"{"id":"a","type":"room","metadata":null,"frontend":false,"hostname":"h"}"#;
        assert_eq!(read(&records, "p/servers/room/a", room).as_deref(), Some("room/a"));
        for (key, value) in [
            ("p/servers/room", room),
            ("p/servers/room/", room),
            ("p/servers//a", room),
            ("p/servers/room/a/b", room),
            ("p/servers/room/b", room),
            ("p/servers/hall/a", room),
            ("p/servers/room/a", "null"),
            ("p/servers/room/a", "\u{0}\u{1}"),
            ("p/servers/room/a", r#"{"id":"a"}"#),
            ("p/servers/hidden/a", r#"{"id":"a","type":"hidden"}"#),
        ] {
            assert_eq!(read(&records, key, value), None, "{key} {value}");
        }
        let own = r#"{"id":"own","type":"hidden"}"#;
        assert_eq!(read(&records, "p/servers/hidden/own", own).as_deref(), Some("hidden/own"));
    }

    #[test]
    fn a_bad_record_is_told_once_until_it_was_good() {
        let records = Records::new("p/", &[]);
        let told = || records.told.lock().len();
        for _ in 0..3 {
            read(&records, "p/servers/room/a", "{}");
        }
        assert_eq!(told(), 1);
        read(&records, "p/servers/room/a", r#"{"id":"a","type":"room"}"#);
        assert_eq!(told(), 0);
        for i in 0..2 * TOLD {
            read(&records, &format!("p/servers/room/{i}"), "{}");
        }
        assert_eq!(told(), TOLD);
    }

    #[test]
    fn what_cannot_stand_in_a_key_has_none() {
        let records = Records::new("p/", &[]);
        assert_eq!(records.key(&ServerInfo::new("room", "a", false)).as_deref(), Some("p/servers/room/a"));
        for (kind, id) in [("", "a"), ("room", ""), ("ro/om", "a"), ("room", "a/b")] {
            assert_eq!(records.key(&ServerInfo::new(kind, id, false)), None, "{kind} {id}");
        }
    }
}
