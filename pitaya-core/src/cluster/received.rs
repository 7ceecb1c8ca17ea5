//! Calls that arrived together at the server that answers them.

use super::IncomingCall;
use super::delivery::Place;
use crate::rpc::{Metadata, Peer};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

/// Bytes are held, not copied, when they are at least this part of what they came in: what waits holds four times as much
/// at most.
const PART: usize = 4;

/// Who calls, and what travels with the call: one for many calls.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Caller {
    /// Who calls, if it said so.
    pub peer: Option<Peer>,
    /// What travels with each call.
    pub metadata: Arc<Metadata>,
}

impl Caller {
    /// A caller that sends these along.
    #[must_use]
    pub fn new(peer: Option<Peer>, metadata: Metadata) -> Self {
        Self { peer, metadata: Arc::new(metadata) }
    }
}

/// A call as it arrived: a few numbers, and places in the bytes it came in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReceivedCall {
    /// What its answer goes under.
    pub ticket: u64,
    /// Who calls.
    pub from: Arc<Caller>,
    /// When its caller stops waiting.
    pub deadline: Instant,
    bytes: Bytes,
    route: Place,
    body: Place,
}

impl ReceivedCall {
    /// A call whose route and body lie in `bytes`; `None` when they do not.
    #[must_use]
    pub fn new(
        bytes: &Bytes,
        route: &str,
        body: &[u8],
        from: &Arc<Caller>,
        deadline: Instant,
        ticket: u64,
    ) -> Option<Self> {
        let (route, body) = (Place::of(route.as_bytes(), bytes)?, Place::of(body, bytes)?);
        Some(Self { ticket, from: from.clone(), deadline, bytes: bytes.clone(), route, body })
    }

    /// The remote, as its caller wrote it, with or without a server type.
    #[inline]
    #[must_use]
    pub fn route(&self) -> &[u8] {
        // Both were looked at when it was made.
        self.bytes.get(self.route.range()).unwrap_or_default()
    }

    /// The argument, encoded.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body.range()).unwrap_or_default()
    }

    /// The same as one that stands alone: it holds next to nothing of what came with it.
    #[must_use]
    pub fn apart(&self) -> IncomingCall {
        IncomingCall {
            route: String::from_utf8_lossy(self.route()).into_owned().into(),
            body: part_of(&self.bytes, self.body()),
            caller: self.from.peer.clone(),
            metadata: self.from.metadata.clone(),
            deadline: self.deadline,
        }
    }
}

/// Bytes of a bundle that may outlive it.
#[must_use]
pub fn part_of(bundle: &Bytes, part: &[u8]) -> Bytes {
    if part.is_empty() {
        Bytes::new()
    } else if part.len() >= bundle.len() / PART {
        bundle.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &Bytes, route: &str, body: &[u8]) -> Option<ReceivedCall> {
        ReceivedCall::new(bytes, route, body, &Arc::default(), Instant::now(), 7)
    }

    #[test]
    fn a_call_lies_in_what_it_came_in() {
        let bytes = Bytes::from_static(b"room.chat.count+hi");
        let route = std::str::from_utf8(&bytes[..15]).expect("text");
        let call = received(&bytes, route, &bytes[16..]).expect("inside");
        assert_eq!((call.route(), call.body(), call.ticket), (&b"room.chat.count"[..], &b"hi"[..], 7));
        assert!(received(&bytes, "elsewhere", &bytes[16..]).is_none());
        let alone = call.apart();
        assert_eq!((&*alone.route, &*alone.body), ("room.chat.count", &b"hi"[..]));
    }

    #[test]
    fn what_stands_alone_holds_little() {
        let bundle = Bytes::from(vec![7; 1000]);
        assert_ne!(part_of(&bundle, &bundle[..249]).as_ptr(), bundle.as_ptr());
        assert_eq!(part_of(&bundle, &bundle[..250]).as_ptr(), bundle.as_ptr());
        assert!(part_of(&bundle, &[]).is_empty());
    }
}
