//! Frames of RFC 6455, the server's side, without a socket.

use crate::accept::{Framing, Unfinished};
use pitaya_core::CloseReason;
use pitaya_core::wire::packet::HEADER;
use pitaya_core::wire::{Packet, PacketKind};

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// A payload is unmasked in blocks of so many bytes.
const BLOCK: usize = size_of::<u128>();
/// The longest payload of a control frame.
const CONTROL: usize = 125;

/// The state of one WebSocket.
#[derive(Debug, Default)]
pub struct WebSocketFraming {
    /// The beginning of a frame that has not come whole.
    partial: Vec<u8>,
    /// The fragments of a message so far.
    message: Vec<u8>,
    in_message: bool,
    /// Number of the message that has not come whole.
    number: u32,
    /// Pongs that are owed.
    replies: Vec<u8>,
    closed: bool,
    /// The client asked for a subprotocol, and got none.
    wants_subprotocol: bool,
}

/// What stands before a payload.
struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    length: usize,
    /// Bytes of the head itself.
    size: usize,
}

fn wrong(text: &str) -> CloseReason {
    CloseReason::Malformed(format!("websocket: {text}"))
}

impl WebSocketFraming {
    /// A WebSocket whose first bytes may have come with the upgrade.
    #[must_use]
    pub fn new(early: Vec<u8>) -> Self {
        Self { partial: early, ..Self::default() }
    }

    /// The same for a client that asked for a subprotocol, or did not.
    pub(super) fn asked_for_subprotocol(mut self, wants: bool) -> Self {
        self.wants_subprotocol = wants;
        self
    }

    /// The message, or the control frame, that has not come whole.
    #[cold]
    fn begun(&self) -> Unfinished {
        let frame = match Head::parse(&self.partial, usize::MAX) {
            Ok(Some(head)) => head.size.saturating_add(head.length),
            _ => 0,
        };
        Unfinished {
            number: self.number,
            length: self.message.len().saturating_add(frame),
            held: self.partial.capacity() + self.message.capacity(),
        }
    }

    /// Handles the whole frames at the beginning; how many bytes they take.
    fn frames(&mut self, bytes: &[u8], limit: usize, packets: &mut Vec<u8>) -> Result<usize, CloseReason> {
        let mut at = 0;
        while at < bytes.len() {
            if !self.in_message
                && let Some(length) = one_packet(&bytes[at..], limit, packets)
            {
                at += length;
                continue;
            }
            match self.frame(&bytes[at..], limit, packets)? {
                Some(length) => at += length,
                None => break,
            }
        }
        Ok(at)
    }

    /// Handles one frame; how many bytes it takes, or `None` when it is not whole.
    fn frame(&mut self, bytes: &[u8], limit: usize, packets: &mut Vec<u8>) -> Result<Option<usize>, CloseReason> {
        let Some(head) = Head::parse(bytes, limit.saturating_add(HEADER))? else { return Ok(None) };
        let end = head.size + head.length;
        if bytes.len() < end {
            return Ok(None);
        }
        let payload = &bytes[head.size..end];
        match head.opcode {
            TEXT | BINARY if self.in_message => return Err(wrong("a new message inside another")),
            CONTINUATION if !self.in_message => return Err(wrong("a continuation of nothing")),
            TEXT | BINARY if head.fin => {
                let at = packets.len();
                unmask(payload, payload.len(), head.mask, packets);
                whole_packets(&packets[at..], limit).inspect_err(|_| packets.truncate(at))?;
            }
            TEXT | BINARY | CONTINUATION => {
                if self.message.len() + payload.len() > limit.saturating_add(HEADER) {
                    return Err(wrong("the message is longer than a packet may be"));
                }
                unmask(payload, payload.len(), head.mask, &mut self.message);
                self.in_message = !head.fin;
                if head.fin {
                    whole_packets(&self.message, limit)?;
                    packets.extend_from_slice(&self.message);
                    self.message = Vec::new();
                }
            }
            PING => {
                head_of(PONG, payload.len(), &mut self.replies);
                unmask(payload, payload.len(), head.mask, &mut self.replies);
            }
            PONG => {}
            _ => {
                let mut said = Vec::new();
                unmask(payload, payload.len(), head.mask, &mut said);
                check_close(&said)?;
                self.closed = true;
                return Err(CloseReason::Client);
            }
        }
        Ok(Some(end))
    }
}

