//! The records of servers in etcd: `<prefix>servers/<type>/<id>`, Go's JSON.

use super::messages::KeyValue;
use pitaya_core::cluster::ServerInfo;
use std::collections::BTreeSet;

/// Where records are, and which of them are looked at.
pub(super) struct Records {
    /// The prefix of all keys, and `servers/`.
    pub(super) prefix: String,
    /// Types that are passed over, but for the own server's.
    hidden: BTreeSet<String>,
}

impl Records {
    pub(super) fn new(prefix: &str, hidden: &[String]) -> Self {
        Self { prefix: format!("{prefix}servers/"), hidden: hidden.iter().cloned().collect() }
    }

    pub(super) fn key(&self, info: &ServerInfo) -> String {
        format!("{}{}/{}", self.prefix, info.kind, info.id)
    }

    /// The type and the id that a key names, if it is one of a server that is looked at.
    pub(super) fn name<'a>(&self, key: &'a [u8], own: Option<&str>) -> Option<(&'a str, &'a str)> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let (kind, id) = key.split_once('/')?;
        let one = !kind.is_empty() && !id.is_empty() && !id.contains('/');
        (one && (own == Some(id) || !self.hidden.contains(kind))).then_some((kind, id))
    }

    /// The record under a key. One that cannot be read, or is another's than its key says, is nobody's.
    pub(super) fn read(&self, kv: &KeyValue, own: Option<&str>) -> Option<ServerInfo> {
        let (kind, id) = self.name(&kv.key, own)?;
        match ServerInfo::parse(&kv.value) {
            Ok(info) if *info.id == *id && *info.kind == *kind => Some(info),
            Ok(info) => {
                tracing::warn!(
                    key = id,
                    "a server's record says that it is {} of type {}: passed over",
                    info.id,
                    info.kind
                );
                None
            }
            Err(error) => {
                tracing::warn!(key = id, "a server's record cannot be read: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, value: &str) -> KeyValue {
        KeyValue { key: key.to_owned().into(), value: value.to_owned().into(), ..KeyValue::default() }
    }

    #[test]
    fn only_whole_records_are_read() {
        let records = Records::new("p/", &["bots".to_owned()]);
        let json =
            |kind: &str, id: &str| format!(r#"{{"id":"{id}","type":"{kind}","metadata":null,"frontend":false}}"#);
        let read = |key: &str, json: &str| records.read(&kv(key, json), Some("own")).map(|info| info.id.to_string());
        assert_eq!(read("p/servers/room/a", &json("room", "a")).as_deref(), Some("a"));
        assert_eq!(read("p/servers/bots/own", &json("bots", "own")).as_deref(), Some("own"));
        for (key, value) in [
            ("p/servers/bots/b", json("bots", "b")),
            ("p/servers/room/a/x", json("room", "a/x")),
            ("p/servers/room/", json("room", "")),
            ("p/servers/room/a", json("room", "b")),
            ("p/servers/room/a", json("hall", "a")),
            ("p/servers/room/a", "null".to_owned()),
            ("p/servers/room/a", String::new()),
            ("q/servers/room/a", json("room", "a")),
        ] {
            assert_eq!(read(key, &value), None, "{key} {value}");
        }
    }
}
