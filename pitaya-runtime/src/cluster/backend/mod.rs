//! Clients' messages that other servers forwarded: run here, answered there.
//!
//! A few tasks share the sessions by hash. A turn is polled where it is; only one that is pending is kept, and only its
//! session waits: messages of one session run one after the other, in the order of their arrival, as on the frontend.

mod changes;
#[cfg(test)]
mod fake;
mod load;
mod outlets;
mod remote;
mod shard;
mod turn;

pub(crate) use load::{Amount, Load};

use crate::counters::count;
use crate::server::Server;
use pitaya_core::cluster::{Delivery, Source};
use pitaya_core::maps::KeyedState;
use pitaya_core::{Error, codes};
use shard::{Key, Shard};
use std::hash::BuildHasher;
use std::sync::Arc;

/// The shards of one app.
pub(crate) struct Backend {
    server: Arc<Server>,
    shards: Box<[Arc<Shard>]>,
    /// With a secret: frontends choose their ids and the numbers of their sessions.
    hash: KeyedState,
}

impl Backend {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        // Two for each thread: one that has much to do leaves something to the others.
        let shards = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            server: server.clone(),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            hash: KeyedState::default(),
        }
    }

    /// Queues messages. Those that are too many are refused at once.
    pub(crate) fn take(&self, mut delivery: Delivery) {
        let front = self.hash.hash_one(&*delivery.from().frontend.id);
        let refused = self.server.forwarded.admit(front, &mut delivery);
        if !refused.is_empty() {
            self.refuse(&refused);
        }
        let shard = |session: i64| {
            let key: Key = (front, session);
            (self.hash.hash_one(key) as usize >> 7) % self.shards.len()
        };
        let first = delivery.sessions().next();
        if let Some(session) = first.filter(|_| delivery.len() == 1) {
            return self.give(shard(session), front, delivery);
        }
        for (index, part) in delivery.parted(self.shards.len(), shard).into_iter().enumerate() {
            self.give(index, front, part);
        }
    }

    fn give(&self, shard: usize, front: u64, delivery: Delivery) {
        let Some(shard) = self.shards.get(shard).filter(|_| !delivery.is_empty()) else { return };
        if shard.push(&self.server.tasks, front, delivery) {
            shard.start(&self.server);
        }
    }

    fn refuse(&self, delivery: &Delivery) {
        for index in 0..delivery.len() {
            if let Some(letter) = delivery.get(index) {
                refuse(&self.server, delivery.from(), letter.ticket);
            }
        }
    }
}

/// Answers a message that has no room: it has certainly not run.
#[cold]
fn refuse(server: &Server, from: &Source, ticket: u64) {
    count(&server.counters.refused_messages);
    let error = Error::new(codes::UNAVAILABLE, "the server has too many messages in work");
    from.back.answer(ticket, Err(&error));
}
