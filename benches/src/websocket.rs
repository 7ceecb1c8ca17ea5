//! Just enough WebSocket (RFC 6455): the upgrade with one fixed key, unfragmented binary frames.

/// The sample key of RFC 6455, section 1.3, and the answer it must get.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A final frame with a binary payload.
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// The upgrade request of the generator.
#[must_use]
pub fn upgrade_request() -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// The answer of a bare server to [`upgrade_request`]; right for that one key only.
#[must_use]
pub fn upgrade_answer() -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
    .into_bytes()
}

/// Where an HTTP head ends, once it is complete.
#[must_use]
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Whether a server's head is a successful upgrade for the generator's key.
#[must_use]
pub fn upgraded(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    head.starts_with("HTTP/1.1 101") && head.contains(ACCEPT)
}

/// One frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: final bit and opcode.
    pub first: u8,
    /// The mask of a client's frame.
    pub mask: Option<[u8; 4]>,
    /// Where the payload begins.
    pub start: usize,
    /// Where the payload, and with it the frame, ends.
    pub end: usize,
}

impl Frame {
    /// Whether this is a whole binary message.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.first == BINARY
    }
}

/// The first frame of `bytes`, once it is complete.
#[inline]
#[must_use]
pub fn frame(bytes: &[u8]) -> Option<Frame> {
    let &[first, second, ..] = bytes else { return None };
    let (len, mut start) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let mask = if second & MASKED != 0 {
        let mask = *bytes.get(start..)?.first_chunk()?;
        start += 4;
        Some(mask)
    } else {
        None
    };
    let end = start.checked_add(len)?;
    (bytes.len() >= end).then_some(Frame { first, mask, start, end })
}

/// Appends the header of an unmasked binary frame.
#[inline]
pub fn put_header(out: &mut Vec<u8>, len: usize) {
    put_length(out, len, 0);
}

/// Appends a whole masked binary frame.
#[inline]
pub fn put_masked(out: &mut Vec<u8>, mask: [u8; 4], payload: &[u8]) {
    put_length(out, payload.len(), MASKED);
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
}

/// Masks or unmasks in place, eight bytes at a time.
#[inline]
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from(u32::from_ne_bytes(mask)) * 0x0000_0001_0000_0001;
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[inline]
fn put_length(out: &mut Vec<u8>, len: usize, masked: u8) {
    match len {
        0..126 => out.extend_from_slice(&[BINARY, masked | len as u8]),
        126..=0xffff => {
            out.extend_from_slice(&[BINARY, masked | 126]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[BINARY, masked | 127]);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masked_sample_of_the_rfc() {
        // RFC 6455, section 5.7, with the opcode of a binary frame.
        let mut out = Vec::new();
        put_masked(&mut out, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out, [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn what_is_masked_can_be_read_at_every_length_form() {
        for len in [0, 1, 7, 8, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut out = Vec::new();
            put_masked(&mut out, [1, 2, 3, 4], &payload);
            for cut in [0, 1, 2, 5, out.len() - 1] {
                assert_eq!(frame(&out[..cut]), None, "length {len} cut at {cut}");
            }
            let found = frame(&out).expect("complete");
            assert!(found.is_binary());
            assert_eq!(found.end, out.len());
            apply_mask(&mut out[found.start..], found.mask.expect("masked"));
            assert_eq!(&out[found.start..], payload);
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_never_complete() {
        assert_eq!(frame(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0]), None);
    }

    #[test]
    fn the_upgrade_is_accepted_only_with_the_right_answer() {
        let answer = upgrade_answer();
        assert_eq!(head_end(&answer), Some(answer.len()));
        assert!(upgraded(&answer));
        assert!(!upgraded(b"HTTP/1.1 403 Forbidden\r\n\r\n"));
        assert!(!upgraded(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n"));
    }
}
