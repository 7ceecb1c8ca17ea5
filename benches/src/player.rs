//! One client that does more than ask the same again: it enters, tells and listens. Without its socket: bytes in, bytes out.

use crate::wire;

/// What a server has said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The handshake is over.
    Ready,
    /// The answer to the oldest request: its body.
    Answer(&'a [u8]),
    /// The body of a push on [`wire::PUSH_ROUTE`].
    Push(&'a [u8]),
}

/// A client from its first byte on.
#[derive(Debug, Default)]
pub struct Player {
    working: bool,
    asked: u8,
    answered: u8,
    /// The beginning of a packet whose end has not come yet.
    rest: Vec<u8>,
}

impl Player {
    /// The first bytes to send.
    pub fn start(out: &mut Vec<u8>) {
        wire::put_packet(out, wire::HANDSHAKE, wire::CLIENT_HANDSHAKE);
    }

    /// Asks. The route has at most 255 bytes; ids count from 1 to 127 and start again.
    pub fn request(&mut self, route: &str, body: &[u8], out: &mut Vec<u8>) {
        self.asked = next_id(self.asked);
        wire::put_header(out, wire::DATA, 3 + route.len() + body.len());
        out.extend_from_slice(&[0, self.asked, route.len() as u8]);
        out.extend_from_slice(route.as_bytes());
        out.extend_from_slice(body);
    }

    /// Tells, without an answer.
    pub fn notify(route: &str, body: &[u8], out: &mut Vec<u8>) {
        wire::put_header(out, wire::DATA, 2 + route.len() + body.len());
        out.extend_from_slice(&[wire::NOTIFY, route.len() as u8]);
        out.extend_from_slice(route.as_bytes());
        out.extend_from_slice(body);
    }

    /// Takes what the server sent.
    ///
    /// # Errors
    /// A text for everything that is not what it should be: an error, another request's answer, a kick.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        mut happened: impl FnMut(Event<'_>),
    ) -> Result<(), String> {
        let mut rest = std::mem::take(&mut self.rest);
        let whole = if rest.is_empty() {
            bytes
        } else {
            rest.extend_from_slice(bytes);
            &rest
        };
        let mut used = 0;
        while let Some((kind, total)) = wire::packet(&whole[used..]) {
            self.packet(kind, &whole[used + wire::HEADER..used + total], out, &mut happened)?;
            used += total;
        }
        self.rest = whole[used..].to_vec();
        Ok(())
    }

    fn packet(
        &mut self,
        kind: u8,
        body: &[u8],
        out: &mut Vec<u8>,
        happened: &mut impl FnMut(Event<'_>),
    ) -> Result<(), String> {
        match kind {
            wire::HANDSHAKE if !self.working => {
                if !body.windows(10).any(|part| part == br#""code":200"#) {
                    return Err(format!("handshake refused: {}", lossy(body)));
                }
                wire::put_packet(out, wire::ACK, &[]);
                self.working = true;
                happened(Event::Ready);
                Ok(())
            }
            wire::HEARTBEAT => {
                wire::put_packet(out, wire::HEARTBEAT, &[]);
                Ok(())
            }
            wire::DATA if self.working => self.message(body, happened),
            wire::KICK => Err(format!("kicked: {}", lossy(body))),
            _ => Err(format!("a packet of kind {kind} at the wrong time")),
        }
    }

    fn message(&mut self, message: &[u8], happened: &mut impl FnMut(Event<'_>)) -> Result<(), String> {
        if let Some((flags, id, body)) = wire::response(message) {
            if flags != wire::RESPONSE {
                return Err(format!("an error: {}", lossy(body)));
            }
            if self.asked == self.answered || id != [next_id(self.answered)] {
                return Err(format!("an answer nobody asked for: {}", lossy(body)));
            }
            self.answered = next_id(self.answered);
            happened(Event::Answer(body));
            return Ok(());
        }
        match wire::push(message) {
            Some((wire::PUSH_ROUTE, body)) => happened(Event::Push(body)),
            _ => return Err(format!("neither answer nor push of ours: {}", lossy(message))),
        }
        Ok(())
    }
}

fn next_id(id: u8) -> u8 {
    id % 127 + 1
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bare::{Bare, Mode, push_of};

    fn heard(player: &mut Player, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        player.receive(bytes, &mut Vec::new(), |event| {
            all.push(match event {
                Event::Ready => "ready".to_owned(),
                Event::Answer(body) => format!("answer {}", lossy(body)),
                Event::Push(body) => format!("push {}", lossy(body)),
            });
        })?;
        Ok(all)
    }

    #[test]
    fn it_enters_asks_and_hears() {
        let (mut player, mut sent, mut back) = (Player::default(), Vec::new(), Vec::new());
        Player::start(&mut sent);
        player.asked = 126;
        player.answered = 126;
        player.request("a.b", b"x", &mut sent);
        player.request("a.b", b"y", &mut sent);
        Bare::new(Mode::Echo).answer(&mut sent, &mut back).expect("well-formed");
        let mut notify = Vec::new();
        Player::notify("a.c", b"z", &mut notify);
        back.extend(push_of(&notify).expect("a push"));
        let mut all = Vec::new();
        for byte in back {
            all.extend(heard(&mut player, &[byte]).expect("fine"));
        }
        assert_eq!(all, ["ready", "answer x", "answer y", "push z"]);
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        let mut player = Player { working: true, ..Player::default() };
        let stray = b"\x04\0\0\x03\x04\x01x";
        assert_eq!(heard(&mut player, stray).unwrap_err(), "an answer nobody asked for: x");
        player.request("a.b", b"", &mut Vec::new());
        assert_eq!(heard(&mut player, b"\x04\0\0\x03\x24\x01x").unwrap_err(), "an error: x");
        assert_eq!(heard(&mut player, b"\x05\0\0\x01x").unwrap_err(), "kicked: x");
        assert_eq!(push_of(b"\x04\0\0\x03\x04\x01x"), None);
    }
}