impl Head {
    fn parse(bytes: &[u8], limit: usize) -> Result<Option<Self>, CloseReason> {
        let &[first, second, ref rest @ ..] = bytes else {
            // One byte can be wrong already: a TLS hello, a packet without frames.
            return match bytes.first() {
                Some(first) if first & 0x70 != 0 => Err(wrong("reserved bits are set")),
                _ => Ok(None),
            };
        };
        let (fin, opcode) = (first & FIN != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(wrong("reserved bits are set"));
        }
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(wrong("unknown opcode"));
        }
        if second & MASKED == 0 {
            return Err(wrong("a client's frame must be masked"));
        }
        let short = usize::from(second & 0x7f);
        if opcode >= CLOSE && (!fin || short > CONTROL) {
            return Err(wrong("a control frame is whole and short"));
        }
        let (length, extra) = match (short, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8),
            (126 | 127, _) => return Ok(None),
            (short, _) => (short as u64, 0),
        };
        if (extra == 2 && length < 126) || (extra == 8 && length <= 0xffff) {
            return Err(wrong("the length is not in its shortest form"));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= limit);
        let length = length.ok_or_else(|| wrong("the frame is longer than a packet may be"))?;
        let [a, b, c, d] = match rest.get(extra..extra + 4) {
            Some(mask) => [mask[0], mask[1], mask[2], mask[3]],
            None => return Ok(None),
        };
        Ok(Some(Self { fin, opcode, mask: [a, b, c, d], length, size: 2 + extra + 4 }))
    }
}

/// Handles what clients send nearly always: one whole packet in one whole frame, with a length of one or two bytes. Whatever
/// is not quite that is left to [`frame`](WebSocketFraming::frame). How many bytes it takes.
#[inline]
fn one_packet(bytes: &[u8], limit: usize, packets: &mut Vec<u8>) -> Option<usize> {
    let (length, head) = match *bytes {
        [first, short, ..] if first == FIN | BINARY && (MASKED..MASKED | 126).contains(&short) => {
            (usize::from(short & !MASKED), 2)
        }
        [first, 0xfe, high, low, ..] if first == FIN | BINARY => (usize::from(u16::from_be_bytes([high, low])), 4),
        _ => return None,
    };
    let (mask, rest) = bytes.get(head..)?.split_first_chunk::<4>()?;
    let header = rest.get(..length)?.first_chunk::<HEADER>()?;
    let [kind, high, middle, low] = (u32::from_ne_bytes(*header) ^ u32::from_ne_bytes(*mask)).to_ne_bytes();
    let body = u32::from_be_bytes([0, high, middle, low]) as usize;
    let whole = PacketKind::try_from(kind).is_ok() && HEADER + body == length && body <= limit;
    if !whole || (head == 4 && length < 126) {
        return None;
    }
    unmask(rest, length, *mask, packets);
    Some(head + 4 + length)
}

