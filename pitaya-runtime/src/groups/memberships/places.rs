//! How many departures talk to one counterpart at the same time.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Departures that talk to one counterpart at the same time.
const AT_ONCE: usize = 32;

/// Counterpart of a departure: the server or store that has to answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Counterpart {
    /// The store of this server.
    Store,
    /// All other frontends, which are asked whether a user is back.
    Frontends,
    /// The server with this id, which wrote the memberships.
    Writer(Arc<str>),
}

/// Places by counterpart: one that does not answer holds up no departure to another. Holds nothing for those that no
/// departure talks to, so there are never more entries than departures under way.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<Counterpart, Arc<Semaphore>>>);

impl Places {
    /// Waits for a place at this counterpart.
    pub(super) async fn at(&self, counterpart: &Counterpart) -> Place<'_> {
        let new = || Arc::new(Semaphore::new(AT_ONCE));
        let places = self.0.lock().entry(counterpart.clone()).or_insert_with(new).clone();
        // Made before the wait, so that a departure which is given up cleans up as well.
        let mut place = Place { places: self, counterpart: counterpart.clone(), held: None };
        // It is never closed.
        place.held = places.acquire_owned().await.ok();
        place
    }
}

/// One place, until it is dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    counterpart: Counterpart,
    held: Option<OwnedSemaphorePermit>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.places.0.lock();
        self.held = None;
        if places.get(&self.counterpart).is_some_and(|left| Arc::strong_count(left) == 1) {
            places.remove(&self.counterpart);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_counterpart_that_hangs_holds_up_no_other() {
        let places = Places::default();
        let (hung, healthy) = (Counterpart::Writer("hung".into()), Counterpart::Writer("healthy".into()));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(places.at(&hung).now_or_never().expect("a place"));
        }
        assert!(places.at(&hung).now_or_never().is_none(), "all are taken");
        for free in [healthy, Counterpart::Store, Counterpart::Frontends] {
            assert!(places.at(&free).now_or_never().is_some(), "{free:?}");
        }
        held.pop();
        assert!(places.at(&hung).now_or_never().is_some(), "one is free again");
        drop(held);
        assert!(places.0.lock().is_empty(), "nothing is left of them");
    }
}
