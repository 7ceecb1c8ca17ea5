//! Who is behind the proxies of a WebSocket, by what they wrote into a header of the upgrade.
//!
//! Each proxy appends the address that it saw. What a client wrote itself stands to the left of that, so the list is read
//! from the right, and only as far as trusted proxies vouch for it.

use crate::config::Network;
use std::net::{IpAddr, SocketAddr};

/// So many proxies in a row are believed.
const HOPS: usize = 16;

/// The header that tells of clients.
#[derive(Debug, Clone)]
pub(super) struct ClientHeader {
    name: String,
    /// The form of RFC 7239, in place of a list of addresses.
    rfc: bool,
    trusted: Vec<Network>,
}

impl ClientHeader {
    /// `None` when nobody is trusted, or no header has the address.
    pub(super) fn new(name: &str, trusted: &[Network]) -> Result<Option<Self>, String> {
        let name = name.trim();
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(format!("pitaya.acceptor.clientheader: `{}` is no name of a header", name.escape_debug()));
        }
        if name.is_empty() || trusted.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { name: name.to_owned(), rfc: name.eq_ignore_ascii_case("forwarded"), trusted: trusted.into() }))
    }

    /// The rightmost address that is not a trusted proxy's. `lines` are all headers of the request; what cannot be read, a
    /// hidden name or nonsense, ends the way back, and the last proxy before it stands for the client.
    pub(super) fn client<'a>(
        &self,
        headers: impl DoubleEndedIterator<Item = (&'a str, &'a [u8])>,
        peer: SocketAddr,
    ) -> SocketAddr {
        let mut client = peer;
        let lines = headers.filter(|(name, _)| name.eq_ignore_ascii_case(&self.name)).rev();
        let entries = lines.flat_map(|(_, line)| line.rsplit(|byte| *byte == b','));
        for entry in entries.take(HOPS) {
            if !self.trusts(client.ip()) {
                break;
            }
            let Some(before) = std::str::from_utf8(entry).ok().and_then(|entry| self.address(entry.trim())) else {
                break;
            };
            client = before;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    fn address(&self, entry: &str) -> Option<SocketAddr> {
        if !self.rfc {
            return node(entry);
        }
        let mut pairs = entry.split(';').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        let value = value.trim();
        node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    }
}

/// Reads an address with or without a port, IPv6 with or without brackets and a zone. A port that is no number is one that
/// a proxy hides (`_obfuscated`, RFC 7239, section 6.2); the zone means something on the proxy alone.
fn node(text: &str) -> Option<SocketAddr> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None if text.matches(':').count() == 1 => text.split_at(text.find(':')?),
        None => (text, ""),
    };
    let address = match host.split_once('%') {
        Some((number, _zone)) => IpAddr::V6(number.parse().ok()?),
        None => host.parse().ok()?,
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 0,
        Some(hidden) if hidden.starts_with('_') => 0,
        Some(digits) => digits.parse().ok()?,
        None => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(name: &str) -> ClientHeader {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        ClientHeader::new(name, &trusted).unwrap().unwrap()
    }

    fn client(name: &str, peer: &str, lines: &[(&str, &str)]) -> String {
        let lines = lines.iter().map(|(name, value)| (*name, value.as_bytes()));
        header(name).client(lines, SocketAddr::new(peer.parse().unwrap(), 9)).ip().to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxys() {
        for (value, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:1234", "192.0.2.7"),
            ("[2001:db8::7]:1234", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("fe80::7%eth0", "fe80::7"),
            ("[fe80::7%eth0]:1234", "fe80::7"),
            // Written by the client, which sits at 192.0.2.7.
            ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
            ("10.9.9.9, 192.0.2.7", "192.0.2.7"),
            ("1.1.1.1, 192.0.2.7, 10.2.2.2,10.3.3.3", "192.0.2.7"),
            ("192.0.2.7,fd00::1, ::ffff:10.3.3.3", "192.0.2.7"),
            // All of them are proxies: the farthest one.
            ("10.2.2.2, 10.3.3.3", "10.2.2.2"),
            // What cannot be read ends the way.
            ("192.0.2.7, unknown", "10.1.1.1"),
            ("192.0.2.7, , 10.3.3.3", "10.3.3.3"),
            ("192.0.2.7%lo", "10.1.1.1"),
            ("[192.0.2.7", "10.1.1.1"),
            ("[2001:db8::7]x", "10.1.1.1"),
            ("192.0.2.7:port", "10.1.1.1"),
            ("", "10.1.1.1"),
        ] {
            assert_eq!(client("X-Forwarded-For", "10.1.1.1", &[("x-forwarded-for", value)]), expected, "{value}");
        }
    }

    #[test]
    fn lines_are_one_list_and_other_headers_are_nothing() {
        let lines = [("X-Forwarded-For", "1.1.1.1"), ("forwarded", "for=2.2.2.2"), ("x-forwarded-for", "10.3.3.3")];
        assert_eq!(client("x-forwarded-for", "10.1.1.1", &lines), "1.1.1.1");
        assert_eq!(client("forwarded", "10.1.1.1", &lines), "2.2.2.2");
        assert_eq!(client("x-real-ip", "10.1.1.1", &lines), "10.1.1.1");
        assert_eq!(client("x-forwarded-for", "192.0.2.9", &lines), "192.0.2.9", "nobody vouches for it");
        let far = vec!["10.5.5.5"; 100].join(",");
        assert_eq!(
            client("x-forwarded-for", "10.1.1.1", &[("x-forwarded-for", &format!("1.1.1.1,{far}"))]),
            "10.5.5.5"
        );
    }

    #[test]
    fn the_form_of_the_rfc() {
        for (value, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com", "198.51.100.17"),
            ("proto=https ; FOR = \"192.0.2.7:80\"", "192.0.2.7"),
            ("for=\"192.0.2.7:_hidden\"", "192.0.2.7"),
            ("for=\"[2001:db8::7]:_hidden\"", "2001:db8::7"),
            // A client cannot open a quotation that swallows what its proxy appends.
            ("for=\"1.1.1.1, for=192.0.2.7", "192.0.2.7"),
            ("for=_hidden", "10.1.1.1"),
            ("by=192.0.2.7", "10.1.1.1"),
        ] {
            assert_eq!(client("Forwarded", "10.1.1.1", &[("Forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_name_that_is_none() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert!(ClientHeader::new("a b", &trusted).is_err());
        assert!(ClientHeader::new("", &trusted).unwrap().is_none());
        assert!(ClientHeader::new("x-real-ip", &[]).unwrap().is_none());
    }

    proptest! {
        /// Whatever a client writes to the left of what its proxy appends, it keeps its address.
        #[test]
        fn nothing_to_the_left_counts(text in "[^\r\n]{0,60}") {
            for (name, end) in [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7")] {
                let value = format!("{text},{end}");
                prop_assert_eq!(client(name, "10.1.1.1", &[(name, &value)]), "192.0.2.7");
            }
        }
    }
}
