//! One connection to the broker, from when it is made until it is lost. It is never made again: another takes its place.

use super::calls::{Calls, Key, Waiter, Waits};
use super::flight::Lane;
use super::hub::Hub;
use super::outcome::{Failure, Refusal};
use super::post::{Parcel, Post, Tracked};
use super::seal::Guard;
use super::subjects;
use super::topics::Order;
use async_nats::message::OutboundMessage;
use async_nats::{Client, Subject};
use bytes::Bytes;
use parking_lot::RwLock;
use pitaya_core::cluster::ServerInfo;
use pitaya_core::cluster::lane::{LaneCall, LoneCall};
use pitaya_core::cluster::seal::{self, Purpose};
use pitaya_core::maps::KeyedMap;
use pitaya_core::{Error, Result};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What stands before the number of a way of calls, among the lanes.
pub(super) const CALLS: char = 'c';

/// What the library says of a connection.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// It is lost.
    pub(super) down: CancellationToken,
    /// The broker is about to end, and asks its clients to go elsewhere.
    pub(super) lame: Notify,
}

/// Where messages go that travel alone.
#[derive(Clone)]
pub(super) struct Single {
    pub(super) subject: Subject,
    /// Whether its server need not sign.
    pub(super) unsigned: bool,
}

pub(super) struct Line {
    /// Which connection of this transport it is.
    pub(super) number: u64,
    pub(super) client: Client,
    pub(super) post: Post,
    pub(super) calls: Calls,
    pub(super) signals: Arc<Signals>,
    /// It takes no more calls and topics: another line does.
    pub(super) retired: CancellationToken,
    /// The tasks that take them. They end when nothing comes any more.
    pub(super) takers: TaskTracker,
    /// What all answers to calls come by, with a `.` at the end.
    pub(super) inbox: String,
    /// What all answers on the lane come by, with a `.` at the end. Below this server's own name: that proves to a
    /// receiver whose messages they are.
    pub(super) lane_inbox: String,
    /// The task of the users' subscriptions.
    pub(super) topics: mpsc::Sender<Order>,
    lanes: RwLock<KeyedMap<Arc<str>, Arc<Lane>>>,
    /// The ways of calls.
    callees: RwLock<KeyedMap<Arc<str>, Arc<Lane>>>,
    /// Where what travels alone goes.
    subjects: RwLock<KeyedMap<Arc<str>, Single>>,
    guard: Option<Arc<Guard>>,
    /// Whether this server is a frontend.
    frontend: bool,
    /// Nothing is in flight, and nobody looks at the clock.
    idle: AtomicBool,
    stir: Notify,
}

impl Line {
    pub(super) fn new(
        number: u64,
        client: Client,
        own: &ServerInfo,
        hub: &Hub,
        signals: Arc<Signals>,
        topics: mpsc::Sender<Order>,
    ) -> Self {
        let (settings, guard) = (&hub.settings, hub.guard.clone());
        // Each message has room for its seal.
        let payload = client.max_payload() - if guard.is_some() { seal::LEN } else { 0 };
        let token = uuid::Uuid::new_v4().simple();
        Self {
            number,
            post: Post::new(settings.buffer, payload, settings.request_timeout),
            client,
            calls: Calls::default(),
            signals,
            retired: CancellationToken::new(),
            takers: TaskTracker::new(),
            inbox: format!("_INBOX.{token}."),
            lane_inbox: format!("{}.{token}.", subjects::server(&own.kind, &own.id)),
            topics,
            lanes: RwLock::default(),
            callees: RwLock::default(),
            subjects: RwLock::default(),
            guard,
            frontend: own.frontend,
            idle: AtomicBool::new(false),
            stir: Notify::new(),
        }
    }

    /// The lane to this server.
    pub(super) fn lane(&self, to: &ServerInfo) -> Result<u32> {
        if let Some(lane) = self.lanes.read().get(&to.id) {
            return Ok(lane.index);
        }
        let unsigned = self.check(to)?;
        let mut lanes = self.lanes.write();
        let lane = lanes.entry(to.id.clone()).or_insert_with(|| {
            self.post.add_lane(|index| Lane {
                index,
                server: to.id.clone(),
                unsigned,
                subject: subjects::lane(&to.kind, &to.id).into(),
                reply: format!("{}{index}.", self.lane_inbox).into(),
            })
        });
        Ok(lane.index)
    }

