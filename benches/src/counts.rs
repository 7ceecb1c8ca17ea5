//! Instructions and system calls per message: they do not move with the load of the machine, so they are the gate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::suite::row::{Drive, Rig, Row};
use crate::transport::Transport::WebSocket;

/// The two lengths of a run, in messages: what is counted is their difference, so that start and handshakes are not.
pub const LENGTHS: [u64; 2] = [2_000, 10_000];
/// The same under strace, where a message takes long.
pub const TRACED_LENGTHS: [u64; 2] = [1_000, 3_000];
/// Instructions may grow by so many per cent: five runs of one program lie within 1 % of each other.
pub const MAX_GROWTH: f64 = 3.0;
/// System calls a message may grow by so many: runs of one program differ by less than half of it.
pub const MAX_CALLS: f64 = 0.02;
/// A raw message may take so many times the instructions of the bare server's, which runs on the same runtime.
pub const MAX_TIMES: f64 = 1.6;
/// What a raw body takes that the bare server does not: a handler owns its payload, so it is allocated, copied and freed.
/// These are instructions of the C library and of `Bytes`, 8 ns; all ways around them take fewer instructions and more time
/// (a shared buffer costs two locked additions, 15 ns).
pub const OWNED: f64 = 187.0;

/// What is counted: a row, and the bare one whose instructions it may take [`MAX_TIMES`] of.
#[derive(Debug)]
pub struct Counted {
    /// The row.
    pub row: Row,
    /// The bare row.
    pub by: Option<&'static str>,
    /// Instructions that the bare row has no reason to take.
    pub besides: f64,
}

/// One connection: with more of them chance decides how many messages a wake-up finds.
const fn row(name: &'static str, rig: Rig, depth: usize) -> Row {
    Row::new(name, rig, Drive::Echo { conns: 1, depth })
}

/// Compared with nothing but its own baseline.
const fn bare(row: Row) -> Counted {
    Counted { row, by: None, besides: 0.0 }
}

const fn raw(row: Row, by: &'static str) -> Counted {
    Counted { row, by: Some(by), besides: OWNED }
}

/// Both sides own what they read.
const fn typed(row: Row, by: &'static str) -> Counted {
    Counted { row, by: Some(by), besides: 0.0 }
}

/// All of them.
#[rustfmt::skip]
pub const COUNTED: &[Counted] = &[
    bare(row("least-1", Rig::Bare("echo"), 1)),
    bare(row("least-16", Rig::Bare("echo"), 16)),
    bare(row("limit-1", Rig::Bare("echo-workers"), 1)),
    bare(row("limit-16", Rig::Bare("echo-workers"), 16)),
    raw(row("sync-1", Rig::Ours, 1), "limit-1"),
    raw(row("sync-16", Rig::Ours, 16), "limit-16"),
    bare(row("async-16", Rig::Ours, 16).asynchronous()),
    bare(row("json-16", Rig::Bare("json-workers"), 16).json()),
    typed(row("typed-16", Rig::Ours, 16).json(), "json-16"),
    bare(row("ws-16", Rig::Bare("ws-workers"), 16).over(WebSocket)),
    raw(row("ws-sync-16", Rig::Ours, 16).over(WebSocket), "ws-16"),
];

/// What one message costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// Instructions in user space, by callgrind.
    pub instructions: f64,
    /// System calls, by strace.
    pub system_calls: f64,
}

/// Counts by row.
pub type Counts = BTreeMap<String, Count>;

/// What is worse than it was.
#[must_use]
pub fn regressions(now: &Counts, before: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    for Counted { row, .. } in COUNTED {
        let Some(count) = now.get(row.name) else { continue };
        if row.rig.is_ours() {
            match before.get(row.name) {
                None => complaints.push(format!("{}: the baseline has no such row, see --update", row.name)),
                Some(before) => {
                    let growth = (count.instructions / before.instructions - 1.0) * 100.0;
                    if growth > MAX_GROWTH {
                        complaints.push(format!(
                            "{}: {:.0} instructions a message, {growth:.1} % more than the baseline's {:.0}",
                            row.name, count.instructions, before.instructions
                        ));
                    }
                    if count.system_calls > before.system_calls + MAX_CALLS {
                        complaints.push(format!(
                            "{}: {:.3} system calls a message, the baseline has {:.3}",
                            row.name, count.system_calls, before.system_calls
                        ));
                    }
                }
            }
        }
    }
    complaints
}

/// What takes more than the bare server allows.
#[must_use]
pub fn excesses(now: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    for Counted { row, by, besides } in COUNTED {
        let (Some(count), Some(bare)) = (now.get(row.name), by.and_then(|by| now.get(by))) else { continue };
        let times = (count.instructions - besides) / bare.instructions;
        if times > MAX_TIMES {
            let text = format!(
                "{}: {times:.2} times the instructions of the bare server besides {besides:.0}, at most {MAX_TIMES}",
                row.name
            );
            complaints.push(text);
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, f64, f64)]) -> Counts {
        let count = |instructions, system_calls| Count { instructions, system_calls };
        rows.iter().map(|(name, a, b)| ((*name).to_owned(), count(*a, *b))).collect()
    }

    #[test]
    fn more_than_before_is_a_complaint_and_less_is_none() {
        let before = counts(&[("limit-16", 300.0, 0.1), ("sync-16", 400.0, 0.14)]);
        assert_eq!(regressions(&counts(&[("limit-16", 900.0, 0.1), ("sync-16", 300.0, 0.1)]), &before), [""; 0]);
        let worse = regressions(&counts(&[("limit-16", 300.0, 0.1), ("sync-16", 413.0, 0.17)]), &before);
        assert_eq!(worse.len(), 2, "{worse:?}");
        assert!(worse[0].contains("413 instructions a message, 3.2 % more than the baseline's 400"), "{worse:?}");
        let missing = regressions(&counts(&[("sync-1", 1.0, 1.0)]), &before);
        assert!(missing[0].contains("no such row"), "{missing:?}");
    }

    #[test]
    fn more_than_the_bare_server_allows_is_a_complaint_even_when_it_always_was() {
        let counts = counts(&[("limit-16", 300.0, 0.1), ("sync-16", 600.0 + OWNED, 0.1), ("limit-1", 1000.0, 0.1)]);
        let text = "sync-16: 2.00 times the instructions of the bare server besides 187, at most 1.6";
        assert_eq!(excesses(&counts), [text]);
    }

    #[test]
    fn a_bare_row_comes_before_what_it_bounds() {
        for (at, counted) in COUNTED.iter().enumerate() {
            let named = |by| COUNTED[..at].iter().any(|other| other.row.name == by && !other.row.rig.is_ours());
            assert!(counted.by.is_none_or(named), "{}", counted.row.name);
        }
    }
}
