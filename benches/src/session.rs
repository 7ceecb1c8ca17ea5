//! One client of the generator, without its socket: bytes in, bytes out, every answer checked.

use std::collections::VecDeque;
use std::io::Read;

use flate2::read::ZlibDecoder;

use crate::body::{Body, LONG_BODY};
use crate::tally::Tally;
use crate::{websocket, wire};

/// Ids run from `FIRST_ID` to `LAST_ID` and start again: always two bytes on the wire and five digits in the body.
const FIRST_ID: u16 = 10_000;
const LAST_ID: u16 = 0x3fff;
/// Those of the first id: every first body has them once.
const DIGITS: &[u8] = b"10000";

/// A packet that is sent, or expected, again and again with the next number in its id and in its body.
#[derive(Debug)]
struct Series {
    bytes: Vec<u8>,
    id: u16,
    id_at: usize,
    digits_at: usize,
}

impl Series {
    /// `head` is all of the message before its id, `between` what is between id and body.
    fn new(head: u8, between: &[u8], body: &[u8]) -> Self {
        let mut message = vec![head, 0, 0];
        message.extend_from_slice(between);
        let body_at = wire::HEADER + message.len();
        message.extend_from_slice(body);
        let mut bytes = Vec::new();
        wire::put_packet(&mut bytes, wire::DATA, &message);
        let digits_at = body.windows(DIGITS.len()).position(|five| five == DIGITS).expect("every body has its number");
        let mut series = Self { bytes, id: FIRST_ID, id_at: wire::HEADER + 1, digits_at: body_at + digits_at };
        series.put_id();
        series
    }

    #[inline]
    fn advance(&mut self) {
        let digits = &mut self.bytes[self.digits_at..][..DIGITS.len()];
        if self.id == LAST_ID {
            self.id = FIRST_ID;
            digits.copy_from_slice(DIGITS);
        } else {
            self.id += 1;
            for digit in digits.iter_mut().rev() {
                if *digit < b'9' {
                    *digit += 1;
                    break;
                }
                *digit = b'0';
            }
        }
        self.put_id();
    }

    /// Jumps to the packet of an id.
    fn seek(&mut self, id: u16) {
        self.id = id;
        self.bytes[self.digits_at..][..DIGITS.len()].copy_from_slice(format!("{id:05}").as_bytes());
        self.put_id();
    }

    #[inline]
    fn put_id(&mut self) {
        let at = self.id_at;
        self.bytes[at..at + 2].copy_from_slice(&wire_id(self.id));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Upgrade,
    Handshake,
    Working,
}

/// A client from its first byte on. What it wants to send is appended to the `out` of each call.
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    /// The next mask; `None` on plain TCP.
    mask: Option<u32>,
    body: Body,
    request: Series,
    answer: Series,
    /// When each request in flight was due, oldest first. A session is answered in order.
    due: VecDeque<u64>,
    /// The same with their ids, of a server that does not keep the order; then `due` stays empty.
    unordered: Option<Vec<(u16, u64)>>,
    /// The beginning of a packet or frame whose end has not come yet.
    rest: Vec<u8>,
}

impl Session {
    /// A client that will call `route` (at most 255 bytes). `number` makes its bodies its own.
    ///
    /// # Errors
    /// A text when the route is too long.
    pub fn new(number: usize, route: &str, body: Body, web_socket: bool) -> Result<Self, String> {
        let len = u8::try_from(route.len()).map_err(|_| "a route has at most 255 bytes".to_owned())?;
        let first = body.first(number);
        Ok(Self {
            stage: if web_socket { Stage::Upgrade } else { Stage::Handshake },
            mask: web_socket.then_some(0x9e37_79b9 ^ number as u32),
            body,
            request: Series::new(0, &[&[len], route.as_bytes()].concat(), &first),
            answer: Series::new(wire::RESPONSE, &[], &first),
            due: VecDeque::new(),
            unordered: None,
            rest: Vec::new(),
        })
    }

