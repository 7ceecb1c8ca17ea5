//! Clients' messages that arrived at the server that handles them.
//!
//! Messages that came together stay together: what they share is counted once for all of them, and each is no more than
//! a few numbers and places in the bytes they came in.

use super::Back;
use crate::rpc::{Metadata, Peer};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Where messages come from, what travels with all of them, and their way back: one for many messages.
#[derive(Clone)]
#[non_exhaustive]
pub struct Source {
    /// The frontend that holds the clients' connections.
    pub frontend: Arc<Peer>,
    /// What travels with each message.
    pub metadata: Arc<Metadata>,
    /// The way back.
    pub back: Arc<dyn Back>,
    /// Whether more messages come from here: worth remembering.
    pub lasts: bool,
}

impl Source {
    /// That of a single message.
    #[must_use]
    pub fn new(frontend: Arc<Peer>, metadata: Arc<Metadata>, back: Arc<dyn Back>) -> Self {
        Self { frontend, metadata, back, lasts: false }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("frontend", &self.frontend.id)
            .field("lasts", &self.lasts)
            .finish_non_exhaustive()
    }
}

/// What is in a forwarded message. `B` are its bytes: borrowed, held, or places in those of a [`Delivery`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Letter<B> {
    /// The number of the session on its frontend.
    pub session: i64,
    /// Who it is, empty while nobody: checked to be UTF-8 by whoever reads it.
    pub uid: B,
    /// The session's data, a JSON object, or nothing.
    pub data: B,
    /// The client's number of a request.
    pub id: u64,
    /// Whether it is a notify.
    pub notify: bool,
    /// The route.
    pub route: B,
    /// The body, as the client encoded it.
    pub body: B,
    /// Whether the body is compressed still.
    pub deflated: bool,
    /// Bytes the message holds while it waits, about: written when it is placed in a [`Delivery`].
    pub weight: usize,
    /// When its frontend stops waiting.
    pub deadline: Instant,
    /// Which message is meant on the way back.
    pub ticket: u64,
}

impl<B: Default> Letter<B> {
    /// A request with the number 0, without uid, data, route and body.
    #[must_use]
    pub fn new(session: i64, deadline: Instant, ticket: u64) -> Self {
        let (uid, data, route, body) = (B::default(), B::default(), B::default(), B::default());
        Self { session, uid, data, id: 0, notify: false, route, body, deflated: false, weight: 0, deadline, ticket }
    }
}

impl<B> Letter<B> {
    fn map<'b, C>(&'b self, mut f: impl FnMut(&'b B) -> C) -> Letter<C> {
        let Self { session, id, notify, deflated, weight, deadline, ticket, .. } = *self;
        let (uid, data, route, body) = (f(&self.uid), f(&self.data), f(&self.route), f(&self.body));
        Letter { session, uid, data, id, notify, route, body, deflated, weight, deadline, ticket }
    }
}

/// One message with bytes of its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IncomingMessage {
    /// Where it comes from.
    pub from: Arc<Source>,
    /// What is in it.
    pub letter: Letter<Bytes>,
}

impl IncomingMessage {
    /// A copy, which does not hold what the message came in: that may be much larger.
    #[must_use]
    pub fn copy(from: &Arc<Source>, letter: &Letter<&[u8]>) -> Self {
        let (bytes, placed) = gather(letter);
        Self { from: from.clone(), letter: placed.map(|place| bytes.slice(place.range())) }
    }

    /// The same, borrowed.
    #[must_use]
    pub fn letter(&self) -> Letter<&[u8]> {
        self.letter.map(|bytes| &**bytes)
    }
}

/// A part of a message, in the bytes that a delivery came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: u32,
    length: u32,
}

impl Place {
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Option<Self> {
        if part.is_empty() {
            return Some(Self { at: 0, length: 0 });
        }
        let at = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        whole.get(at..at.checked_add(part.len())?)?;
        Some(Self { at: u32::try_from(at).ok()?, length: u32::try_from(part.len()).ok()? })
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + self.length as usize
    }
}

/// The parts of a message behind each other.
fn gather(letter: &Letter<&[u8]>) -> (Bytes, Letter<Place>) {
    let Letter { uid, data, route, body, .. } = letter;
    let mut bytes = Vec::with_capacity(uid.len() + data.len() + route.len() + body.len());
    let placed = letter.map(|part| {
        let at = bytes.len();
        bytes.extend_from_slice(part);
        // No transport carries a message of 4 GiB.
        Place { at: at as u32, length: part.len() as u32 }
    });
    (bytes.into(), placed)
}

/// Bytes a waiting message takes beside its parts, about: its place in a queue and the allocation.
const OVERHEAD: usize = 256;

fn weighed(mut letter: Letter<Place>) -> Letter<Place> {
    let parts = [letter.uid, letter.data, letter.route, letter.body];
    letter.weight = OVERHEAD + parts.iter().map(|part| part.length as usize).sum::<usize>();
    letter
}

/// Messages that came together, in the order of their arrival.
#[derive(Debug, Clone)]
pub struct Delivery {
    from: Arc<Source>,
    bytes: Bytes,
    letters: Vec<Letter<Place>>,
}

