//! The sessions of a frontend that forward messages: which is meant by a number, and what of it is in flight.

use parking_lot::{Mutex, RwLock};
use pitaya_core::cluster::lane::{self, Number};
use pitaya_core::cluster::{ServerInfo, Sink};
use pitaya_core::same;
use std::collections::VecDeque;
use std::sync::Arc;

/// A message on the lane without an answer.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    sequence: u32,
    /// The client's number.
    pub(super) id: u64,
    pub(super) lane: u32,
    pub(super) bundle: u64,
    pub(super) route: Arc<str>,
}

/// What is known of a session's way. Its lock is taken before that of the connection's post.
#[derive(Debug, Default)]
pub(super) struct Way {
    sequence: u32,
    waiting: VecDeque<Waiting>,
    session: Encoded,
    /// The last route: most sessions repeat themselves.
    route: Option<Arc<str>>,
    /// The last target, the connection it was looked up for, and its lane there.
    pub(super) last: Option<(Arc<ServerInfo>, u64, u32)>,
}

impl Way {
    /// The number that the next message has. 0 means no message.
    pub(super) fn next(&self) -> u32 {
        self.sequence.checked_add(1).unwrap_or(1)
    }

    /// The next message is on its way.
    pub(super) fn sent(&mut self, id: u64, route: &str, lane: u32, bundle: u64) {
        self.sequence = self.next();
        let route = self.route(route);
        self.waiting.push_back(Waiting { sequence: self.sequence, id, lane, bundle, route });
    }

    /// A route, for whoever has to be told that it had no answer.
    pub(super) fn route(&mut self, route: &str) -> Arc<str> {
        match &self.route {
            Some(last) if **last == *route => last.clone(),
            _ => self.route.insert(route.into()).clone(),
        }
    }

    /// The message with this number, once; only if it went to this lane, where one is said.
    pub(super) fn take(&mut self, sequence: u32, lane: Option<u32>) -> Option<Waiting> {
        // Answers come in order, but for methods that opt out of it.
        let is = |waiting: &Waiting| waiting.sequence == sequence && lane.is_none_or(|lane| lane == waiting.lane);
        let place = self.waiting.iter().position(is)?;
        self.waiting.remove(place)
    }

    /// The part of an envelope that says whose message it is: encoded again when something of it changed.
    pub(super) fn session(&mut self, id: i64, uid: &str, data: &[u8]) -> &[u8] {
        let known = &mut self.session;
        let fits = known.id == id && same(known.uid.as_bytes(), uid.as_bytes()) && same(known.data(), data);
        if known.part.is_empty() || !fits {
            let part = lane::session_part(id, uid, data);
            *known = Encoded { id, uid: uid.into(), data: data.len(), part };
        }
        &known.part
    }
}

#[derive(Debug, Default)]
struct Encoded {
    id: i64,
    uid: Box<str>,
    /// How long the data are, with which the part ends.
    data: usize,
    part: Vec<u8>,
}

impl Encoded {
    fn data(&self) -> &[u8] {
        &self.part[self.part.len() - self.data..]
    }
}

/// One session.
pub(super) struct Seat {
    /// With a sequence of 0.
    pub(super) number: Number,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) way: Mutex<Way>,
}

#[derive(Default)]
struct Place {
    generation: u8,
    seat: Option<Arc<Seat>>,
}

#[derive(Default)]
struct Rows {
    places: Vec<Place>,
    /// The one that has been free for longest is taken first: what is late finds a stranger there least likely.
    free: VecDeque<u32>,
}

/// All sessions.
#[derive(Default)]
pub(super) struct Seats(RwLock<Rows>);

impl Seats {
    /// A seat for one more session, unless there are 16 million.
    pub(super) fn enter(&self, sink: Arc<dyn Sink>) -> Option<Arc<Seat>> {
        let mut rows = self.0.write();
        let fresh = rows.places.len() as u32;
        // Free places rest for a while, so that a number is not used twice within moments.
        let slot = match rows.free.front().copied() {
            Some(slot) if rows.free.len() > 1024 || fresh >= Number::SLOTS => {
                rows.free.pop_front();
                slot
            }
            _ if fresh < Number::SLOTS => {
                rows.places.push(Place::default());
                fresh
            }
            _ => return None,
        };
        let place = &mut rows.places[slot as usize];
        let number = Number::new(slot, place.generation, 0);
        let seat = Arc::new(Seat { number, sink, way: Mutex::default() });
        place.seat = Some(seat.clone());
        Some(seat)
    }

    pub(super) fn leave(&self, number: Number) {
        let mut rows = self.0.write();
        let Some(place) = rows.places.get_mut(number.slot() as usize) else { return };
        let gone = place.seat.take();
        place.generation = place.generation.wrapping_add(1);
        rows.free.push_back(number.slot());
        drop(rows);
        // A sink may do anything when it is dropped.
        drop(gone);
    }

    /// The session that is meant, if it is still here.
    pub(super) fn find(&self, number: Number) -> Option<Arc<Seat>> {
        let rows = self.0.read();
        let place = rows.places.get(number.slot() as usize)?;
        place.seat.clone().filter(|_| place.generation == number.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pitaya_core::{Error, Result};

    struct Deaf;
    impl Sink for Deaf {
        fn answered(&self, _: u64, _: Result<&[u8], &Error>) {}
        fn pushed(&self, _: &str, _: &[u8]) {}
        fn kicked(&self, _: Option<&pitaya_core::KickReason>) {}
    }

    #[test]
    fn a_late_number_does_not_find_a_stranger() {
        let seats = Seats::default();
        let numbers: Vec<_> = (0..3000)
            .map(|_| {
                let seat = seats.enter(Arc::new(Deaf)).expect("a seat");
                assert!(seats.find(seat.number).is_some());
                seats.leave(seat.number);
                seat.number
            })
            .collect();
        assert!(numbers.iter().all(|number| seats.find(*number).is_none()));
        assert!(numbers.iter().any(|number| number.generation() > 0), "places are used again");
        assert!(seats.0.read().places.len() <= 1026);
    }

    #[test]
    fn answers_may_come_in_any_order_and_once() {
        let mut way = Way::default();
        for id in 1..=3 {
            way.sent(id, "a.b.c", 0, 1);
        }
        assert_eq!(way.take(2, None).map(|waiting| waiting.id), Some(2));
        assert!(way.take(2, None).is_none() && way.take(9, None).is_none());
        assert!(way.take(1, Some(7)).is_none(), "another server cannot answer it");
        assert_eq!(way.take(1, Some(0)).map(|waiting| waiting.id), Some(1));
    }

    #[test]
    fn a_session_is_encoded_again_when_it_changed() {
        let mut way = Way::default();
        let before = way.session(1, "", b"{}").to_owned();
        assert_eq!(way.session(1, "", b"{}"), before);
        assert_ne!(way.session(1, "u", b"{}"), before);
        assert_eq!(way.session(1, "", b"{}"), before);
    }
}
