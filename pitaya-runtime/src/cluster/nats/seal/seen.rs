//! Which messages have come already: one that comes again is refused.
//!
//! Each connection numbers what it sends. What it sends by one subject comes in this order, but not always: users' subjects
//! are many subscriptions, and while one connection to the broker takes the place of another, both are read. So numbers are
//! remembered in a window, and what is behind it is refused.
//!
//! A connection that has been silent for longer than the tolerance is forgotten: what it sent is refused for its time.

use std::collections::HashMap;

/// Number of remembered connections from which on the silent ones are looked for.
const FEW: usize = 256;

/// The messages of all connections, of those who know the key.
#[derive(Debug)]
pub(super) struct Seen {
    connections: HashMap<[u8; 16], Connection>,
    /// How many numbers of a connection are remembered: a multiple of 64.
    window: u64,
    /// With so many connections those that are silent are forgotten.
    full: usize,
}

#[derive(Debug, Default)]
struct Connection {
    highest: u64,
    /// When its last message was sent.
    sent: u64,
    /// Which of the last numbers have come, by number modulo the window.
    bits: Box<[u64]>,
}

impl Seen {
    pub(super) fn new(window: u64) -> Self {
        Self { connections: HashMap::new(), window, full: FEW }
    }

    /// Remembers a message, which was sent at this time. Returns whether it comes for the first time. What was sent before
    /// `oldest` is refused elsewhere.
    pub(super) fn admit(&mut self, connection: [u8; 16], number: u64, sent: u64, oldest: u64) -> bool {
        if self.connections.len() >= self.full && !self.connections.contains_key(&connection) {
            self.connections.retain(|_, connection| connection.sent >= oldest);
            self.full = FEW.max(self.connections.len() * 2);
        }
        let known = self.connections.entry(connection).or_default();
        let fresh = known.mark(number, self.window);
        if fresh {
            known.sent = known.sent.max(sent);
        }
        fresh
    }
}

impl Connection {
    fn mark(&mut self, number: u64, window: u64) -> bool {
        if self.bits.is_empty() {
            self.bits = vec![0; (window / 64) as usize].into();
        }
        if number == 0 || number.saturating_add(window) <= self.highest {
            return false;
        }
        if number > self.highest {
            // The places of the numbers between belonged to older ones.
            let first = (self.highest + 1).max(number.saturating_sub(window - 1));
            for number in first..=number {
                let (word, bit) = self.place(number, window);
                *word &= !bit;
            }
            self.highest = number;
        }
        let (word, bit) = self.place(number, window);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    fn place(&mut self, number: u64, window: u64) -> (&mut u64, u64) {
        let place = number % window;
        (&mut self.bits[(place / 64) as usize], 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const ONE: [u8; 16] = [1; 16];

    #[test]
    fn each_connection_counts_by_itself() {
        let mut seen = Seen::new(64);
        for (number, fresh) in
            [(1, true), (1, false), (5, true), (3, true), (3, false), (69, true), (5, false), (6, true)]
        {
            assert_eq!(seen.admit(ONE, number, 0, 0), fresh, "{number}");
        }
        assert!(seen.admit([2; 16], 1, 0, 0));
    }

    proptest! {
        #[test]
        fn in_any_order_each_comes_once(numbers in proptest::collection::vec(
            prop_oneof![1_u64..300, 200_u64..900], 1..200)) {
            let (mut seen, mut all, mut highest) = (Seen::new(256), HashSet::new(), 0);
            for number in numbers {
                let wanted = number + 256 > highest && all.insert(number);
                highest = highest.max(number);
                prop_assert_eq!(seen.admit(ONE, number, 0, 0), wanted, "{}", number);
            }
        }
    }

    #[test]
    fn silent_connections_are_forgotten() {
        let mut seen = Seen::new(64);
        for name in 0..FEW as u64 * 10 {
            let mut connection = [0; 16];
            connection[..8].copy_from_slice(&name.to_le_bytes());
            assert!(seen.admit(connection, 1, name, name.saturating_sub(10)));
        }
        assert!(seen.connections.len() <= FEW, "{}", seen.connections.len());
    }
}
