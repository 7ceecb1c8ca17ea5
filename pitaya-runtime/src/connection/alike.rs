//! Requests like the one before: most clients repeat themselves, and for a request that is like the last one nothing has
//! to be looked up or decided again.
//!
//! What is done here is what [`message`](super::messages) and [`call`](super::calls) do, for a run of requests at once.
//! Whatever is not quite such a request is left to them.

use super::messages::Next;
use super::turn::Head;
use super::{Connection, FLUSH, Work};
use crate::accept::Framing;
use crate::server::{Server, seal_short};
use pitaya_core::CloseReason;
use pitaya_core::handler::{Kind, Route, Step};
use pitaya_core::wire::message::open_response;
use pitaya_core::wire::packet::{HEADER, PacketKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{self, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// The last message's route: a handler of this server, and as much of its name as the client writes. Its text is the
/// registry's: what all connections share is in a cache, what each has of its own is not.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub(super) number: u32,
    length: u8,
}

impl Last {
    pub(super) fn find(server: &Server, name: &[u8]) -> Option<(Self, &'static Route)> {
        let number = server.registry.find(name)?;
        // No route that can be found is longer than the wire can say.
        let last = Self { number, length: u8::try_from(name.len()).ok()? };
        Some((last, server.registry.entry(number)?.route()))
    }

    /// The handler's description, if this is its name.
    #[inline]
    pub(super) fn is(self, server: &Server, name: &[u8]) -> Option<&'static Route> {
        let entry = server.registry.entry(self.number)?;
        let same = usize::from(self.length) == name.len() && is_same(self.text(entry.name()), name);
        same.then_some(entry.route())
    }

    /// With and without the server type, a name ends alike.
    #[inline]
    fn text(self, name: &str) -> &[u8] {
        &name.as_bytes()[name.len().saturating_sub(self.length.into())..]
    }
}

/// Reads the packet at the start of `bytes` if it is a whole and plain request for `route`, with an id of one or two bytes:
/// the id, the body, and the length of the packet.
#[inline]
fn read<'a>(bytes: &'a [u8], route: &[u8], limit: usize) -> Option<(u64, &'a [u8], usize)> {
    const DATA: u8 = PacketKind::Data as u8;
    let &[DATA, high, middle, low, 0, ..] = bytes else { return None };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > limit {
        return None;
    }
    let (id, named, rest) = match bytes.get(HEADER + 1..HEADER + length)? {
        [low @ 1..0x80, named, rest @ ..] => (u64::from(*low), *named, rest),
        [low, high @ 1..0x80, named, rest @ ..] => (u64::from(low & 0x7f) | u64::from(*high) << 7, *named, rest),
        _ => return None,
    };
    if usize::from(named) != route.len() {
        return None;
    }
    let (name, body) = rest.split_at_checked(route.len())?;
    is_same(name, route).then_some((id, body, HEADER + length))
}

/// Whether two texts of one length are the same. Routes are short: a call of the C library costs more than they do.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        // The last words may share bytes with those before them.
        (Some(a_last), Some(b_last)) => {
            a_last == b_last && a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).all(|(a, b)| a == b)
        }
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// Runs requests like the last one, as many as lie at the start of `bytes`. Returns how many bytes are done with, and
    /// what becomes of the message behind them.
    pub(super) fn run_alike(
        &mut self,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
        work: &mut Work,
        messages: &mut u64,
    ) -> Result<(usize, Next), CloseReason> {
        // They all stay here.
        let plain = !F::GATED && self.unseen && self.machine.working() && self.forwarding.is_none();
        let Some(last) = self.last.filter(|_| plain) else { return Ok((0, Next::Runs)) };
        let limit = self.packet_limit();
        let (server, outbox) = (&*self.server, &self.agent.outbox);
        let Some(entry) = server.registry.entry(last.number) else { return Ok((0, Next::Runs)) };
        let (route, text) = (entry.route(), last.text(entry.name()));
        if route.internal || route.kind == Kind::Notify {
            return Ok((0, Next::Runs));
        }
        let context = &mut self.context;
        let (out, place, tally) = work.parts(last.number);
        let (mut used, mut answered) = (0, 0);
        while answered < self.budget && out.len() < FLUSH {
            let Some((id, body, length)) = bytes.get(used..).and_then(|bytes| read(bytes, text, limit)) else { break };
            used += length;
            let at = open_response(out, id);
            context.enter(last.number, id);
            let step = catch_unwind(AssertUnwindSafe(|| match entry.call(context, body, out, place) {
                Step::Done(outcome) => Poll::Ready(outcome),
                Step::Later => place.poll(cx, out),
            }));
            let step = match step {
                Ok(Poll::Ready(outcome)) => {
                    if outcome.is_ok() && !outbox.is_dirty() && seal_short(out, at) {
                        answered += 1;
                        continue;
                    }
                    Ok(Poll::Ready(outcome))
                }
                unready => unready,
            };
            self.budget -= answered + 1;
            *messages += u64::from(answered + 1);
            tally.began(last.number, answered + 1);
            tally.answered(last.number, answered);
            let head = Head { id, route: last.number, answers: true };
            let next = self.came_to(head, route, at, step, None, work)?;
            return Ok((used, next));
        }
        self.budget -= answered;
        *messages += u64::from(answered);
        tally.began(last.number, answered);
        tally.answered(last.number, answered);
        Ok((used, Next::Runs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_for_the_same_route_is_read() {
        assert_eq!(read(b"\x04\0\0\x08\0\x07\x03a.bxy\x03", b"a.b", 100), Some((7, &b"xy"[..], 12)));
        assert_eq!(read(b"\x04\0\0\x08\0\x90\x4e\x03a.bx", b"a.b", 8), Some((10_000, &b"x"[..], 12)));
    }

    #[test]
    fn texts_are_compared_to_their_last_byte() {
        for length in 0..40 {
            let text = vec![b'a'; length];
            assert!(is_same(&text, &text.clone()));
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'b';
                assert!(!is_same(&text, &other), "{length} {at}");
            }
        }
    }

    #[test]
    fn everything_else_is_not() {
        for other in [
            &b""[..],
            b"\x04",
            b"\x04\0\0\0",
            b"\x04\0\0\0\0\x07\x03a.b",
            b"\x04\0\0\x01\0\x07\x03a.b",
            b"\x04\0\0\x06\0\x07\x03a.",
            b"\x03\0\0\x06\0\x07\x03a.b",
            // A notify, a code, a compressed body; id 0, id 0 in two bytes, a long id; another route, a longer one.
            b"\x04\0\0\x06\x02\x07\x03a.b",
            b"\x04\0\0\x06\x01\x07\x03a.b",
            b"\x04\0\0\x06\x10\x07\x03a.b",
            b"\x04\0\0\x06\0\0\x03a.b",
            b"\x04\0\0\x07\0\x80\0\x03a.b",
            b"\x04\0\0\x08\0\x80\x80\x01\x03a.b",
            b"\x04\0\0\x06\0\x07\x03a.c",
            b"\x04\0\0\x07\0\x07\x04a.bc",
        ] {
            assert_eq!(read(other, b"a.b", 100), None, "{other:?}");
        }
        assert_eq!(read(b"\x04\0\0\x08\0\x07\x03a.bxy\x03", b"a.b", 7), None, "longer than allowed");
    }
}
