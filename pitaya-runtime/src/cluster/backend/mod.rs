//! Clients' messages that other servers forwarded: run here, answered there.
//!
//! A few tasks share the sessions by hash. A turn is polled where it is; only one that is pending is kept, and only its
//! session waits: messages of one session run one after the other, in the order of their arrival, as on the frontend.

mod changes;
mod remote;
mod shard;
mod turn;

use crate::counters::count;
use crate::server::Server;
use pitaya_core::cluster::IncomingMessage;
use pitaya_core::{Error, codes};
use shard::{Key, Shard};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The shards of one app.
pub(crate) struct Backend {
    server: Arc<Server>,
    shards: Box<[Arc<Shard>]>,
    /// Messages that wait or run.
    load: Arc<AtomicUsize>,
    hash: rustc_hash::FxBuildHasher,
}

impl Backend {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        // Two for each thread: one that has much to do leaves something to the others.
        let shards = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            server: server.clone(),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            load: server.forwarded.clone(),
            hash: rustc_hash::FxBuildHasher,
        }
    }

    /// Queues a message. One too many is refused at once.
    pub(crate) fn take(&self, message: IncomingMessage) {
        let server = &self.server;
        if self.load.fetch_add(1, Relaxed) >= server.settings.forwarded {
            self.load.fetch_sub(1, Relaxed);
            count(&server.counters.refused_messages);
            let error = Error::new(codes::UNAVAILABLE, "the server has too many messages in work");
            return message.back.answer(message.ticket, Err(&error));
        }
        let key: Key = (self.hash.hash_one(&*message.frontend.id), message.session);
        let index = self.hash.hash_one(key) as usize >> 7;
        let shard = &self.shards[index % self.shards.len()];
        if shard.push(&server.tasks, key, message) {
            shard.start(server, &self.load);
        }
    }
}
