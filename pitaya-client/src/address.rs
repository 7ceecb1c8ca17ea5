//! The address of a server: `tcp://`, `tls://`, `ws://` or `wss://`.

use crate::error::ConnectError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// Name or number, an IPv6 number without its brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// Whether packets travel in WebSocket messages.
    pub(crate) websocket: bool,
}

impl<'a> Address<'a> {
    pub(crate) fn parse(address: &'a str) -> Result<Self, ConnectError> {
        let wrong = |reason| ConnectError::Address { address: address.to_owned(), reason };
        let (scheme, rest) =
            address.split_once("://").ok_or_else(|| wrong("it must start with tcp://, tls://, ws:// or wss://"))?;
        let (tls, websocket, default_port) = match scheme {
            "tcp" => (false, false, None),
            "tls" => (true, false, None),
            "ws" => (false, true, Some(80)),
            "wss" => (true, true, Some(443)),
            _ => return Err(wrong("the scheme must be tcp, tls, ws or wss")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !websocket && !matches!(path, "" | "/") {
            return Err(wrong("only ws:// and wss:// have a path"));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(ipv6) => ipv6.split_once(']').ok_or_else(|| wrong("a bracket is not closed"))?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        if host.is_empty() || host.contains('@') {
            return Err(wrong("it needs a host and takes no user"));
        }
        let port = match (port.strip_prefix(':'), default_port) {
            (Some(port), _) => port.parse().map_err(|_| wrong("the port must be a number from 0 to 65535"))?,
            (None, Some(port)) if port_is_absent(authority, host) => port,
            (None, _) => return Err(wrong("it needs a port, as in tcp://127.0.0.1:3250")),
        };
        Ok(Self { host, port, tls, websocket })
    }
}

/// Whether nothing stands behind the host: `[::1]x` is no host with its default port.
fn port_is_absent(authority: &str, host: &str) -> bool {
    authority == host || authority.len() == host.len() + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_schemes() {
        let address = |host, port, tls, websocket| Address { host, port, tls, websocket };
        for (text, wanted) in [
            ("tcp://127.0.0.1:3250", address("127.0.0.1", 3250, false, false)),
            ("tls://game.example:3251/", address("game.example", 3251, true, false)),
            ("tcp://[::1]:1", address("::1", 1, false, false)),
            ("ws://localhost", address("localhost", 80, false, true)),
            ("ws://localhost?token=a:b", address("localhost", 80, false, true)),
            ("ws://[::1]/x", address("::1", 80, false, true)),
            ("wss://localhost/a:b/c?d", address("localhost", 443, true, true)),
            ("wss://localhost:8443/", address("localhost", 8443, true, true)),
        ] {
            assert_eq!(Address::parse(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("127.0.0.1:3250", "must start with"),
            ("http://x:1", "scheme"),
            ("tcp://x", "needs a port"),
            ("tcp://x:", "number"),
            ("tcp://x:65536", "number"),
            ("tcp://::1:3250", "host"),
            ("tcp://:1", "host"),
            ("tcp://u@x:1", "user"),
            ("tcp://x:1/path", "path"),
            ("tcp://[::1", "bracket"),
            ("ws://[::1]x", "needs a port"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
