//! The PROXY protocol: what a load balancer writes before a client's first byte, so that the client keeps its address.
//!
//! Version 1 is a line, version 2 is binary (haproxy's `proxy-protocol.txt`). The parser is a total function of the bytes;
//! [`source`] reads them from a socket, no byte further than the header goes.

use crate::config::Network;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest line of version 1, its end included: section 2.1 of the specification.
const LINE: usize = 107;
const GREETING: &[u8] = b"PROXY ";
/// The first bytes of version 2: section 2.2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2, before the addresses.
const HEAD: usize = 16;
/// The longest header of version 2. Addresses need 36 bytes; the rest is for what proxies say besides, which is skipped.
const LONGEST: usize = 536;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// The client. None when the proxy speaks for itself (`LOCAL`, a health check) or does not know (`UNKNOWN`): then the
    /// socket's address is as good as any.
    source: Option<SocketAddr>,
    length: usize,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum HeaderError {
    #[error("it does not begin with a PROXY header; is the proxy told to send one (`send-proxy-v2`)?")]
    Missing,
    #[error("the PROXY header is longer than {0} bytes")]
    TooLong(usize),
    #[error("the PROXY header has a wrong {0}")]
    Wrong(&'static str),
    #[error(
        "a PROXY header from a peer that is not in pitaya.acceptor.trustedproxies; if it is your proxy, add its network"
    )]
    Untrusted,
}

impl From<HeaderError> for io::Error {
    fn from(error: HeaderError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// The header at the start of these bytes; `None` when all of them belong to one and more must come. What cannot become a
/// header is refused at its first wrong byte.
fn parse(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(GREETING) {
        line(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

fn line(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let within = &bytes[..bytes.len().min(LINE)];
    let Some(end) = within.iter().position(|byte| !(b' '..=b'~').contains(byte)) else {
        return if within.len() == LINE { Err(HeaderError::TooLong(LINE)) } else { Ok(None) };
    };
    match within[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if within.len() < LINE => return Ok(None),
        [b'\r'] => return Err(HeaderError::TooLong(LINE)),
        _ => return Err(HeaderError::Wrong("line end")),
    }
    let text = std::str::from_utf8(&within[GREETING.len().min(end)..end]).map_err(|_| HeaderError::Wrong("line"))?;
    let mut parts = text.split(' ');
    let v4 = match parts.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => return Ok(Some(Header { source: None, length: end + 2 })),
        Some("TCP4") => true,
        Some("TCP6") => false,
        _ => return Err(HeaderError::Wrong("protocol")),
    };
    let [Some(source), Some(target), Some(port), Some(target_port), None] = std::array::from_fn(|_| parts.next())
    else {
        return Err(HeaderError::Wrong("number of parts"));
    };
    let address = |text: &str| text.parse().ok().filter(|address: &IpAddr| address.is_ipv4() == v4);
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let source = address(source).zip(number(port)).map(SocketAddr::from).ok_or(HeaderError::Wrong("source"))?;
    address(target).zip(number(target_port)).ok_or(HeaderError::Wrong("destination"))?;
    Ok(Some(Header { source: Some(source), length: end + 2 }))
}

fn binary(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let local = match bytes.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(HeaderError::Wrong("version or command")),
    };
    let Some(&[.., family, high, low]) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let length = HEAD + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(HeaderError::TooLong(LONGEST));
    }
    let Some(body) = bytes.get(HEAD..length) else { return Ok(None) };
    let source = match family {
        _ if local => None,
        // Over TCP, of IPv4 and of IPv6: source, destination, their ports.
        0x11 => {
            let &[a, b, c, d, _, _, _, _, high, low, _, _] = body.first_chunk().ok_or(HeaderError::Wrong("length"))?;
            Some((Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
        }
        0x21 => {
            let (&address, rest) = body.split_first_chunk::<16>().ok_or(HeaderError::Wrong("length"))?;
            let ports = rest.get(16..20).ok_or(HeaderError::Wrong("length"))?;
            Some((Ipv6Addr::from(address).into(), u16::from_be_bytes([ports[0], ports[1]])))
        }
        // Unspecified, UDP, Unix sockets: no address that a session could have.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => None,
        _ => return Err(HeaderError::Wrong("address family")),
    };
    Ok(Some(Header { source: source.map(|pair: (IpAddr, u16)| pair.into()), length }))
}

/// Who connected: what a trusted peer says in its header, or the peer itself. Only those in `trusted` are listened to. For
/// all others it is an error to begin with one, so that a proxy which somebody forgot to trust is noticed.
///
/// # Errors
/// When a trusted peer sends no header or a wrong one, when another sends one, and when the connection ends.
pub(super) async fn source(stream: &mut TcpStream, peer: SocketAddr, trusted: &[Network]) -> io::Result<SocketAddr> {
    if !trusted.iter().any(|network| network.contains(peer.ip())) {
        let mut first = [0; SIGNATURE.len()];
        let seen = stream.peek(&mut first).await?;
        let spoofed = seen >= GREETING.len() && matches!(parse(&first[..seen]), Ok(None));
        return if spoofed { Err(HeaderError::Untrusted.into()) } else { Ok(peer) };
    }
    let (mut bytes, mut used) = ([0; LONGEST], 0);
    loop {
        // What is behind the header belongs to the client: it is looked at here and read later.
        let seen = used + stream.peek(&mut bytes[used..]).await?;
        if seen == used {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = parse(&bytes[..seen])?;
        let end = header.map_or(seen, |header| header.length);
        stream.read_exact(&mut bytes[used..end]).await?;
        used = end;
        if let Some(header) = header {
            return Ok(header.source.unwrap_or(peer));
        }
    }
}

#[cfg(test)]
mod tests;
