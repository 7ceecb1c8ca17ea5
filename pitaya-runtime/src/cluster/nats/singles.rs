//! Calls that come one by one, as Go servers send them: those that are there at the same moment run together.

use super::hub::Hub;
use super::incoming::{self, LONGEST, Takes, peer, respond};
use async_nats::message::OutboundMessage;
use async_nats::{Message, Subject};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use pitaya_core::cluster::envelope::put_answer;
use pitaya_core::cluster::lane::LoneCall;
use pitaya_core::cluster::{Back, Caller, ReceivedCall, metadata};
use pitaya_core::{Error, Result};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many different metadata are remembered: a server mostly sends the same with all its calls.
const REMEMBERED: usize = 1024;
/// Calls with longer ones are read one by one.
const SHORT: usize = 1024;
/// Answers lie behind each other in blocks of this many bytes.
const BLOCK: usize = 4096;
/// What stands before the data of an answer, at most.
const HEAD: usize = 11;

/// What comes by the server's own subject, one message after the other.
pub(super) struct Singles {
    hub: Arc<Hub>,
    known: FxHashMap<Bytes, Known>,
    /// Calls that came at the same moment, and whom each answer goes to.
    calls: Vec<ReceivedCall>,
    replies: Vec<Option<Subject>>,
    /// When the first of them came.
    now: Option<Instant>,
}

struct Known {
    caller: Arc<Caller>,
    timeout: Duration,
}

impl Singles {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, known: FxHashMap::default(), calls: Vec::new(), replies: Vec::new(), now: None }
    }

    /// A call that is in order; `None` for all else, and nothing is done.
    fn call(&mut self, message: &Message) -> Option<()> {
        if self.hub.closed.is_cancelled() {
            return None;
        }
        let call = LoneCall::read(&message.payload)?;
        if !self.known.contains_key(call.metadata) {
            self.meet(call.metadata)?;
        }
        let known = self.known.get(call.metadata)?;
        let deadline = *self.now.get_or_insert_with(Instant::now) + known.timeout;
        let ticket = self.replies.len() as u64;
        let call = ReceivedCall::new(&message.payload, call.route, call.body, &known.caller, deadline, ticket)?;
        self.replies.push(message.reply.clone());
        self.calls.push(call);
        Some(())
    }

    /// The first call with these metadata.
    fn meet(&mut self, json: &[u8]) -> Option<()> {
        let metadata = metadata::decode(json).ok().filter(|_| json.len() <= SHORT)?;
        let timeout = metadata::timeout(&metadata).unwrap_or(self.hub.settings.request_timeout).min(LONGEST);
        if timeout.is_zero() {
            return None;
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let caller = Arc::new(Caller::new(peer(&metadata), metadata));
        self.known.insert(Bytes::copy_from_slice(json), Known { caller, timeout });
        Some(())
    }
}

impl Takes for Singles {
    fn take(&mut self, message: &Message) {
        if self.call(message).is_none() {
            incoming::take(&self.hub, message);
        }
    }

    fn over(&mut self) {
        self.now = None;
        let (calls, replies) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.replies));
        if let Some(own) = self.hub.own().filter(|_| !calls.is_empty()) {
            own.callee.calls(calls, Arc::new(Replies::new(self.hub.clone(), replies)));
        }
    }
}

/// Whom the answers to calls that came together go to. Tickets are places in the list.
struct Replies {
    hub: Arc<Hub>,
    to: Vec<Option<Subject>>,
    /// What is longer is not queued: the broker may take less.
    most: usize,
    queued: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    answers: Vec<OutboundMessage>,
    block: BytesMut,
}

impl Replies {
    fn new(hub: Arc<Hub>, to: Vec<Option<Subject>>) -> Self {
        let most = hub.back.load().as_ref().map_or(0, |line| line.post.payload).saturating_sub(HEAD).min(BLOCK);
        Self { hub, to, most, queued: Mutex::default() }
    }

    fn to(&self, ticket: u64) -> Option<&Subject> {
        self.to.get(ticket as usize)?.as_ref()
    }
}

impl Back for Replies {
    fn answer(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        respond(&self.hub, self.to(ticket), outcome);
    }

    fn queue(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        let Ok(data) = outcome else { return self.answer(ticket, outcome) };
        if data.len() > self.most {
            return self.answer(ticket, outcome);
        }
        let Some(subject) = self.to(ticket).cloned() else { return };
        let mut queued = self.queued.lock();
        let Queue { answers, block } = &mut *queued;
        if block.capacity() < data.len() + HEAD {
            *block = BytesMut::with_capacity(BLOCK + HEAD);
        }
        put_answer(data, block);
        let payload = block.split().freeze();
        answers.push(OutboundMessage { subject, reply: None, payload, headers: None });
    }

    fn flush(&self) {
        let answers = std::mem::take(&mut self.queued.lock().answers);
        if !answers.is_empty() {
            self.hub.answer_all(answers);
        }
    }

    fn push(&self, _: u64, _: Option<&str>, _: &str, _: &[u8]) -> Result<()> {
        Err(no_session())
    }

    fn kick(&self, _: u64, _: Option<&str>) -> Result<()> {
        Err(no_session())
    }
}

/// Nobody asks: a call has no client.
fn no_session() -> Error {
    Error::internal("a call of another server belongs to no session")
}
