//! The least a server of this protocol can do, without its socket: what every ratio is divided by.

use serde::{Deserialize, Serialize};

use crate::{websocket, wire};

/// What a bare server does with the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sends it back.
    Echo,
    /// Decodes it with `serde_json` and encodes it again.
    Json,
    /// Sends it back over WebSocket, one packet a frame.
    WebSocket,
    /// Sends it back and keeps nothing while a connection is idle.
    Lean,
}

impl std::str::FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "echo" => Ok(Self::Echo),
            "json" => Ok(Self::Json),
            "ws" => Ok(Self::WebSocket),
            "lean" => Ok(Self::Lean),
            _ => Err(()),
        }
    }
}

/// What a typed handler would take and return; owned, as handlers are written.
#[derive(Debug, Serialize, Deserialize)]
struct Move {
    uid: String,
    seq: u64,
    pos: Vec<f64>,
    act: String,
}

/// Bytes that are none of the protocol's; the connection ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// One connection of a bare server.
#[derive(Debug)]
pub struct Bare {
    mode: Mode,
    upgraded: bool,
}

impl Bare {
    /// A connection of which nothing was read yet.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, upgraded: false }
    }

    /// Answers all that is complete in `input` (masked frames are unmasked in place); returns how many bytes that was.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes cannot be read.
    #[inline]
    pub fn answer(&mut self, input: &mut [u8], out: &mut Vec<u8>) -> Result<usize, Malformed> {
        match self.mode {
            Mode::Echo | Mode::Lean => packets(input, out, |body, out| {
                out.extend_from_slice(body);
                Ok(())
            }),
            Mode::Json => packets(input, out, |body, out| {
                let value: Move = serde_json::from_slice(body).map_err(|_| Malformed)?;
                serde_json::to_writer(out, &value).map_err(|_| Malformed)
            }),
            Mode::WebSocket => self.frames(input, out),
        }
    }

    fn frames(&mut self, input: &mut [u8], out: &mut Vec<u8>) -> Result<usize, Malformed> {
        let mut used = 0;
        if !self.upgraded {
            let Some(end) = websocket::head_end(input) else { return Ok(0) };
            out.extend_from_slice(&websocket::upgrade_answer());
            self.upgraded = true;
            used = end;
        }
        while let Some(frame) = websocket::frame(&input[used..]) {
            let (true, Some(mask)) = (frame.is_binary(), frame.mask) else { return Err(Malformed) };
            let payload = &mut input[used + frame.start..used + frame.end];
            websocket::apply_mask(payload, mask);
            match wire::packet(payload) {
                Some((wire::DATA, total)) => {
                    let message = &payload[wire::HEADER..total];
                    let (id, at) = wire::request(message).ok_or(Malformed)?;
                    let len = 1 + id.len() + message.len() - at;
                    websocket::put_header(out, wire::HEADER + len);
                    wire::put_header(out, wire::DATA, len);
                    out.push(wire::RESPONSE);
                    out.extend_from_slice(id);
                    out.extend_from_slice(&message[at..]);
                }
                Some((wire::HANDSHAKE, _)) => {
                    websocket::put_header(out, wire::HEADER + wire::SERVER_HANDSHAKE.len());
                    wire::put_packet(out, wire::HANDSHAKE, wire::SERVER_HANDSHAKE);
                }
                Some((wire::ACK | wire::HEARTBEAT, _)) => {}
                _ => return Err(Malformed),
            }
            used += frame.end;
        }
        Ok(used)
    }
}

/// The push that tells everybody what a notify says; `None` when `input` is not exactly one notify.
#[must_use]
pub fn push_of(input: &[u8]) -> Option<Vec<u8>> {
    let (wire::DATA, total) = wire::packet(input)? else { return None };
    let body = wire::notify(&input[wire::HEADER..total])?;
    let mut push = Vec::new();
    wire::put_header(&mut push, wire::DATA, 2 + wire::PUSH_ROUTE.len() + body.len());
    push.extend_from_slice(&[wire::PUSH, wire::PUSH_ROUTE.len() as u8]);
    push.extend_from_slice(wire::PUSH_ROUTE);
    push.extend_from_slice(body);
    (total == input.len()).then_some(push)
}

/// Answers whole packets; `handle` appends the body of an answer.
#[inline]
fn packets(
    input: &[u8],
    out: &mut Vec<u8>,
    mut handle: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<usize, Malformed> {
    let mut used = 0;
    while let Some((kind, total)) = wire::packet(&input[used..]) {
        match kind {
            wire::DATA => {
                let message = &input[used + wire::HEADER..used + total];
                let (id, at) = wire::request(message).ok_or(Malformed)?;
                let start = out.len();
                wire::put_header(out, wire::DATA, 0);
                out.push(wire::RESPONSE);
                out.extend_from_slice(id);
                handle(&message[at..], out)?;
                let [_, a, b, c] = ((out.len() - start - wire::HEADER) as u32).to_be_bytes();
                out[start + 1..start + wire::HEADER].copy_from_slice(&[a, b, c]);
            }
            wire::HANDSHAKE => wire::put_packet(out, wire::HANDSHAKE, wire::SERVER_HANDSHAKE),
            wire::ACK | wire::HEARTBEAT => {}
            _ => return Err(Malformed),
        }
        used += total;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"\x04\x00\x00\x08\x00\x90\x4e\x03a.bx";

    #[test]
    fn an_echo_keeps_id_and_body_and_leaves_what_is_not_complete() {
        let mut input = [REQUEST, &REQUEST[..5]].concat();
        let mut out = Vec::new();
        assert_eq!(Bare::new(Mode::Echo).answer(&mut input, &mut out), Ok(REQUEST.len()));
        assert_eq!(out, b"\x04\x00\x00\x04\x04\x90\x4ex");
    }

    #[test]
    fn json_is_really_decoded() {
        let mut out = Vec::new();
        assert_eq!(Bare::new(Mode::Json).answer(&mut REQUEST.to_vec(), &mut out), Err(Malformed));
    }

    #[test]
    fn what_is_no_packet_ends_the_connection() {
        for bad in [&b"\x09\0\0\0"[..], b"\x04\0\0\x01\x02", b"\x04\0\0\0"] {
            assert_eq!(Bare::new(Mode::Echo).answer(&mut bad.to_vec(), &mut Vec::new()), Err(Malformed), "{bad:?}");
        }
        let mut unmasked = [&websocket::upgrade_request()[..], &[0x82, 4, 3, 0, 0, 0]].concat();
        assert_eq!(Bare::new(Mode::WebSocket).answer(&mut unmasked, &mut Vec::new()), Err(Malformed));
    }
}
