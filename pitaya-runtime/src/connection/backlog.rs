//! What was read and has not run: whole packets behind a turn in progress, and the beginning of the next one.

use pitaya_core::wire::packet::HEADER;
use pitaya_core::wire::{Packet, PacketKind};

#[derive(Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
}

impl Backlog {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Lends the bytes out; [`put_back`](Self::put_back) follows.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Keeps what was not used. An empty backlog holds no memory.
    pub(super) fn put_back(&mut self, mut bytes: Vec<u8>, used: usize) {
        if used == bytes.len() {
            return;
        }
        bytes.drain(..used);
        self.bytes = bytes;
    }

    /// Whether more may be read: not with `messages` waiting, nor with one packet limit of bytes.
    pub(super) fn is_full(&self, limit: usize, messages: usize) -> bool {
        // The common case is the tail of one packet.
        if self.bytes.len() < HEADER {
            return false;
        }
        self.bytes.len() >= limit.saturating_add(HEADER) || self.count(limit, messages) >= messages
    }

    /// Counts at most as far as needed. A packet that is not one counts as full: it is judged when its turn comes.
    fn count(&self, limit: usize, enough: usize) -> usize {
        let (mut at, mut messages) = (0, 0);
        while messages < enough {
            match Packet::decode(&self.bytes[at..], limit) {
                Ok(Some((packet, length))) => {
                    at += length;
                    messages += usize::from(packet.kind == PacketKind::Data);
                }
                Ok(None) => break,
                Err(_) => return enough,
            }
        }
        messages
    }

    /// Whether a whole packet waits.
    pub(super) fn has_packet(&self, limit: usize) -> bool {
        !matches!(Packet::decode(&self.bytes, limit), Ok(None))
    }

    /// How many messages will not run any more.
    pub(super) fn drop_all(&mut self, limit: usize) -> usize {
        let messages = self.count(limit, usize::MAX - 1);
        self.bytes = Vec::new();
        if messages == usize::MAX - 1 { 0 } else { messages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_by_messages_and_by_bytes() {
        let mut backlog = Backlog::default();
        backlog.append(&[3, 0, 0, 0]);
        assert!(!backlog.is_full(100, 2), "a heartbeat is no message");
        backlog.append(&[4, 0, 0, 1, 0]);
        assert!(!backlog.is_full(100, 2));
        backlog.append(&[4, 0, 0, 1, 0]);
        assert!(backlog.is_full(100, 2));
        assert!(backlog.is_full(10, 100));
        assert_eq!(backlog.drop_all(100), 2);
        assert!(backlog.is_empty() && !backlog.has_packet(100));
    }

    #[test]
    fn what_is_no_packet_is_not_read_past() {
        let mut backlog = Backlog::default();
        backlog.append(&[9, 0, 0, 0]);
        assert!(backlog.is_full(100, 2) && backlog.has_packet(100));
        assert_eq!(backlog.drop_all(100), 0);
    }
}
