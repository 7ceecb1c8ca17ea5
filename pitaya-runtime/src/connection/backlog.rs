//! Bytes that were read and have not run: whole packets behind a turn in progress, and the beginning of the next one.
//!
//! How many messages wait is counted as they come, each byte once: a connection is polled for every heartbeat, push and
//! answer, and what a client has sent must not be read again each time.
//!
//! ```text
//! 0        start                    settled              bytes.len()
//! │  done  │  whole packets, counted   │  not looked at yet  │
//! ```

use crate::accept::Unfinished;
use pitaya_core::wire::packet::HEADER;
use pitaya_core::wire::{Packet, PacketKind};

/// What has run is cut off when it is this part of all: cutting moves at most three bytes for each byte that ran.
const CUT: usize = 4;
/// Memory beyond this is given back when most of it is free.
const KEEP: usize = 4096;

#[derive(Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// Bytes at the front that have run. These are 32 bits, as a connection is small: a packet is below 16 MiB, and
    /// reading stops behind one of them.
    start: u32,
    /// End of the packets that are counted in `messages`.
    settled: u32,
    /// Packets that wait for their turn.
    messages: u32,
    /// Number of the packet that has not come whole: another one for each that has.
    number: u32,
}

impl Backlog {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Lends the bytes out, and where those begin that have not run; [`put_back`](Self::put_back) follows.
    #[inline]
    pub(super) fn take(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.bytes), self.start as usize)
    }

    /// Takes the bytes back, of which `used` more have run. An empty backlog holds no memory.
    #[inline]
    pub(super) fn put_back(&mut self, mut bytes: Vec<u8>, used: usize) {
        let (before, start) = (self.start as usize, self.start as usize + used);
        // Packets behind the counted ones have run, so that another one is the last. What ran before it changes nothing.
        self.number = self.number.wrapping_add(u32::from(start > self.settled as usize));
        if start == bytes.len() {
            (self.start, self.settled, self.messages) = (0, 0, 0);
            return;
        }
        if start >= self.settled as usize {
            (self.settled, self.messages) = (start as u32, 0);
        } else {
            self.messages = self.messages.saturating_sub(packets(&bytes[before..start]));
        }
        self.start = start as u32;
        if start > 0 && start >= bytes.len() / CUT {
            bytes.drain(..start);
            (self.start, self.settled) = (0, self.settled - start as u32);
            if bytes.len() < bytes.capacity() / CUT && bytes.capacity() > KEEP {
                bytes.shrink_to_fit();
            }
        }
        self.bytes = bytes;
    }

    /// Whether a packet has come whole that is not counted yet.
    #[inline]
    pub(super) fn is_unsettled(&self, limit: usize) -> bool {
        matches!(self.next(limit), Ok(Some(_)))
    }

    /// Counts the packets that have come whole. Those that `waits` says false of do not wait, and vanish.
    pub(super) fn settle<E>(
        &mut self,
        limit: usize,
        mut waits: impl FnMut(&Packet<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let (mut from, mut to) = (self.settled as usize, self.settled as usize);
        while let Some(Ok(Some((packet, length)))) = self.bytes.get(from..).map(|rest| Packet::decode(rest, limit)) {
            if waits(&packet)? {
                if from != to {
                    self.bytes.copy_within(from..from + length, to);
                }
                self.messages += 1;
                to += length;
            }
            from += length;
        }
        if from != to {
            self.bytes.drain(to..from);
        }
        if from > self.settled as usize {
            self.number = self.number.wrapping_add(1);
        }
        if to == self.start as usize && to == self.bytes.len() {
            *self = Self { number: self.number, ..Self::default() };
        } else {
            self.settled = to as u32;
        }
        Ok(())
    }

    /// Whether nothing more may be read: with `messages` waiting, with one packet limit of bytes, or before bytes that are no
    /// packet, which are judged when their turn comes.
    pub(super) fn is_full(&self, limit: usize, messages: usize) -> bool {
        let waiting = self.bytes.len() - (self.start as usize).min(self.bytes.len());
        waiting >= limit.saturating_add(HEADER) || self.messages as usize >= messages || self.next(limit).is_err()
    }

    /// Whether a whole packet waits.
    pub(super) fn has_packet(&self, limit: usize) -> bool {
        let waiting = self.bytes.get(self.start as usize..).unwrap_or_default();
        !matches!(Packet::decode(waiting, limit), Ok(None))
    }

    /// Memory that it holds, in bytes.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether messages wait that have come whole.
    pub(super) fn has_messages(&self) -> bool {
        self.messages > 0
    }

    /// The packet that has begun and has not come whole, behind those that have.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        let tail = self.bytes.get(self.settled as usize..).filter(|tail| !tail.is_empty())?;
        let length = match *tail {
            [_, a, b, c, ..] => HEADER + u32::from_be_bytes([0, a, b, c]) as usize,
            _ => 0,
        };
        Some(Unfinished { number: self.number, length, held: self.held() })
    }

    /// How many messages will not run any more. Reads all of them: for the end of a connection.
    pub(super) fn drop_all(&mut self, limit: usize) -> usize {
        let Self { bytes, start, .. } = std::mem::take(self);
        let (mut at, mut messages) = (start as usize, 0);
        while let Some(Ok(Some((packet, length)))) = bytes.get(at..).map(|rest| Packet::decode(rest, limit)) {
            messages += usize::from(packet.kind == PacketKind::Data);
            at += length;
        }
        messages
    }

    #[inline]
    fn next(&self, limit: usize) -> Result<Option<(Packet<'_>, usize)>, pitaya_core::wire::PacketError> {
        Packet::decode(self.bytes.get(self.settled as usize..).unwrap_or_default(), limit)
    }
}

