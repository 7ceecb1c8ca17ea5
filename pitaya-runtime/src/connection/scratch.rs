//! The buffers of a worker thread: lent to whichever connection it polls, so that an idle connection holds none.

use crate::metrics::Tally;
use pitaya_core::turn::Place;
use std::cell::Cell;

/// As much as is read at once.
const READ: usize = 64 * 1024;
/// What a buffer may keep between two polls; a rare large message does not stay.
const KEEP: usize = 256 * 1024;
/// Reusable places for futures, by route.
const PLACES: usize = 64;

pub(super) struct Scratch {
    pub(super) read: Box<[u8]>,
    /// Packets taken out of WebSocket frames.
    pub(super) packets: Vec<u8>,
    pub(super) work: Work,
}

/// What the handling of packets needs.
pub(super) struct Work {
    /// Packets to be written.
    pub(super) out: Vec<u8>,
    /// The same, framed.
    pub(super) wire: Vec<u8>,
    /// An inflated body.
    pub(super) body: Vec<u8>,
    /// What became of messages, for the metrics.
    pub(super) tally: Tally,
    places: Box<[Place; PLACES]>,
}

impl Work {
    #[inline]
    pub(super) fn parts(&mut self, route: u32) -> (&mut Vec<u8>, &mut Place, &mut Tally) {
        (&mut self.out, &mut self.places[route as usize % PLACES], &mut self.tally)
    }
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends the thread's buffers. A handler that blocks on another connection's future finds them taken and gets new ones.
pub(super) fn with<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.take().unwrap_or_else(|| {
        let work = Work {
            out: Vec::with_capacity(READ),
            wire: Vec::new(),
            body: Vec::new(),
            tally: Tally::default(),
            places: Box::new(std::array::from_fn(|_| Place::default())),
        };
        Box::new(Scratch { read: vec![0; READ].into_boxed_slice(), packets: Vec::new(), work })
    });
    scratch.work.out.clear();
    let result = f(&mut scratch);
    for buffer in [&mut scratch.packets, &mut scratch.work.out, &mut scratch.work.wire, &mut scratch.work.body] {
        if buffer.capacity() > KEEP {
            *buffer = Vec::new();
        }
    }
    SCRATCH.set(Some(scratch));
    result
}