    /// The way of calls to this server.
    fn callee(&self, to: &ServerInfo) -> Result<Arc<Lane>> {
        if let Some(lane) = self.callees.read().get(&to.id) {
            return Ok(lane.clone());
        }
        let unsigned = self.check(to)?;
        let mut callees = self.callees.write();
        let index = callees.len() as u32;
        let lane = || Lane {
            index,
            server: to.id.clone(),
            unsigned,
            subject: subjects::calls(&to.kind, &to.id).into(),
            reply: format!("{}{CALLS}{index}.", self.lane_inbox).into(),
        };
        Ok(callees.entry(to.id.clone()).or_insert_with(|| Arc::new(lane())).clone())
    }

    /// A server's own subject.
    pub(super) fn subject(&self, to: &ServerInfo) -> Result<Single> {
        if let Some(single) = self.subjects.read().get(&to.id) {
            return Ok(single.clone());
        }
        let unsigned = self.check(to)?;
        let single = || Single { subject: subjects::server(&to.kind, &to.id).into(), unsigned };
        Ok(self.subjects.write().entry(to.id.clone()).or_insert_with(single).clone())
    }

    /// The same for a message without an answer: whether that would be signed does not matter.
    pub(super) fn subject_unanswered(&self, to: &ServerInfo) -> Result<Subject> {
        if let Some(single) = self.subjects.read().get(&to.id) {
            return Ok(single.subject.clone());
        }
        check(to)?;
        Ok(subjects::server(&to.kind, &to.id).into())
    }

    /// Checks that a server can be addressed and that its answers will be taken. Returns whether it need not sign.
    fn check(&self, to: &ServerInfo) -> Result<bool> {
        check(to)?;
        let Some(guard) = &self.guard else { return Ok(false) };
        guard.trusts(to)?;
        Ok(guard.excuses(to))
    }

    /// Whether the server that answers calls by this way need not sign.
    pub(super) fn is_unsigned(&self, way: u32) -> bool {
        self.callees.read().values().any(|lane| lane.index == way && lane.unsigned)
    }

    /// Sends a call to a server of ours, together with the others that go there.
    pub(super) fn call(
        &self,
        to: &ServerInfo,
        sender: &[u8],
        mut call: LaneCall<'_>,
        timeout: Duration,
    ) -> Result<Result<Key, Refusal>> {
        let lane = self.callee(to)?;
        let Some(key) = self.calls.open(Waiter::Call, Instant::now() + timeout) else {
            return Ok(Err(Refusal::Closed));
        };
        call.number = key.number();
        let sent = self.post.call(&lane, sender, key, &call);
        Ok(self.sent(key, sent))
    }

    fn sent(&self, key: Key, sent: Result<(), Refusal>) -> Result<Key, Refusal> {
        if let Err(refusal) = sent {
            // Unless the waiter was told already, because the connection was lost between the two.
            if self.calls.give_up(key) {
                return Err(refusal);
            }
        }
        self.stir();
        Ok(key)
    }

    /// Sends a call to any other server.
    pub(super) fn call_alone(&self, to: Single, call: &LoneCall<'_>, timeout: Duration) -> Result<Key, Refusal> {
        let (key, reply) = self.open(Waiter::Call, timeout, to.unsigned).ok_or(Refusal::Closed)?;
        let sent = self.post.call_alone(to.subject, reply, key, call);
        self.sent(key, sent)
    }

    /// Sends a message that is answered to a waiter.
    pub(super) fn request(
        &self,
        to: Single,
        payload: Bytes,
        waiter: Waiter,
        timeout: Duration,
    ) -> Result<Key, Refusal> {
        let (key, reply) = self.open(waiter, timeout, to.unsigned).ok_or(Refusal::Closed)?;
        let message = OutboundMessage { subject: to.subject, reply: Some(reply), payload, headers: None };
        let request = Parcel { message, tracked: Tracked::Call(key), purpose: Some(Purpose::Request) };
        let sent = self.post.send(request, false);
        self.sent(key, sent)
    }