impl Delivery {
    /// None yet of those that came in these bytes.
    #[must_use]
    pub fn new(from: Arc<Source>, bytes: Bytes) -> Self {
        Self { from, bytes, letters: Vec::new() }
    }

    /// A single message, which is copied.
    #[must_use]
    pub fn one(from: Arc<Source>, letter: &Letter<&[u8]>) -> Self {
        let (bytes, placed) = gather(letter);
        Self { from, bytes, letters: vec![weighed(placed)] }
    }

    /// One more; false, and nothing is done, when it does not lie in the bytes that the delivery came in.
    pub fn add(&mut self, letter: &Letter<&[u8]>) -> bool {
        let mut inside = true;
        let placed = letter.map(|part| {
            Place::of(part, &self.bytes).unwrap_or_else(|| {
                inside = false;
                Place { at: 0, length: 0 }
            })
        });
        if inside {
            self.letters.push(weighed(placed));
        }
        inside
    }

    /// Where they come from.
    #[must_use]
    pub fn from(&self) -> &Arc<Source> {
        &self.from
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// One of them, counted from 0.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Letter<&[u8]>> {
        // All of them were looked at when they were added.
        self.letters.get(index).map(|letter| letter.map(|place| self.bytes.get(place.range()).unwrap_or_default()))
    }

    /// The session of each, in order.
    pub fn sessions(&self) -> impl Iterator<Item = i64> + '_ {
        self.letters.iter().map(|letter| letter.session)
    }

    /// The weight of each, in order.
    pub fn weights(&self) -> impl Iterator<Item = usize> + '_ {
        self.letters.iter().map(|letter| letter.weight)
    }

    /// Each as one of its own.
    pub fn messages(&self) -> impl Iterator<Item = IncomingMessage> + '_ {
        (0..self.len()).filter_map(|index| Some(IncomingMessage::copy(&self.from, &self.get(index)?)))
    }

    /// Takes those out for which `which` says so, given the session and the weight of each; both keep their order.
    #[must_use]
    pub fn extract(&mut self, mut which: impl FnMut(i64, usize) -> bool) -> Self {
        let letters = self.letters.extract_if(.., |letter| which(letter.session, letter.weight)).collect();
        Self { from: self.from.clone(), bytes: self.bytes.clone(), letters }
    }

    /// As many deliveries, each with those messages whose session `part` says is its own; in order.
    #[must_use]
    pub fn parted(self, parts: usize, part: impl Fn(i64) -> usize) -> Vec<Self> {
        let mut all = vec![Vec::new(); parts];
        for letter in self.letters {
            if let Some(letters) = all.get_mut(part(letter.session)) {
                letters.push(letter);
            }
        }
        let (from, bytes) = (self.from, self.bytes);
        all.into_iter().map(|letters| Self { from: from.clone(), bytes: bytes.clone(), letters }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Result};

    struct Nowhere;
    impl Back for Nowhere {
        fn answer(&self, _: u64, _: Result<&[u8], &Error>) {}
        fn push(&self, _: u64, _: Option<&str>, _: &str, _: &[u8]) -> Result<()> {
            Ok(())
        }
        fn kick(&self, _: u64, _: Option<&str>, _: Option<&crate::KickReason>) -> Result<()> {
            Ok(())
        }
    }

    fn source() -> Arc<Source> {
        let frontend = Arc::new(Peer { id: "f".into(), kind: "connector".into() });
        Arc::new(Source::new(frontend, Arc::default(), Arc::new(Nowhere)))
    }

    fn letter(session: i64, body: &[u8]) -> Letter<&[u8]> {
        let mut letter = Letter::new(session, Instant::now(), 0);
        letter.body = body;
        letter
    }

    #[test]
    fn messages_lie_where_they_came_in_and_keep_their_order() {
        let bytes = Bytes::from_static(b"abcdef");
        let mut delivery = Delivery::new(source(), bytes.clone());
        for (session, range) in [(1, 0..2), (2, 2..3), (1, 3..6), (3, 6..6)] {
            assert!(delivery.add(&letter(session, &bytes[range])));
        }
        assert!(!delivery.add(&letter(1, b"elsewhere")));
        assert_eq!(delivery.len(), 4);
        let parts = delivery.parted(2, |session| session as usize % 2);
        let bodies = |part: &Delivery| part.messages().map(|message| message.letter.body).collect::<Vec<_>>();
        assert_eq!(bodies(&parts[0]), [&b"c"[..]]);
        assert_eq!(bodies(&parts[1]), [&b"ab"[..], b"def", b""]);
    }

    #[test]
    fn a_single_message_has_bytes_of_its_own() {
        let mut letter = letter(7, b"body");
        (letter.uid, letter.route) = (b"u", b"a.b.c");
        let delivery = Delivery::one(source(), &letter);
        let read = delivery.get(0).expect("one");
        assert_eq!(
            (read.session, read.uid, read.data, read.route, read.body),
            (7, &b"u"[..], &b""[..], &b"a.b.c"[..], &b"body"[..])
        );
        assert!(delivery.get(1).is_none());
    }
}
