//! A server, as discovery describes it to others.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The key in [`ServerInfo::metadata`] of servers that keep the order of a session's messages and speak the lane; its
/// value is the lane's version, [`LANE_VERSION`]. Ours: a Go server carries it along and takes no notice.
pub const LANE: &str = "pitaya.lane";
/// The version of the lane that this code speaks.
pub const LANE_VERSION: &str = "1";
/// Metadata key that lists the [extensions](EXTENSIONS) a server understands, separated by commas. Absent from servers
/// that were built before there were extensions. A Go server carries it along and takes no notice.
pub const SPEAKS: &str = "pitaya.speaks";
/// Metadata key of the start of a server, in hex: another one each time it starts. What belongs to its sessions can be told
/// from what belonged to those of the server with the same id before. Ours, as [`LANE`].
pub const EPOCH: &str = "pitaya.epoch";
/// The extension of servers that know which groups their sessions have joined, here and at other servers.
pub const SESSION_GROUPS: &str = "session-groups";
/// Extensions of the protocol between our own servers that this code understands. Each is a field or a remote that a peer
/// may be sent only if its record [lists](ServerInfo::speaks) the name; `docs/lane.md` has the table.
pub const EXTENSIONS: &[&str] = &[KICK_REASON, LOGINS, DEFLATED_BODY, SESSION_GROUPS];
/// Extension: kicks of a session carry a reason.
pub const KICK_REASON: &str = "kick-reason";
/// Extension: logins of other frontends are acknowledged, and told again with `sys.logins`.
pub const LOGINS: &str = "logins";
/// Extension: a body may travel as the client compressed it, marked by field 1007 of its `Request`.
pub const DEFLATED_BODY: &str = "deflated-body";

/// Extension of servers that sign all they send, as [`seal`](super::seal) has it. A transport that does announces it.
pub const SIGNED: &str = "signed";

/// Metadata key that lists routes whose answers may take another time than usual: `service.method=milliseconds`, separated by
/// commas. Frontends of ours that forward such a route wait so long. A Go server carries it along and takes no notice.
pub const TIMEOUTS: &str = "pitaya.timeouts";
/// Upper bound of the value of [`TIMEOUTS`], in bytes: every server keeps the records of all others.
pub const TIMEOUTS_LIMIT: usize = 4096;

/// One server of a cluster: Go's record (`pkg/cluster/server.go`), and what it is in etcd, byte for byte.
///
/// ```
/// use pitaya_core::cluster::ServerInfo;
///
/// let info = ServerInfo::parse(br#"{"id":"a1","type":"room","metadata":null,"frontend":false,"hostname":"h"}"#)?;
/// assert_eq!((&*info.kind, info.frontend), ("room", false));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its name among all servers.
    pub id: Arc<str>,
    /// Its type: the first part of its routes.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// What it says of itself, for routers; a Go server refuses the record when a value is no string.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
    /// Whether clients connect to it.
    #[serde(default)]
    pub frontend: bool,
    /// The machine it runs on.
    #[serde(default)]
    pub hostname: String,
}

impl ServerInfo {
    /// A server of this type and id.
    pub fn new(kind: impl Into<Arc<str>>, id: impl Into<Arc<str>>, frontend: bool) -> Self {
        let (kind, id) = (kind.into(), id.into());
        Self { id, kind, metadata: BTreeMap::new(), frontend, hostname: String::new() }
    }

