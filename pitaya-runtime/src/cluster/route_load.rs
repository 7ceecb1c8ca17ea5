//! Pending calls by route, so that a route whose calls never end leaves room for the others.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Budgets below this many calls are not divided into shares: they would be fractions of a call.
const LEAST_SHARED: usize = 1024;

/// Counts the pending calls of each route.
#[derive(Debug)]
pub(crate) struct RouteLoad {
    /// How many calls may be in work, of all routes together.
    limit: usize,
    routes: Box<[AtomicUsize]>,
}

/// One pending call. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingCall<'a>(Option<&'a AtomicUsize>);

impl RouteLoad {
    pub(crate) fn new(limit: usize, routes: usize) -> Self {
        Self { limit, routes: (0..routes).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Whether so little is free that shares count: less than half.
    #[inline]
    pub(crate) fn is_crowded(&self, free: usize) -> bool {
        self.limit >= LEAST_SHARED && free < self.limit / 2
    }

    /// Whether another call of this route may begin while so many of any route would still fit. In a crowded server a route
    /// may have as many calls pending as would still fit, no more.
    #[inline]
    pub(crate) fn may_begin(&self, route: u32, free: usize) -> bool {
        !self.is_crowded(free) || self.routes.get(route as usize).is_none_or(|pending| pending.load(Relaxed) < free)
    }

    /// Counts a call of this route as pending.
    pub(crate) fn enter(&self, route: u32) -> PendingCall<'_> {
        self.add(route);
        PendingCall(self.routes.get(route as usize))
    }

    /// Counts a call of this route as pending until it [leaves](Self::leave).
    pub(crate) fn add(&self, route: u32) {
        if let Some(pending) = self.routes.get(route as usize) {
            pending.fetch_add(1, Relaxed);
        }
    }

    /// Ends what [`add`](Self::add) has begun.
    pub(crate) fn leave(&self, route: u32) {
        drop(PendingCall(self.routes.get(route as usize)));
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.0 {
            pending.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_never_ends_leaves_room_for_others() {
        let load = RouteLoad::new(2000, 2);
        let mut pending = Vec::new();
        while load.may_begin(0, 2000 - pending.len()) && pending.len() < 2000 {
            pending.push(load.enter(0));
        }
        assert!((999..=1001).contains(&pending.len()), "{}", pending.len());
        assert!(load.may_begin(1, 2000 - pending.len()), "another route goes on");
        pending.clear();
        assert!(load.may_begin(0, 900), "they have ended");
        assert!(RouteLoad::new(2, 1).may_begin(0, 0), "a small budget is not divided");
        assert!(load.may_begin(7, 0), "no such route");
        (0..900).for_each(|_| load.add(0));
        assert!(!load.may_begin(0, 900) && load.may_begin(1, 900), "those that wait for their turn count");
        (0..900).for_each(|_| load.leave(0));
        assert!(load.may_begin(0, 900), "they have begun");
    }
}
