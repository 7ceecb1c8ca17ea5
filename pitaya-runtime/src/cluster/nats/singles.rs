//! Calls that come one by one, as Go servers send them: those that are there at the same moment run together.

use super::hub::{Hub, Reply};
use super::incoming::{self, LONGEST, Takes, peer, reply_to, respond};
use super::post::Parcel;
use super::seal::{Claim, Refused, Stream};
use async_nats::Message;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use pitaya_core::cluster::envelope::{Request, RpcType, put_answer};
use pitaya_core::cluster::lane::LoneCall;
use pitaya_core::cluster::{Back, Caller, ReceivedCall, metadata};
use pitaya_core::maps::KeyedMap;
use pitaya_core::remote::Peer;
use pitaya_core::{Error, KickReason, Result};
use prost::Message as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many different metadata are remembered: a server mostly sends the same with all its calls.
const REMEMBERED: usize = 1024;
/// Calls with longer ones are read one by one.
const SHORT: usize = 1024;
/// Answers lie behind each other in blocks of this many bytes.
const BLOCK: usize = 4096;
/// So many answers mostly go at once.
const TOGETHER: usize = 32;
/// What stands before the data of an answer, at most.
const HEAD: usize = 11;

/// What comes by the server's own subject, one message after the other.
pub(super) struct Singles {
    hub: Arc<Hub>,
    /// By the metadata as they came.
    known: KeyedMap<Bytes, Arc<Known>>,
    /// That of the last call: mostly the next one's, too.
    last: Option<Arc<Known>>,
    /// Calls that came at the same moment, and whom each answer goes to.
    calls: Vec<ReceivedCall>,
    replies: Vec<Option<Reply>>,
    /// When the first message of this moment came.
    now: Option<Instant>,
}

struct Known {
    json: Bytes,
    caller: Arc<Caller>,
    timeout: Duration,
}

impl Singles {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, known: KeyedMap::default(), last: None, calls: Vec::new(), replies: Vec::new(), now: None }
    }

    /// A call that is in order; `None` for all else.
    fn call(&mut self, payload: &Bytes) -> Option<ReceivedCall> {
        let now = match self.now {
            Some(now) => now,
            // Looked at once for all that are there.
            None if self.hub.closed.is_cancelled() => return None,
            None => *self.now.insert(Instant::now()),
        };
        let call = LoneCall::read(payload)?;
        if self.last.as_ref().is_none_or(|known| known.json != call.metadata) {
            self.last = Some(self.known.get(call.metadata).cloned().or_else(|| self.meet(call.metadata))?);
        }
        let known = self.last.as_ref()?;
        let ticket = self.replies.len() as u64;
        ReceivedCall::new(payload, call.route, call.body, &known.caller, now + known.timeout, ticket)
    }

    /// The first call with these metadata.
    fn meet(&mut self, json: &[u8]) -> Option<Arc<Known>> {
        let metadata = metadata::decode(json).ok().filter(|_| json.len() <= SHORT)?;
        let timeout = metadata::timeout(&metadata).unwrap_or(self.hub.settings.request_timeout).min(LONGEST);
        if timeout.is_zero() {
            return None;
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let (json, caller) = (Bytes::copy_from_slice(json), Arc::new(Caller::new(peer(&metadata), metadata)));
        let known = Arc::new(Known { json: json.clone(), caller, timeout });
        self.known.insert(json, known.clone());
        Some(known)
    }
}

impl Takes for Singles {
    const STREAM: Stream = Stream::Singles;

    fn take(&mut self, message: Message, signed: bool) {
        match self.call(&message.payload) {
            Some(call) => {
                self.calls.push(call);
                self.replies.push(reply_to(&message, signed));
            }
            None => incoming::take(&self.hub, &message, signed),
        }
    }

    fn is_probe(&self, _: &Message) -> bool {
        false
    }

    fn claim(&self, message: &Message) -> Option<Claim> {
        let request = Request::decode(message.payload.clone()).ok()?;
        let metadata = metadata::decode(&request.metadata).ok()?;
        let Peer { id, kind } = peer(&metadata)?;
        let frontend = request.r#type == i32::from(RpcType::Sys);
        // A client's message runs for the session of the frontend that it names.
        let id = if frontend { request.frontend_id } else { id.to_string() };
        Some(Claim { id, kind: kind.to_string(), frontend })
    }

    fn refuse(&mut self, message: &Message, refused: Refused) {
        respond(&self.hub, reply_to(message, false).as_ref(), Err(&refused.error()));
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
    /// What is longer is not queued: the broker may take less.
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Each is taken once.
    to: Vec<Option<Reply>>,
    queued: Vec<Parcel>,
    block: BytesMut,
}

impl Replies {
    fn new(hub: Arc<Hub>, to: Vec<Option<Reply>>) -> Self {
        let most = hub.back.load().as_ref().map_or(0, |line| line.post.payload).saturating_sub(HEAD).min(BLOCK);
        let queued = Vec::with_capacity(to.len().min(TOGETHER));
        Self { hub, most, open: Mutex::new(Open { to, queued, block: BytesMut::new() }) }
    }
}

impl Open {
    fn take(&mut self, ticket: u64) -> Option<Reply> {
        self.to.get_mut(ticket as usize)?.take()
    }
}

impl Back for Replies {
    fn answer(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        let to = self.open.lock().take(ticket);
        respond(&self.hub, to.as_ref(), outcome);
    }

    fn queue(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        let Some(data) = outcome.ok().filter(|data| data.len() <= self.most) else {
            return self.answer(ticket, outcome);
        };
        let mut open = self.open.lock();
        let Some(to) = open.take(ticket) else { return };
        let Open { queued, block, .. } = &mut *open;
        if block.capacity() < data.len() + HEAD {
            *block = BytesMut::with_capacity(BLOCK + HEAD);
        }
        put_answer(data, block);
        queued.push(Parcel::answer(to, block.split().freeze()));
    }

    fn flush(&self) {
        let answers = std::mem::take(&mut self.open.lock().queued);
        if !answers.is_empty() {
            self.hub.answer_all(answers);
        }
    }

    fn push(&self, _: u64, _: Option<&str>, _: &str, _: &[u8]) -> Result<()> {
        Err(no_session())
    }

    fn kick(&self, _: u64, _: Option<&str>, _: Option<&KickReason>) -> Result<()> {
        Err(no_session())
    }
}

/// Nobody asks: a call has no client.
fn no_session() -> Error {
    Error::internal("a call of another server belongs to no session")
}