    /// The server may answer the requests in flight in any order, as Go Pitaya does.
    #[must_use]
    pub fn unordered(self) -> Self {
        Self { unordered: Some(Vec::new()), ..self }
    }

    /// The first bytes to send.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        match self.stage {
            Stage::Upgrade => out.extend_from_slice(&websocket::upgrade_request()),
            _ => self.send(wire::HANDSHAKE, wire::CLIENT_HANDSHAKE, out),
        }
    }

    /// Whether the handshake is over and requests may be sent.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.stage == Stage::Working
    }

    /// Requests that were sent and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.due.len() + self.unordered.as_ref().map_or(0, Vec::len)
    }

    /// Sends one request that was due at `due`, which may be earlier than now.
    #[inline]
    pub fn request(&mut self, due: u64, out: &mut Vec<u8>) {
        match &mut self.unordered {
            None => self.due.push_back(due),
            Some(pending) => pending.push((self.request.id, due)),
        }
        match &mut self.mask {
            None => out.extend_from_slice(&self.request.bytes),
            Some(mask) => websocket::put_masked(out, next_mask(mask), &self.request.bytes),
        }
        self.request.advance();
    }

    /// Takes what the server sent; `now` in nanoseconds since the generator's start.
    ///
    /// # Errors
    /// A text that says why the connection cannot go on. A wrong answer is no such reason: it is counted in `tally`.
    #[inline]
    pub fn receive(&mut self, bytes: &[u8], now: u64, out: &mut Vec<u8>, tally: &mut Tally) -> Result<(), String> {
        if self.rest.is_empty() {
            let used = self.take(bytes, now, out, tally)?;
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(bytes);
            let used = self.take(&rest, now, out, tally)?;
            rest.drain(..used);
            self.rest = rest;
        }
        Ok(())
    }

    /// Takes whole frames or packets from the front of `bytes`; returns how many bytes that was.
    fn take(&mut self, bytes: &[u8], now: u64, out: &mut Vec<u8>, tally: &mut Tally) -> Result<usize, String> {
        if self.mask.is_none() {
            return self.packets(bytes, now, out, tally);
        }
        let mut used = 0;
        if self.stage == Stage::Upgrade {
            let Some(end) = websocket::head_end(bytes) else { return Ok(0) };
            if !websocket::upgraded(&bytes[..end]) {
                return Err(format!("upgrade refused: {}", lossy(&bytes[..end])));
            }
            used = end;
            self.stage = Stage::Handshake;
            self.send(wire::HANDSHAKE, wire::CLIENT_HANDSHAKE, out);
        }
        // A message may carry several packets, never a part of one.
        while let Some(frame) = websocket::frame(&bytes[used..]) {
            if !frame.is_binary() {
                return Err(format!("a WebSocket frame that starts with {:#04x}", frame.first));
            }
            let payload = &bytes[used + frame.start..used + frame.end];
            if self.packets(payload, now, out, tally)? != payload.len() {
                return Err("a WebSocket message that ends within a packet".to_owned());
            }
            used += frame.end;
        }
        Ok(used)
    }

    #[inline]
    fn packets(&mut self, bytes: &[u8], now: u64, out: &mut Vec<u8>, tally: &mut Tally) -> Result<usize, String> {
        let mut used = 0;
        loop {
            let left = &bytes[used..];
            // The answer that is expected, compared as a whole: its length, flags, id and body at once.
            if !self.due.is_empty() && left.starts_with(&self.answer.bytes) {
                self.settle(now, tally);
                used += self.answer.bytes.len();
                continue;
            }
            let Some((kind, total)) = wire::packet(left) else { return Ok(used) };
            self.other_packet(kind, &left[wire::HEADER..total], now, out, tally)?;
            used += total;
        }
    }

    #[inline]
    fn settle(&mut self, now: u64, tally: &mut Tally) {
        if let Some(due) = self.due.pop_front() {
            tally.answered(due, now);
        }
        self.answer.advance();
    }

    #[cold]
    fn other_packet(
        &mut self,
        kind: u8,
        body: &[u8],
        now: u64,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), String> {
        match kind {
            wire::HANDSHAKE if self.stage == Stage::Handshake => {
                // Go Pitaya compresses it as it does messages.
                let inflated = if body.first() == Some(&b'{') { Vec::new() } else { inflate(body) };
                let body = if inflated.is_empty() { body } else { &inflated };
                let answer: serde_json::Value =
                    serde_json::from_slice(body).map_err(|e| format!("the handshake's answer is no JSON: {e}"))?;
                if answer["code"] != 200 {
                    return Err(format!("handshake refused: {answer}"));
                }
                self.send(wire::ACK, &[], out);
                self.stage = Stage::Working;
                Ok(())
            }
            wire::HEARTBEAT => {
                self.send(wire::HEARTBEAT, &[], out);
                Ok(())
            }
            wire::DATA if self.is_working() => {
                self.other_message(body, now, tally);
                Ok(())
            }
            wire::KICK => Err(format!("kicked: {}", lossy(body))),
            _ => Err(format!("a packet of kind {kind} in stage {:?}", self.stage)),
        }
    }

    /// A message that is not, byte for byte, the expected answer. Pushes are none of our business.
    fn other_message(&mut self, message: &[u8], now: u64, tally: &mut Tally) {
        let Some((flags, id, body)) = wire::response(message) else { return };
        if let Some(pending) = &mut self.unordered {
            let Some(at) = pending.iter().position(|(asked, _)| id == wire_id(*asked)) else {
                return tally.fail(1, || format!("an answer nobody asked for: {}", lossy(body)));
            };
            // From here on as if it were the oldest, and only one.
            let (id, due) = pending.swap_remove(at);
            self.answer.seek(id);
            self.due.push_back(due);
        }
        if self.due.is_empty() {
            return tally.fail(1, || format!("an answer nobody asked for: {}", lossy(body)));
        }
        let inflated;
        let body = if flags & wire::COMPRESSED == 0 {
            body
        } else {
            inflated = inflate(body);
            &inflated
        };
        let expected = &self.answer.bytes[self.answer.id_at..];
        let why = if flags & wire::ERROR != 0 {
            "an error"
        } else if id != &expected[..2] {
            "an answer with the id of another request"
        } else if body == &expected[2..] || self.body != Body::Raw && same_json(body, &expected[2..]) {
            return self.settle(now, tally);
        } else {
            "an answer with another body"
        };
        tally.fail(1, || format!("{why}: {}", lossy(body)));
        self.due.pop_front();
        self.answer.advance();
    }

    fn send(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) {
        match &mut self.mask {
            None => wire::put_packet(out, kind, body),
            Some(mask) => {
                let mut packet = Vec::new();
                wire::put_packet(&mut packet, kind, body);
                websocket::put_masked(out, next_mask(mask), &packet);
            }
        }
    }
}

fn wire_id(id: u16) -> [u8; 2] {
    [(id & 0x7f) as u8 | 0x80, (id >> 7) as u8]
}

/// What a compressed body says; empty when it cannot be read. Longer than any body of ours is wrong whatever it says.
fn inflate(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match ZlibDecoder::new(body).take(2 * LONG_BODY as u64).read_to_end(&mut out) {
        Ok(_) => out,
        Err(_) => Vec::new(),
    }
}

/// Masks need only differ from frame to frame here: xorshift, never zero.
#[inline]
fn next_mask(state: &mut u32) -> [u8; 4] {
    *state |= u32::from(*state == 0);
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_ne_bytes()
}

/// Key order and number form are the server's choice.
fn same_json(a: &[u8], b: &[u8]) -> bool {
    let read = |bytes| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    read(a).is_some_and(|a| Some(a) == read(b))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}

#[cfg(test)]
mod tests;
