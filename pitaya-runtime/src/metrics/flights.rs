//! Messages of one session that are with other servers.

use super::meter::{Meter, Route, Times};
use parking_lot::Mutex;
use pitaya_core::Error;
use std::sync::Arc;

/// What left and has not come back. As many as `pitaya.limits.inflight` lets leave.
pub(crate) struct Flights {
    meter: Arc<Meter>,
    out: Mutex<Vec<Flight>>,
}

struct Flight {
    id: u64,
    route: Route,
    times: Times,
}

impl Flights {
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        Self { meter: meter.clone(), out: Mutex::default() }
    }

    /// A message is sent on; notifies have the id 0.
    pub(crate) fn left(&self, id: u64, route: &str, times: Times) {
        let known = self.meter.elsewhere(route);
        let route = known.map_or_else(|| Route::Written(route.into()), Route::Known);
        self.out.lock().push(Flight { id, route, times });
    }

    /// Its outcome is here. Of several with one id it is the first: they come back in the order in which they left.
    pub(crate) fn back(&self, id: u64, error: Option<&Error>) {
        let mut out = self.out.lock();
        let Some(index) = out.iter().position(|flight| flight.id == id) else { return };
        let flight = out.remove(index);
        drop(out);
        self.meter.came_back(&flight.route, id != 0, flight.times, error);
    }
}
