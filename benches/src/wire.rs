//! The few bytes of Pitaya's client protocol that a benchmark needs: packets (`pkg/conn/packet` in Go Pitaya), requests
//! and answers (`pkg/conn/message`).

/// Length of a packet's header: one byte of kind, three of length (big endian).
pub const HEADER: usize = 4;
/// The kind of the packet that opens a connection, and of its answer.
pub const HANDSHAKE: u8 = 1;
/// The client's confirmation of the handshake.
pub const ACK: u8 = 2;
/// A sign of life; its body is empty.
pub const HEARTBEAT: u8 = 3;
/// A packet that carries a message.
pub const DATA: u8 = 4;
/// The server ends the connection.
pub const KICK: u8 = 5;

/// Flag byte of a notify with its route in full: type 1 in bits 1 to 3.
pub const NOTIFY: u8 = 1 << 1;
/// Flag byte of a push with its route in full: type 3 in bits 1 to 3.
pub const PUSH: u8 = 3 << 1;
/// Where the example pushes what is told to a group.
pub const PUSH_ROUTE: &[u8] = b"route.test";
/// Flag byte of a plain response: type 2 in bits 1 to 3.
pub const RESPONSE: u8 = 2 << 1;
/// Flag bit: the answer is an error.
pub const ERROR: u8 = 0x20;
/// Flag bit: the body is deflated.
pub const COMPRESSED: u8 = 0x10;

/// A heartbeat packet.
pub const HEARTBEAT_PACKET: [u8; HEADER] = [HEARTBEAT, 0, 0, 0];

/// What the generator says of itself.
pub const CLIENT_HANDSHAKE: &[u8] =
    br#"{"sys":{"platform":"bench","libVersion":"0.1.0","clientBuildNumber":"1","clientVersion":"0.1.0"},"user":{}}"#;

/// What a bare server answers to any handshake.
pub const SERVER_HANDSHAKE: &[u8] = br#"{"code":200,"sys":{"dict":{},"heartbeat":30,"serializer":"json"}}"#;

/// The first packet of `bytes`: its kind and its whole length, once it is complete.
#[inline]
#[must_use]
pub fn packet(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[kind, a, b, c, ..] = bytes else { return None };
    let total = HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
    (bytes.len() >= total).then_some((kind, total))
}

/// Appends a packet. `body` is shorter than 16 MiB.
pub fn put_packet(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    put_header(out, kind, body.len());
    out.extend_from_slice(body);
}

/// Appends the header of a packet whose body has `len` bytes.
#[inline]
pub fn put_header(out: &mut Vec<u8>, kind: u8, len: usize) {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    out.extend_from_slice(&[kind, a, b, c]);
}

/// A request message: the bytes of its id as they stand (7 bits each) and where its body begins. `None`: not a request
/// with a route in full.
#[inline]
#[must_use]
pub fn request(message: &[u8]) -> Option<(&[u8], usize)> {
    if *message.first()? & 0x0f != 0 {
        return None;
    }
    let (id, after) = varint(message, 1)?;
    let route = usize::from(*message.get(after)?);
    let body = after + 1 + route;
    (body <= message.len()).then_some((id, body))
}

/// A response message: its flags, the bytes of its id and its body. `None`: not a response.
#[must_use]
pub fn response(message: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let flags = *message.first()?;
    if flags & 0x0e != RESPONSE {
        return None;
    }
    let (id, after) = varint(message, 1)?;
    Some((flags, id, &message[after..]))
}

/// The body of a notify with its route in full. `None`: not one.
#[must_use]
pub fn notify(message: &[u8]) -> Option<&[u8]> {
    after_route(message, NOTIFY).map(|(_, body)| body)
}

/// Route and body of a push with its route in full. `None`: not one.
#[must_use]
pub fn push(message: &[u8]) -> Option<(&[u8], &[u8])> {
    after_route(message, PUSH)
}

fn after_route(message: &[u8], flags: u8) -> Option<(&[u8], &[u8])> {
    let (kind, rest) = message.split_first()?;
    let (len, rest) = rest.split_first()?;
    (*kind == flags).then_some(())?;
    rest.split_at_checked(usize::from(*len))
}

/// The bytes of a varint at `from` and where it ends.
#[inline]
fn varint(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let len = 1 + bytes.get(from..)?.iter().take(9).position(|byte| *byte < 128)?;
    Some((&bytes[from..from + len], from + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_seen_when_its_last_byte_is_there() {
        let mut bytes = Vec::new();
        put_packet(&mut bytes, DATA, b"abc");
        bytes.push(9);
        for cut in 0..7 {
            assert_eq!(packet(&bytes[..cut]), None);
        }
        assert_eq!(packet(&bytes), Some((DATA, 7)));
        assert_eq!(packet(&HEARTBEAT_PACKET), Some((HEARTBEAT, 4)));
    }

    #[test]
    fn a_request_is_its_id_and_its_body() {
        assert_eq!(request(b"\x00\x90\x4e\x03a.bxyz"), Some((&b"\x90\x4e"[..], 7)));
        assert_eq!(request(b"\x00\x01\x01a"), Some((&b"\x01"[..], 4)));
        for bad in [&b""[..], b"\x00", b"\x00\x80", b"\x00\x01", b"\x00\x01\x02a", b"\x02\x01\x01a", b"\x01\x01\0\x01"]
        {
            assert_eq!(request(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_response_keeps_its_flags() {
        assert_eq!(response(b"\x04\x90\x4exyz"), Some((4, &b"\x90\x4e"[..], &b"xyz"[..])));
        assert_eq!(response(b"\x24\x01{}"), Some((0x24, &b"\x01"[..], &b"{}"[..])));
        assert_eq!(response(b"\x06\x01a"), None);
        assert_eq!(response(b"\x04\xff"), None);
    }
}
