//! The packet: the frame every byte between a client and a frontend travels in.
//!
//! ```text
//! byte 0     kind, 1 to 5
//! bytes 1-3  length of the body, unsigned, big endian, header not included
//! bytes 4..  body
//! ```
//!
//! A writer that knows its body hands it to [`encode`]; one that produces the body in place brackets it with [`open`]
//! and [`seal`].

/// Bytes of a packet before its body.
pub const HEADER: usize = 4;

/// The longest body the 24 bit length can announce, in bytes.
///
/// Go's encoder lets one byte more through, whose header then says 0 and breaks the stream; [`encode`] and [`seal`]
/// refuse it.
pub const MAX_BODY: usize = 0xFF_FFFF;

/// A whole heartbeat packet.
pub const HEARTBEAT: [u8; HEADER] = [PacketKind::Heartbeat as u8, 0, 0, 0];

/// A whole kick packet without a reason, as Go sends it. For one with a reason see [`kick`](super::kick).
pub const KICK: [u8; HEADER] = [PacketKind::Kick as u8, 0, 0, 0];

/// A whole handshake acknowledgement: a client's last word before its first message.
pub const ACK: [u8; HEADER] = [PacketKind::HandshakeAck as u8, 0, 0, 0];

/// What a packet is for: its first byte on the wire (`pkg/conn/packet` of Go's Pitaya).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketKind {
    /// JSON, both ways: the client introduces itself, the server states its terms.
    Handshake = 1,
    /// From the client, empty: it took the terms, messages may flow.
    HandshakeAck = 2,
    /// Both ways, empty: still here.
    Heartbeat = 3,
    /// Both ways: one [`Message`](super::Message).
    Data = 4,
    /// From the server: the connection ends now and shall not be retried. Empty, or JSON with a reason.
    Kick = 5,
}

impl TryFrom<u8> for PacketKind {
    type Error = PacketError;

    #[inline]
    fn try_from(byte: u8) -> Result<Self, PacketError> {
        Ok(match byte {
            1 => Self::Handshake,
            2 => Self::HandshakeAck,
            3 => Self::Heartbeat,
            4 => Self::Data,
            5 => Self::Kick,
            other => return Err(PacketError::Kind(other)),
        })
    }
}

/// Why bytes are no packet, or a body fits in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The first byte names no kind. Typical are 0x16 (a TLS hello) and `G` (an HTTP request) on a plain TCP port.
    #[error("{0:#04x} is no packet kind (1 to 5): does the client speak TLS, HTTP or WebSocket to a plain TCP port?")]
    Kind(u8),
    /// The body is longer than allowed.
    #[error("a packet body of {length} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Bytes announced, or about to be sent.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// One packet, borrowed from the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is for.
    pub kind: PacketKind,
    /// What it carries, possibly nothing.
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the packet at the start of `bytes` and says how many bytes it took; `None` asks for more bytes.
    ///
    /// `limit` bounds the body, in bytes. Nothing is allocated and nothing is waited for in vain: a wrong kind is told
    /// at the first byte (clients that try one transport after another rely on being dropped at once), a body beyond
    /// the limit as soon as the header is there.
    ///
    /// # Errors
    /// [`PacketError::Kind`] and [`PacketError::TooLong`]. The stream cannot be read any further.
    ///
    /// ```
    /// use pitaya_core::wire::{Packet, PacketKind};
    ///
    /// let stream = [4, 0, 0, 2, 0xaa, 0xbb, 3, 0];
    /// let (packet, used) = Packet::decode(&stream, 1024)?.expect("six bytes make one packet");
    /// assert_eq!((packet.kind, packet.body, used), (PacketKind::Data, &[0xaa, 0xbb][..], 6));
    /// assert_eq!(Packet::decode(&stream[used..], 1024)?, None, "half a header");
    /// # Ok::<(), pitaya_core::wire::PacketError>(())
    /// ```
    #[inline]
    pub fn decode(bytes: &'a [u8], limit: usize) -> Result<Option<(Self, usize)>, PacketError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let kind = PacketKind::try_from(first)?;
        let Some(&[_, high, middle, low]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > limit {
            return Err(PacketError::TooLong { length, limit });
        }
        let end = HEADER + length;
        Ok(bytes.get(HEADER..end).map(|body| (Self { kind, body }, end)))
    }
}

/// Appends a whole packet to `out`.
///
/// # Errors
/// [`PacketError::TooLong`] for a body beyond [`MAX_BODY`]; `out` is then as it was.
#[inline]
pub fn encode(kind: PacketKind, body: &[u8], out: &mut Vec<u8>) -> Result<(), PacketError> {
    let [_, high, middle, low] = length(body.len())?;
    out.reserve(HEADER + body.len());
    out.extend_from_slice(&[kind as u8, high, middle, low]);
    out.extend_from_slice(body);
    Ok(())
}

