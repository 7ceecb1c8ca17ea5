//! The address of a server: `tcp://`, `tls://`, `ws://` or `wss://`.

use std::net::Ipv6Addr;

use crate::error::ConnectError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Host for the resolver: a name or a number. An IPv6 number has no brackets, and keeps its zone (`fe80::1%eth0`).
    host: String,
    port: u16,
    pub(crate) tls: bool,
    /// Path and query of the WebSocket upgrade; `None` where packets travel as plain bytes.
    path: Option<String>,
}

const USER: &str = "it takes no user and no password: log in with a request, or with a query or a path of the server's";
const PORT: &str = "the port must be a number from 1 to 65535";

impl Address {
    /// Reads an address. Schemes have no case (RFC 3986, section 3.1).
    pub(crate) fn parse(address: &str) -> Result<Self, ConnectError> {
        let wrong = |reason| ConnectError::Address { address: shown(address), reason };
        let (scheme, rest) =
            address.split_once("://").ok_or_else(|| wrong("it must start with tcp://, tls://, ws:// or wss://"))?;
        let (tls, websocket, default_port) = match &*scheme.to_ascii_lowercase() {
            "tcp" => (false, false, None),
            "tls" => (true, false, None),
            "ws" => (false, true, Some(80)),
            "wss" => (true, true, Some(443)),
            _ => return Err(wrong("the scheme must be tcp, tls, ws or wss")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong(USER));
        }
        if !websocket && !matches!(path, "" | "/") {
            // A password may hold a slash or a question mark, whatever the rules say.
            return Err(wrong(if path.contains('@') { USER } else { "only ws:// and wss:// have a path" }));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (number, port) = bracketed.split_once(']').ok_or_else(|| wrong("a bracket is not closed"))?;
                (ipv6(number).map_err(wrong)?, port)
            }
            None if authority.matches(':').count() > 1 => {
                return Err(wrong("an IPv6 address stands in brackets, as in tcp://[::1]:3250"));
            }
            None if authority.contains('%') => return Err(wrong("the host is a name or a number, without escapes")),
            None => {
                let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (host.to_owned(), port)
            }
        };
        if host.is_empty() {
            return Err(wrong("it needs a host, as in tcp://127.0.0.1:3250"));
        }
        let port = match (port.strip_prefix(':'), default_port) {
            (Some(digits), _) => number(digits).ok_or_else(|| wrong(if path.contains('@') { USER } else { PORT }))?,
            (None, Some(default)) if port.is_empty() => default,
            (None, _) => return Err(wrong("it needs a port, as in tcp://127.0.0.1:3250")),
        };
        // What stands behind a `#` is not sent.
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host, port, tls, path: websocket.then_some(path) })
    }

    /// Host and port for the resolver.
    pub(crate) fn target(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Host as certificates name it. A zone is a matter of this machine alone (RFC 6874, section 4).
    pub(crate) fn host(&self) -> &str {
        self.host.split('%').next().unwrap_or_default()
    }

    /// URI of the WebSocket upgrade; `None` where packets travel as plain bytes.
    pub(crate) fn websocket(&self) -> Option<String> {
        let path = self.path.as_deref()?;
        let (scheme, default) = if self.tls { ("wss", 443) } else { ("ws", 80) };
        let host = match self.host() {
            ipv6 if ipv6.contains(':') => format!("[{ipv6}]"),
            name => name.to_owned(),
        };
        // As browsers do: the port is left out of `Host` where it is the scheme's.
        let port = if self.port == default { String::new() } else { format!(":{}", self.port) };
        Some(format!("{scheme}://{host}{port}{path}"))
    }
}

/// Reads an IPv6 address with or without a zone. RFC 6874 writes `%25` before a zone; people write `%`.
fn ipv6(text: &str) -> Result<String, &'static str> {
    let (number, zone) = match text.split_once('%') {
        Some((number, zone)) => (number, Some(zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone))),
        None => (text, None),
    };
    let address: Ipv6Addr = number.parse().map_err(|_| "only an IPv6 address stands in brackets")?;
    let Some(zone) = zone else { return Ok(address.to_string()) };
    if !address.is_unicast_link_local() {
        return Err("only link-local addresses (fe80::/10) have a zone: leave out the `%` and what follows it");
    }
    if zone.is_empty() {
        return Err("behind the `%` the name of a network interface is missing");
    }
    Ok(format!("{address}%{zone}"))
}