/// Number of packets in bytes that are whole packets.
fn packets(mut bytes: &[u8]) -> u32 {
    let mut packets = 0;
    while let Ok(Some((_, length))) = Packet::decode(bytes, usize::MAX) {
        packets += 1;
        bytes = &bytes[length..];
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    const BEAT: [u8; 4] = [3, 0, 0, 0];
    const NOTE: [u8; 5] = [4, 0, 0, 1, 0];

    fn append(backlog: &mut Backlog, bytes: &[u8]) {
        backlog.append(bytes);
        let Ok(()) = backlog.settle(100, |packet| Ok::<_, Infallible>(packet.kind == PacketKind::Data));
        assert!(!backlog.is_unsettled(100));
    }

    /// Runs the first `messages` of them.
    fn run(backlog: &mut Backlog, messages: usize) {
        let (bytes, start) = backlog.take();
        let mut used = 0;
        for _ in 0..messages {
            used += Packet::decode(&bytes[start + used..], 100).unwrap().unwrap().1;
        }
        backlog.put_back(bytes, used);
    }

    #[test]
    fn it_is_full_by_messages_and_by_bytes() {
        let mut backlog = Backlog::default();
        append(&mut backlog, &BEAT);
        assert!(backlog.is_empty() && !backlog.is_full(100, 1), "a heartbeat does not wait");
        append(&mut backlog, &NOTE);
        assert!(!backlog.is_full(100, 2));
        append(&mut backlog, &[&NOTE[..], &BEAT, &[3, 0]].concat());
        assert!(backlog.is_full(100, 2));
        assert!(backlog.is_full(8, 100) && !backlog.is_full(9, 100), "by 12 bytes");
        append(&mut backlog, &[0, 0]);
        assert!(backlog.is_full(6, 100) && !backlog.is_full(7, 100), "by 10 bytes");
        assert_eq!(backlog.drop_all(100), 2);
        assert!(backlog.is_empty() && !backlog.has_packet(100) && !backlog.is_full(100, 1));
    }

    #[test]
    fn a_packet_that_has_not_come_whole_has_one_number_until_it_has() {
        let mut backlog = Backlog::default();
        let begun = |backlog: &Backlog| backlog.unfinished().map(|unfinished| (unfinished.number, unfinished.length));
        append(&mut backlog, &NOTE);
        assert_eq!(begun(&backlog), None);
        append(&mut backlog, &NOTE[..2]);
        let (first, length) = begun(&backlog).expect("begun");
        append(&mut backlog, &NOTE[2..4]);
        assert_eq!((length, begun(&backlog)), (0, Some((first, NOTE.len()))));
        // Whatever runs before it, and comes behind it.
        append(&mut backlog, &[&NOTE[4..], &NOTE[..2]].concat());
        let (second, _) = begun(&backlog).expect("begun");
        assert_ne!(first, second);
        append(&mut backlog, &[&NOTE[2..], &BEAT, &BEAT[..2]].concat());
        let (third, _) = begun(&backlog).expect("begun");
        assert_ne!(second, third);
        append(&mut backlog, &[&BEAT[2..], &BEAT[..2]].concat());
        assert_ne!(begun(&backlog).expect("begun").0, third);
        append(&mut backlog, &BEAT[2..]);
        run(&mut backlog, 3);
        assert!(backlog.is_empty() && begun(&backlog).is_none());
        append(&mut backlog, &NOTE[..2]);
        let (last, _) = begun(&backlog).expect("begun");
        append(&mut backlog, &NOTE[2..]);
        run(&mut backlog, 1);
        append(&mut backlog, &NOTE[..2]);
        assert_ne!(begun(&backlog).expect("begun").0, last);
    }

    #[test]
    fn what_runs_before_a_packet_that_has_begun_gives_it_no_more_time() {
        let mut backlog = Backlog::default();
        append(&mut backlog, &[&NOTE.repeat(20)[..], &NOTE[..4]].concat());
        let begun = backlog.unfinished().expect("begun").number;
        for _ in 0..20 {
            run(&mut backlog, 1);
            assert_eq!(backlog.unfinished().expect("begun still").number, begun);
        }
    }

    #[test]
    fn the_memory_of_what_ran_is_given_back() {
        let mut backlog = Backlog::default();
        append(&mut backlog, &NOTE.repeat(10_000));
        run(&mut backlog, 9_999);
        assert!(backlog.held() <= KEEP, "{} bytes", backlog.held());
    }

    #[test]
    fn what_is_no_packet_is_not_read_past() {
        let mut backlog = Backlog::default();
        append(&mut backlog, &[&NOTE[..], &[9, 0, 0, 0], &NOTE].concat());
        assert!(backlog.is_full(100, 2) && backlog.has_packet(100));
        assert_eq!(backlog.drop_all(100), 1);
    }

    /// The limit grows with the acknowledgement of a handshake, and a packet may have come before.
    #[test]
    fn a_packet_beyond_the_limit_is_looked_at_again() {
        let mut backlog = Backlog::default();
        append(&mut backlog, &[&[4, 0, 0, 200][..], &[0; 200], &NOTE].concat());
        assert!(backlog.is_full(100, 9) && !backlog.is_full(300, 9));
        assert!(backlog.is_unsettled(300));
        let Ok(()) = backlog.settle(300, |_| Ok::<_, Infallible>(true));
        assert!(backlog.is_full(300, 2));
    }

    /// Heartbeats of one packet limit, byte by byte behind one message: each byte is looked at once, or this takes minutes.
    #[test]
    fn what_drips_costs_what_it_weighs() {
        let mut backlog = Backlog::default();
        append(&mut backlog, &NOTE);
        for byte in BEAT.iter().cycle().take(4 << 20) {
            append(&mut backlog, std::slice::from_ref(byte));
        }
        assert_eq!((backlog.bytes.len(), backlog.messages), (NOTE.len(), 1));
        // A million messages that run one by one, as answers come.
        append(&mut backlog, &NOTE.repeat(1 << 20));
        for _ in 0..1 << 20 {
            run(&mut backlog, 1);
        }
        assert_eq!((backlog.bytes.len() - backlog.start as usize, backlog.messages), (NOTE.len(), 1));
        run(&mut backlog, 1);
        assert!(backlog.is_empty() && backlog.bytes.capacity() == 0);
    }

    proptest! {
        /// Whatever comes in whatever pieces, what waits is what has not run, less heartbeats.
        #[test]
        fn nothing_is_lost_and_all_is_counted(
            packets in prop::collection::vec(prop::option::of(0_u8..60), 0..60),
            pieces in prop::collection::vec((1_usize..40, 0_usize..4), 1..60),
        ) {
            let mut stream = Vec::new();
            let mut messages = Vec::new();
            for (n, packet) in packets.iter().enumerate() {
                match packet {
                    None => stream.extend(BEAT),
                    Some(length) => {
                        stream.extend([4, 0, 0, *length]);
                        stream.extend(std::iter::repeat_n(n as u8, (*length).into()));
                        messages.push((*length, n as u8));
                    }
                }
            }
            let (mut backlog, mut rest, mut ran) = (Backlog::default(), &stream[..], 0);
            for (piece, runs) in pieces.iter().cycle().take(400) {
                let (now, later) = rest.split_at(rest.len().min(*piece));
                rest = later;
                append(&mut backlog, now);
                let waiting = backlog.messages as usize;
                let runs = waiting.min(*runs);
                if waiting > 0 {
                    let (length, n) = messages[ran];
                    let (bytes, start) = backlog.take();
                    let whole = &bytes[start..][..4 + usize::from(length)];
                    prop_assert!(whole[..4] == [4, 0, 0, length] && whole[4..].iter().all(|byte| *byte == n));
                    backlog.put_back(bytes, 0);
                }
                run(&mut backlog, runs);
                ran += runs;
                prop_assert_eq!(backlog.messages as usize, waiting - runs);
            }
            while backlog.messages > 0 {
                run(&mut backlog, 1);
                ran += 1;
            }
            if rest.is_empty() {
                prop_assert_eq!(ran, messages.len());
                prop_assert!(backlog.is_empty());
            }
        }
    }
}