    /// Reads a record. Metadata may be missing, `null`, or the `""` that libpitaya-cluster writes; values in it that are
    /// no strings are left out.
    ///
    /// # Errors
    /// When it is no JSON object with a type and an id.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        crate::json::read(json)
    }

    /// The record that others read.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and a bool: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it keeps the order of a session's messages, and speaks the lane.
    #[must_use]
    pub fn keeps_order(&self) -> bool {
        self.metadata.get(LANE).is_some_and(|version| version == LANE_VERSION)
    }

    /// Whether its record lists this extension of the protocol.
    #[must_use]
    pub fn speaks(&self, extension: &str) -> bool {
        self.metadata.get(SPEAKS).is_some_and(|list| list.split(',').any(|name| name == extension))
    }

    /// How long its record says that the answer to this route, `type.service.method`, may take.
    #[must_use]
    pub fn route_timeout(&self, route: &str) -> Option<Duration> {
        let list = self.metadata.get(TIMEOUTS)?;
        let (_, route) = route.split_once('.')?;
        let millis = list.split(',').find_map(|entry| entry.strip_prefix(route)?.strip_prefix('=')?.parse().ok())?;
        Some(Duration::from_millis(millis))
    }

    /// Writes into the metadata how long answers to these routes, `service.method`, may take. Returns those for which there
    /// was no room within [`TIMEOUTS_LIMIT`].
    pub fn announce_timeouts<'a>(&mut self, routes: impl IntoIterator<Item = (&'a str, Duration)>) -> Vec<&'a str> {
        let (mut list, mut left_out) = (String::new(), Vec::new());
        for (route, timeout) in routes {
            let separator = if list.is_empty() { "" } else { "," };
            let entry = format!("{separator}{route}={}", timeout.as_millis());
            if list.len() + entry.len() <= TIMEOUTS_LIMIT {
                list.push_str(&entry);
            } else {
                left_out.push(route);
            }
        }
        if !list.is_empty() {
            self.metadata.insert(TIMEOUTS.to_owned(), list);
        }
        left_out
    }

    /// Writes into the metadata what this code speaks: the lane, its extensions, and those of the transport
    /// ([`Transport::extensions`](super::Transport::extensions)).
    pub fn announce(&mut self, transport: &[&str]) {
        self.metadata.insert(LANE.to_owned(), LANE_VERSION.to_owned());
        self.metadata.insert(SPEAKS.to_owned(), [EXTENSIONS, transport].concat().join(","));
    }
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let pairs = value.as_object().into_iter().flatten();
    Ok(pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_every_kind_is_read() {
        for metadata in ["null", "\"\"", "{}", r#"{"a":1}"#] {
            let json = format!(r#"{{"id":"x","type":"room","metadata":{metadata},"frontend":true,"more":1}}"#);
            let info = ServerInfo::parse(json.as_bytes()).expect(metadata);
            assert_eq!((info.metadata.len(), info.frontend, &*info.hostname), (0, true, ""), "{metadata}");
        }
        assert!(ServerInfo::parse(b"null").is_err());
        assert!(ServerInfo::parse(br#"{"id":"x"}"#).is_err());
    }

    #[test]
    fn broken_texts_are_read_as_in_go() {
        let json =
            b"{\"id\":\"a\",\"id\":\"x\",\"type\":\"room\",\"hostname\":\"caf\xe9\",\"metadata\":{\"k\":\"\\ud83d\"}}";
        let info = ServerInfo::parse(json).expect("a record");
        assert_eq!((&*info.id, &*info.hostname, &*info.metadata["k"]), ("x", "caf\u{fffd}", "\u{fffd}"));
    }

    #[test]
    fn extensions_are_whole_names() {
        let mut info = ServerInfo::new("room", "r1", false);
        assert!(!info.speaks("kick-reason"), "a record without the key");
        info.metadata.insert(SPEAKS.to_owned(), "bind-order,kick-reason".to_owned());
        assert!(info.speaks("kick-reason") && info.speaks("bind-order"));
        assert!(!info.speaks("kick") && !info.speaks("") && !info.speaks("bind-order,kick-reason"));
    }

    #[test]
    fn time_outs_of_routes_are_listed_as_far_as_there_is_room() {
        let mut info = ServerInfo::new("room", "r1", false);
        assert_eq!(info.route_timeout("room.match.find"), None);
        let (short, long) = (Duration::from_millis(300), Duration::from_secs(60));
        assert!(info.announce_timeouts([("match.find", long), ("match.findall", short)]).is_empty());
        assert_eq!(info.route_timeout("room.match.find"), Some(long));
        assert_eq!(info.route_timeout("room.match.findall"), Some(short));
        assert_eq!((info.route_timeout("room.match.fin"), info.route_timeout("match")), (None, None));
        let names: Vec<_> = (0..500).map(|n| format!("service.method{n:03}")).collect();
        let left_out = info.announce_timeouts(names.iter().map(|name| (&**name, long)));
        let list = &info.metadata[TIMEOUTS];
        assert!(list.len() <= TIMEOUTS_LIMIT && list.split(',').count() + left_out.len() == 500);
        for list in
            ["", "=", "match.find", "match.find=", "match.find=x", "match.find=-1", ",,match.find=99999999999999999999"]
        {
            info.metadata.insert(TIMEOUTS.to_owned(), list.to_owned());
            assert_eq!(info.route_timeout("room.match.find"), None, "{list}");
        }
    }

    /// Recorded from a Go server.
    #[test]
    fn the_record_has_gos_order_of_fields() {
        let json = r#"{"id":"2790a87c","type":"connector","metadata":{"k":"v"},"frontend":true,"hostname":"vm"}"#;
        assert_eq!(ServerInfo::parse(json.as_bytes()).expect("a record").to_json(), json);
    }
}