/// Appends the header of a packet whose body is yet to be written, and returns where the packet starts: what [`seal`]
/// wants to know once the body is there.
///
/// ```
/// use pitaya_core::wire::{PacketKind, message, packet};
///
/// let mut out = Vec::new();
/// let at = packet::open(&mut out, PacketKind::Data);
/// message::response_head(&mut out, 300, false);
/// out.extend_from_slice(b"{}");
/// packet::seal(&mut out, at)?;
/// assert_eq!(out, [4, 0, 0, 5, 0x04, 0xac, 0x02, b'{', b'}']);
/// # Ok::<(), pitaya_core::wire::PacketError>(())
/// ```
#[inline(always)]
pub fn open(out: &mut Vec<u8>, kind: PacketKind) -> usize {
    let at = out.len();
    out.extend_from_slice(&[kind as u8, 0, 0, 0]);
    at
}

/// Writes the length of the packet that [`open`] began at `at` and that reaches to the end of `out`.
///
/// # Errors
/// [`PacketError::TooLong`] for a body beyond [`MAX_BODY`]; the packet is then cut off, `out` ends at `at`.
///
/// # Panics
/// If no packet was opened at `at`.
#[inline]
pub fn seal(out: &mut Vec<u8>, at: usize) -> Result<(), PacketError> {
    match length(out.len() - at - HEADER) {
        Ok([_, bytes @ ..]) => {
            out[at + 1..at + HEADER].copy_from_slice(&bytes);
            Ok(())
        }
        Err(error) => {
            out.truncate(at);
            Err(error)
        }
    }
}

/// The length of a body as the wire writes it, behind one byte of zero.
#[inline]
fn length(length: usize) -> Result<[u8; 4], PacketError> {
    match u32::try_from(length) {
        Ok(fits) if length <= MAX_BODY => Ok(fits.to_be_bytes()),
        _ => Err(PacketError::TooLong { length, limit: MAX_BODY }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_first_bytes_are_judged_at_once() {
        for byte in 0..=255 {
            match Packet::decode(&[byte], MAX_BODY) {
                Ok(None) => assert!((1..=5).contains(&byte)),
                Err(PacketError::Kind(kind)) => assert!(kind == byte && !(1..=5).contains(&byte)),
                other => panic!("{byte:#04x}: {other:?}"),
            }
        }
        assert_eq!(Packet::decode(&[], MAX_BODY), Ok(None));
    }

    #[test]
    fn every_length_is_judged_by_the_header_alone() {
        const LIMIT: usize = 64 << 10;
        for length in 0..=MAX_BODY {
            let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
            let wanted = match length {
                0 => Ok(Some((Packet { kind: PacketKind::Data, body: &[][..] }, HEADER))),
                _ if length <= LIMIT => Ok(None),
                _ => Err(PacketError::TooLong { length, limit: LIMIT }),
            };
            assert_eq!(Packet::decode(&[4, a, b, c], LIMIT), wanted);
        }
    }

    #[test]
    fn the_longest_body_is_carried_and_one_byte_more_is_refused() {
        let body = vec![7; MAX_BODY + 1];
        let refusal = Err(PacketError::TooLong { length: MAX_BODY + 1, limit: MAX_BODY });
        let mut out = vec![9];

        assert_eq!(encode(PacketKind::Data, &body, &mut out), refusal);
        assert_eq!(out, [9], "a refusal leaves the buffer as it was");
        let at = open(&mut out, PacketKind::Data);
        out.extend_from_slice(&body);
        assert_eq!(seal(&mut out, at), refusal);
        assert_eq!(out, [9], "a refusal cuts the packet off");

        encode(PacketKind::Data, &body[1..], &mut out).unwrap();
        let (packet, used) = Packet::decode(&out[1..], MAX_BODY).unwrap().unwrap();
        assert_eq!((packet.body.len(), used), (MAX_BODY, out.len() - 1));

        let mut sealed = vec![9];
        let at = open(&mut sealed, PacketKind::Data);
        sealed.extend_from_slice(&body[1..]);
        seal(&mut sealed, at).unwrap();
        assert!(sealed == out, "seal writes what encode writes");
    }

    #[test]
    fn the_constants_are_packets() {
        for (bytes, kind) in
            [(HEARTBEAT, PacketKind::Heartbeat), (KICK, PacketKind::Kick), (ACK, PacketKind::HandshakeAck)]
        {
            assert_eq!(Packet::decode(&bytes, 0), Ok(Some((Packet { kind, body: &[] }, HEADER))));
        }
    }
}
