//! Which messages have come already: one that comes again is refused.
//!
//! Messages of one connection come by one subscription in the order in which they were numbered, so that the highest number
//! is all there is to remember. What users' subjects bring comes by many subscriptions, in any order: there a window of
//! numbers is remembered.
//!
//! A connection that has been silent for longer than the tolerance is forgotten: what it sent is refused for its time.

use std::collections::HashMap;

/// Numbers remembered of a connection whose messages come by several subscriptions. What is older is refused: as many wait
/// at most for one of them to be taken.
const WINDOW: u64 = 65_536;
/// So many connections are remembered before those that are silent are looked for.
const FEW: usize = 256;

/// The messages of all connections, of those who know the key.
#[derive(Debug)]
pub(super) struct Seen {
    connections: HashMap<[u8; 16], Connection>,
    ordered: bool,
    /// With so many connections those that are silent are forgotten.
    full: usize,
}

#[derive(Debug, Default)]
struct Connection {
    highest: u64,
    /// When its last message was sent.
    sent: u64,
    /// Which of the last numbers have come, by number modulo [`WINDOW`].
    bits: Box<[u64]>,
}

impl Seen {
    /// `ordered`: all messages of a connection come by one subscription.
    pub(super) fn new(ordered: bool) -> Self {
        Self { connections: HashMap::new(), ordered, full: FEW }
    }

    /// Remembers a message, which was sent at this time. Returns whether it comes for the first time. What was sent before
    /// `oldest` is refused elsewhere.
    pub(super) fn admit(&mut self, connection: [u8; 16], number: u64, sent: u64, oldest: u64) -> bool {
        if self.connections.len() >= self.full && !self.connections.contains_key(&connection) {
            self.connections.retain(|_, connection| connection.sent >= oldest);
            self.full = FEW.max(self.connections.len() * 2);
        }
        let known = self.connections.entry(connection).or_default();
        let fresh = if self.ordered { known.advance(number) } else { known.mark(number) };
        if fresh {
            known.sent = known.sent.max(sent);
        }
        fresh
    }
}

impl Connection {
    fn advance(&mut self, number: u64) -> bool {
        let rises = number > self.highest;
        self.highest = self.highest.max(number);
        rises
    }

    fn mark(&mut self, number: u64) -> bool {
        if self.bits.is_empty() {
            self.bits = vec![0; (WINDOW / 64) as usize].into();
        }
        if number == 0 || number.saturating_add(WINDOW) <= self.highest {
            return false;
        }
        if number > self.highest {
            // The places of the numbers between belonged to older ones.
            let first = (self.highest + 1).max(number.saturating_sub(WINDOW - 1));
            (first..=number).for_each(|number| self.set(number, false));
            self.highest = number;
        }
        let (word, bit) = Self::place(number);
        let fresh = self.bits[word] & bit == 0;
        self.set(number, true);
        fresh
    }

    fn place(number: u64) -> (usize, u64) {
        let place = number % WINDOW;
        ((place / 64) as usize, 1 << (place % 64))
    }

    fn set(&mut self, number: u64, seen: bool) {
        let (word, bit) = Self::place(number);
        if seen {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const ONE: [u8; 16] = [1; 16];

    #[test]
    fn numbers_of_one_subscription_rise() {
        let mut seen = Seen::new(true);
        for (number, fresh) in [(1, true), (1, false), (5, true), (3, false), (5, false), (6, true)] {
            assert_eq!(seen.admit(ONE, number, 0, 0), fresh, "{number}");
        }
        assert!(seen.admit([2; 16], 1, 0, 0), "another connection counts by itself");
    }

    proptest! {
        #[test]
        fn in_any_order_each_comes_once(numbers in proptest::collection::vec(
            prop_oneof![1_u64..300, 60_000_u64..140_000], 1..200)) {
            let (mut seen, mut all, mut highest) = (Seen::new(false), HashSet::new(), 0);
            for number in numbers {
                let wanted = number + WINDOW > highest && all.insert(number);
                highest = highest.max(number);
                prop_assert_eq!(seen.admit(ONE, number, 0, 0), wanted, "{}", number);
            }
        }
    }

    #[test]
    fn silent_connections_are_forgotten() {
        let mut seen = Seen::new(true);
        for name in 0..FEW as u64 * 10 {
            let mut connection = [0; 16];
            connection[..8].copy_from_slice(&name.to_le_bytes());
            assert!(seen.admit(connection, 1, name, name.saturating_sub(10)));
        }
        assert!(seen.connections.len() <= FEW, "{}", seen.connections.len());
    }
}