/// Appends the first `length` bytes of a payload in the clear. What lies behind them may be read, and is not kept.
#[inline]
fn unmask(bytes: &[u8], length: usize, mask: [u8; 4], out: &mut Vec<u8>) {
    let (at, padded) = (out.len(), length.next_multiple_of(BLOCK));
    // Whole blocks only: no rest to be done byte by byte.
    match bytes.get(..padded) {
        Some(bytes) => out.extend_from_slice(bytes),
        None => {
            out.extend_from_slice(&bytes[..length]);
            out.resize(at + padded, 0);
        }
    }
    // The mask four times.
    let wide = u128::from(u32::from_ne_bytes(mask)) * (u128::MAX / u128::from(u32::MAX));
    for block in out[at..].as_chunks_mut::<BLOCK>().0 {
        *block = (u128::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    out.truncate(at + length);
}

/// A message has whole packets in it, one or more: never a part of one.
fn whole_packets(mut message: &[u8], limit: usize) -> Result<(), CloseReason> {
    loop {
        match Packet::decode(message, limit) {
            Ok(Some((_, length))) if length == message.len() => return Ok(()),
            Ok(Some((_, length))) => message = &message[length..],
            Ok(None) => return Err(wrong("a message must have whole packets in it")),
            Err(e) => return Err(CloseReason::Malformed(e.to_string())),
        }
    }
}

/// A close says nothing, or a code that may be sent and a text (RFC 6455, sections 5.5.1 and 7.4).
fn check_close(payload: &[u8]) -> Result<(), CloseReason> {
    let (code, text) = match payload {
        [] => return Ok(()),
        [_] => return Err(wrong("half a close code")),
        [a, b, text @ ..] => (u16::from_be_bytes([*a, *b]), text),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(wrong("a close code that must not be sent"));
    }
    std::str::from_utf8(text).map(drop).map_err(|_| wrong("the reason of a close is not UTF-8"))
}

#[inline]
fn head_of(opcode: u8, length: usize, out: &mut Vec<u8>) {
    if length < 126 {
        return out.extend_from_slice(&[FIN | opcode, length as u8]);
    }
    long_head_of(opcode, length, out);
}

#[inline(never)]
fn long_head_of(opcode: u8, length: usize, out: &mut Vec<u8>) {
    match u16::try_from(length) {
        Ok(length) => {
            out.extend_from_slice(&[FIN | opcode, 126]);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.extend_from_slice(&[FIN | opcode, 127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

impl Framing for WebSocketFraming {
    const PLAIN: bool = false;

    fn wants_subprotocol(&self) -> bool {
        self.wants_subprotocol
    }

    fn decode(&mut self, stream: &[u8], limit: usize, packets: &mut Vec<u8>) -> Result<(), CloseReason> {
        let mut partial = std::mem::take(&mut self.partial);
        let (had_begun, before) = (self.in_message || !partial.is_empty(), packets.len());
        let at;
        if partial.is_empty() {
            at = self.frames(stream, limit, packets)?;
            partial.extend_from_slice(&stream[at..]);
        } else {
            // A long frame comes in many pieces: what is there of it stays where it is.
            partial.extend_from_slice(stream);
            at = self.frames(&partial, limit, packets)?;
            if at == partial.len() {
                partial = Vec::new();
            } else if at > 0 {
                partial = partial[at..].to_vec();
            }
        }
        self.partial = partial;
        if self.in_message || !self.partial.is_empty() {
            // A whole message gives a packet. Without one it is still the same, unless a control frame was all that came whole.
            let is_same = had_begun && packets.len() == before && (at == 0 || self.in_message);
            self.number = self.number.wrapping_add(u32::from(!is_same));
        }
        Ok(())
    }

    #[inline]
    fn unfinished(&self) -> Option<Unfinished> {
        (self.in_message || !self.partial.is_empty()).then(|| self.begun())
    }

    fn encode(&mut self, packets: &[u8], stream: &mut Vec<u8>) {
        if !self.replies.is_empty() {
            stream.append(&mut self.replies);
            self.replies = Vec::new();
        }
        let mut at = 0;
        // These are our own packets: they are whole.
        while let Some([_, a, b, c]) = packets.get(at..at + HEADER) {
            let length = HEADER + u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let end = (at + length).min(packets.len());
            head_of(BINARY, end - at, stream);
            stream.extend_from_slice(&packets[at..end]);
            at = end;
        }
    }

    fn goodbye(&mut self, reason: &CloseReason, stream: &mut Vec<u8>) {
        // RFC 6455, section 7.4.1.
        let code: u16 = match reason {
            CloseReason::Malformed(_) | CloseReason::Violation(_) => 1002,
            CloseReason::Shutdown => 1001,
            CloseReason::HandshakeRefused(_) | CloseReason::HandshakeTimeout | CloseReason::PacketTimeout => 1008,
            // A connection that just ended gets no frame; one that said close is answered.
            CloseReason::Client if !self.closed => return,
            _ => 1000,
        };
        head_of(CLOSE, 2, stream);
        stream.extend_from_slice(&code.to_be_bytes());
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
