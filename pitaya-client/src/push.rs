//! Pushes: what the server sends unasked, and the streams they are read from.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::error::RequestError;

/// How many pushes are kept for the first streams to be opened.
const EARLY: usize = 64;

/// A message the server sent unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Route of the push, for instance `onMessage`.
    pub route: Arc<str>,
    /// The payload, decompressed.
    pub body: Bytes,
}

impl Push {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`RequestError::Decode`] when it is not such a value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        pitaya_core::json::read(&self.body).map_err(|error| RequestError::Decode(error.into()))
    }

    /// Reads the body as a protocol buffer.
    ///
    /// # Errors
    /// [`RequestError::Decode`] when it is not such a message.
    pub fn protobuf<M: prost::Message + Default>(&self) -> Result<M, RequestError> {
        M::decode(self.body.clone()).map_err(|error| RequestError::Decode(error.into()))
    }
}

/// Pushes in the order they came, all of them or those of one route.
///
/// It holds a [bounded](crate::ConnectOptions::push_capacity) number of unread pushes. When it is full the newest are
/// dropped, logged and counted ([`Counters::dropped_pushes`](crate::Counters)): the connection is never held up, since
/// answers and heartbeats come through it too. It ends when the connection does, after what was queued is read, and does
/// not keep the connection alive.
#[derive(Debug)]
pub struct PushStream(mpsc::Receiver<Push>);

impl PushStream {
    /// Waits for the next push; `None` when the connection is closed and all were read. May be cancelled without loss.
    pub async fn recv(&mut self) -> Option<Push> {
        self.0.recv().await
    }
}

impl Stream for PushStream {
    type Item = Push;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Push>> {
        self.0.poll_recv(cx)
    }
}

/// All streams of a connection.
pub(crate) struct Streams {
    capacity: usize,
    open: Mutex<Open>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Open {
    subscribers: Vec<Subscriber>,
    /// Pushes that came before the first stream: a server may push before an application can open one.
    early: VecDeque<Push>,
    /// Whether a stream was ever opened.
    begun: bool,
    closed: bool,
}

struct Subscriber {
    /// `None` takes all.
    route: Option<Box<str>>,
    sender: mpsc::Sender<Push>,
    /// Whether the last push found no room, so that a warning is written once each time.
    full: bool,
}

impl Subscriber {
    fn wants(&self, push: &Push) -> bool {
        self.route.as_deref().is_none_or(|route| *route == *push.route)
    }
}

impl Streams {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), open: Mutex::default(), dropped: AtomicU64::new(0) }
    }

    pub(crate) fn subscribe(&self, route: Option<&str>) -> PushStream {
        let (sender, receiver) = mpsc::channel(self.capacity);
        let mut subscriber = Subscriber { route: route.map(Box::from), sender, full: false };
        let mut open = self.open.lock();
        open.begun = true;
        let (wanted, rest) = std::mem::take(&mut open.early).into_iter().partition(|push| subscriber.wants(push));
        open.early = rest;
        for push in Vec::from(wanted) {
            self.offer(&mut subscriber, push);
        }
        if !open.closed {
            open.subscribers.retain(|other| !other.sender.is_closed());
            open.subscribers.push(subscriber);
        }
        PushStream(receiver)
    }

    pub(crate) fn deliver(&self, push: Push) {
        let mut open = self.open.lock();
        if open.begun {
            open.subscribers.retain_mut(|subscriber| !subscriber.wants(&push) || self.offer(subscriber, push.clone()));
        } else if open.early.len() < EARLY {
            open.early.push_back(push);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives a push to a stream, and says whether the stream still exists.
    fn offer(&self, subscriber: &mut Subscriber, push: Push) -> bool {
        match subscriber.sender.try_send(push) {
            Ok(()) => subscriber.full = false,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(push)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut subscriber.full, true) {
                    let (route, capacity) = (&*push.route, self.capacity);
                    tracing::warn!(route, capacity, "pushes are dropped: their stream is not read fast enough");
                }
            }
        }
        true
    }

    /// Ends all streams behind what they hold.
    pub(crate) fn close(&self) {
        let mut open = self.open.lock();
        open.closed = true;
        open.subscribers.clear();
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