    /// A waiter whose answer comes alone.
    fn open(&self, waiter: Waiter, within: Duration, unsigned: bool) -> Option<(Key, Subject)> {
        self.calls.open_alone(waiter, Instant::now() + within, &self.inbox, unsigned)
    }

    /// Ends what is subscribed for a user.
    pub(super) fn ignore(&self, uid: Arc<str>) {
        if let Err(mpsc::error::TrySendError::Full(order)) = self.topics.try_send(Order::Ignore(uid)) {
            // Many sessions end at once. A connection that is lost needs no such order.
            let topics = self.topics.clone();
            tokio::spawn(async move { topics.send(order).await });
        }
    }

    /// Waits until the broker has done what it was told before: a message to ourselves comes back behind it. (The flush
    /// of the library ends at the socket.)
    pub(super) async fn settle(&self, within: Duration) -> Result<(), Failure> {
        let (key, subject) = self.open(Waiter::Call, within, false).ok_or(Failure::Unsent)?;
        let mut waits = Waits::new(&self.calls, key);
        let message = OutboundMessage { subject, reply: None, payload: Bytes::new(), headers: None };
        let word = Parcel { message, tracked: Tracked::Call(key), purpose: Some(Purpose::Answer) };
        self.post.send(word, true).map_err(|_| Failure::Unsent)?;
        self.stir();
        poll_fn(|cx| waits.poll(cx)).await.map(drop)
    }

    /// Whether a server of ours listens where this server sends most to: a frontend to lanes, and any other one to the
    /// subjects of calls, for the broker may let it publish nowhere else. The server is sent a probe, to which the broker answers with 503 when there is
    /// nobody; a message to ourselves behind it says that the broker has seen the probe.
    pub(super) async fn reaches(&self, to: &ServerInfo, within: Duration) -> bool {
        if check(to).is_err() {
            return false;
        }
        let Some((key, reply)) = self.open(Waiter::Call, within, false) else { return false };
        let mut refused = Waits::new(&self.calls, key);
        let subject = if self.frontend { subjects::lane } else { subjects::calls };
        let subject = subject(&to.kind, &to.id).into();
        let probe = OutboundMessage { subject, reply: Some(reply), payload: Bytes::new(), headers: None };
        let probe = Parcel { message: probe, tracked: Tracked::Call(key), purpose: Some(Purpose::Request) };
        if self.post.send(probe, true).is_err() {
            return false;
        }
        self.stir();
        tokio::select! {
            // The answers may come together, the refusal first.
            biased;
            _ = poll_fn(|cx| refused.poll(cx)) => false,
            settled = self.settle(within) => settled.is_ok(),
        }
    }

    /// Takes nothing more. When it returns, what had arrived was taken, and the broker knows that no more is.
    pub(super) async fn retire(&self, within: Duration) {
        self.retired.cancel();
        self.takers.close();
        let _ = timeout(within, self.takers.wait()).await;
        let _ = self.settle(within).await;
    }

    /// Something is in flight.
    pub(super) fn stir(&self) {
        if self.idle.load(Acquire) && self.idle.swap(false, AcqRel) {
            self.stir.notify_one();
        }
    }

    /// Whether something is in flight.
    pub(super) fn is_flying(&self) -> bool {
        !self.calls.is_empty() || self.post.is_flying()
    }

    /// Waits until something is in flight.
    pub(super) async fn stirred(&self) {
        // In this order: who sends between the two sees that somebody waits.
        self.idle.store(true, Release);
        if !self.is_flying() {
            self.stir.notified().await;
        }
        self.idle.store(false, Release);
    }
}

/// Whether a server that others told of has a name that can be sent to.
pub(super) fn check(to: &ServerInfo) -> Result<()> {
    if subjects::fits(&to.kind) && subjects::fits(&to.id) {
        return Ok(());
    }
    Err(Error::internal(format!("a server with the type {:?} and the id {:?} cannot be called", to.kind, to.id)))
}