/// Reads a port. `u16::from_str` would take a sign as well.
fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten().filter(|port| *port > 0)
}

/// An address as it may be shown: without what may be a user, a password or a token in a query.
fn shown(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("..@", rest),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((rest, _)) => format!("{scheme}{user}{rest}?.."),
        None => format!("{scheme}{user}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_schemes() {
        for (text, target, tls, websocket) in [
            ("tcp://127.0.0.1:3250", ("127.0.0.1", 3250), false, None),
            ("TCP://127.0.0.1:3250", ("127.0.0.1", 3250), false, None),
            ("tls://game.example:3251/", ("game.example", 3251), true, None),
            ("Tls://game.example:3251", ("game.example", 3251), true, None),
            ("tcp://[::1]:1", ("::1", 1), false, None),
            ("tcp://[0:0::1]:1", ("::1", 1), false, None),
            ("ws://localhost", ("localhost", 80), false, Some("ws://localhost/")),
            ("WS://localhost:8080", ("localhost", 8080), false, Some("ws://localhost:8080/")),
            ("ws://localhost?token=a:b", ("localhost", 80), false, Some("ws://localhost/?token=a:b")),
            ("ws://localhost/at@sign?a@b#c", ("localhost", 80), false, Some("ws://localhost/at@sign?a@b")),
            ("ws://[::1]/x", ("::1", 80), false, Some("ws://[::1]/x")),
            ("wss://localhost/a:b/c?d", ("localhost", 443), true, Some("wss://localhost/a:b/c?d")),
            ("WSS://localhost:443/", ("localhost", 443), true, Some("wss://localhost/")),
            ("wss://localhost:8443/", ("localhost", 8443), true, Some("wss://localhost:8443/")),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.target(), address.tls), (target, tls), "{text}");
            assert_eq!(address.websocket().as_deref(), websocket, "{text}");
        }
    }

    #[test]
    fn zones_belong_to_link_local_addresses() {
        for (text, host) in [
            ("ws://[fe80::1%eth0]:1/", "fe80::1%eth0"),
            ("ws://[fe80::1%25eth0]:1/", "fe80::1%eth0"),
            ("ws://[fe80::1%25]:1/", "fe80::1%25"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.target(), address.host()), ((host, 1), "fe80::1"), "{text}");
            assert_eq!(address.websocket().as_deref(), Some("ws://[fe80::1]:1/"), "{text}");
        }
        for (text, reason) in [
            ("tcp://[::1%lo]:1", "leave out the `%`"),
            ("tcp://[2001:db8::1%25eth0]:1", "leave out the `%`"),
            ("tcp://[fe80::1%]:1", "interface is missing"),
            ("tcp://127.0.0.1%lo:1", "without escapes"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("127.0.0.1:3250", "must start with"),
            ("http://x:1", "scheme"),
            ("tcp://x", "needs a port"),
            ("tcp://x:", "number"),
            ("tcp://x:0", "number"),
            ("tcp://x:+1", "number"),
            ("tcp://x:65536", "number"),
            ("tcp://::1:3250", "brackets"),
            ("tcp://[localhost]:1", "IPv6"),
            ("tcp://[]:1", "IPv6"),
            ("tcp://:1", "host"),
            ("tcp://x:1/path", "path"),
            ("tcp://[::1", "bracket"),
            ("ws://[::1]x", "needs a port"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_user_is_refused_and_no_secret_is_repeated() {
        for text in [
            "tcp://user@x:1",
            "tcp://user:s3cret@x:1",
            "ws://user:s3cret@[::1]:80/",
            "WSS://user:s3cret@host/path",
            "ws://user:s3/cret@host/path",
            "ws://user:s3?cret@host/path",
            "ws://user:s3@cret@host/path",
            "tls://user:s3/cret@host:1",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(
                error.contains("no user and no password") && !error.contains("must be a number"),
                "{text}: {error}"
            );
            assert!(error.contains("..@"), "{text}: {error}");
            assert!(["s3", "cret", "user@", "user:"].iter().all(|secret| !error.contains(secret)), "{text}: {error}");
        }
        for text in ["user:s3cret@x:1", "ws://x:port/?token=s3cret", "nats://u:s3cret@x:1", "ws://x:y?s3cret"] {
            let error = format!("{:?}", Address::parse(text).unwrap_err());
            assert!(!error.contains("s3cret"), "{text}: {error}");
        }
    }
}
