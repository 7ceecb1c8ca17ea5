//! The ways back of one shard, to each frontend one, and which of them have something to say.

use pitaya_core::cluster::{Back, Source};
use std::sync::Arc;

/// So many frontends are remembered before those that are gone are looked for.
const FEW: usize = 64;

/// Where messages come from, and the same with a way back of the shard's own.
struct Known {
    theirs: Arc<Source>,
    ours: Arc<Source>,
}

#[derive(Default)]
pub(super) struct Outlets {
    known: Vec<Known>,
    /// How many there were when those that are gone were looked for last.
    after: usize,
    /// What was queued there has not gone out.
    dirty: Vec<Arc<dyn Back>>,
}

impl Outlets {
    /// The source of a delivery, with a way back for this shard alone where there is one.
    pub(super) fn own(&mut self, from: &Arc<Source>) -> Arc<Source> {
        if let Some(known) = self.known.iter().find(|known| Arc::ptr_eq(&known.theirs, from)) {
            return known.ours.clone();
        }
        if !from.lasts {
            // What a single message brings besides does not let it overtake the others of its frontend.
            let known = self.known.iter().find(|known| Arc::ptr_eq(&known.theirs.back, &from.back));
            return known.map_or_else(|| from.clone(), |known| with_back(from, known.ours.back.clone()));
        }
        let Some(back) = from.back.branch() else { return from.clone() };
        if self.known.len() >= FEW.max(2 * self.after) {
            // A transport holds those of the frontends it knows.
            self.known.retain(|known| Arc::strong_count(&known.theirs) > 1);
            self.after = self.known.len();
        }
        let ours = with_back(from, back);
        self.known.push(Known { theirs: from.clone(), ours: ours.clone() });
        ours
    }

    /// Something was queued on this way.
    pub(super) fn touch(&mut self, back: &Arc<dyn Back>) {
        if !self.dirty.iter().rev().any(|dirty| Arc::ptr_eq(dirty, back)) {
            self.dirty.push(back.clone());
        }
    }

    /// All goes out.
    pub(super) fn flush(&mut self) {
        for back in self.dirty.drain(..) {
            back.flush();
        }
    }
}

fn with_back(from: &Source, back: Arc<dyn Back>) -> Arc<Source> {
    let mut source = from.clone();
    source.back = back;
    Arc::new(source)
}
