//! Calls and messages that come one by one: from Go servers, and calls of ours that want no answer.

use super::counters::count;
use super::hub::{Hub, Reply};
use super::outcome::{Refusal, oversize};
use super::seal::{Claim, Refused, Stream};
use super::subjects;
use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use pitaya_core::cluster::envelope::{KickMsg, Msg, MsgType, Push, Request, Response, RpcType, Session};
use pitaya_core::cluster::seal::Purpose;
use pitaya_core::cluster::{Back, Delivery, IncomingCall, Letter, Source, metadata};
use pitaya_core::remote::{Metadata, Peer};
use pitaya_core::{Error, KickReason, Result, codes};
use prost::Message as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The longest time-out that is believed: a deadline beyond is beyond what a clock can say.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// So many messages are taken before others have their turn.
const TURN: usize = 64;

/// Whoever takes what comes by a subject.
pub(super) trait Takes: Send {
    /// The subscription.
    const STREAM: Stream;

    /// One message. `signed` is false when its sender need not sign: then it is answered unsigned.
    fn take(&mut self, message: Message, signed: bool);

    /// Whether it asks only if this server is there, which its sender learns from the broker.
    fn is_probe(&self, message: &Message) -> bool;

    /// From whom a message says that it comes.
    fn claim(&self, message: &Message) -> Option<Claim>;

    /// A message that is not taken as a server's: whoever waits for its answers is told.
    fn refuse(&mut self, message: &Message, refused: Refused);

    /// No more are there at this moment.
    fn over(&mut self) {}
}

/// Takes what has arrived already, up to one turn.
pub(super) fn drain(subscriber: &mut Subscriber, mut each: impl FnMut(Message)) {
    for _ in 1..TURN {
        match subscriber.next().now_or_never() {
            Some(Some(message)) => each(message),
            _ => return,
        }
    }
}

/// Verifies a message, where messages are signed, and has it taken or refused.
fn give<T: Takes>(hub: &Hub, taker: &mut T, mut message: Message) {
    let Some(guard) = &hub.guard else { return taker.take(message, true) };
    match guard.open(T::STREAM, &mut message) {
        Ok(()) => taker.take(message, true),
        Err(Refused::Unsigned) if taker.is_probe(&message) => {}
        Err(refused) => {
            let claim = taker.claim(&message);
            if refused == Refused::Unsigned && claim.as_ref().is_some_and(|claim| hub.excuses(claim)) {
                return taker.take(message, false);
            }
            hub.count_refused(refused, &message.subject, claim.as_ref());
            // To what comes again the first one is answered.
            if refused != Refused::Replayed {
                taker.refuse(&message, refused);
            }
        }
    }
}

/// Takes what comes by one of the server's subjects, until another connection does or this one is lost. What had arrived
/// before is still taken. A server that stops refuses what comes, and stays to be seen: nobody waits for one who is gone.
pub(super) async fn serve(
    hub: Arc<Hub>,
    retired: CancellationToken,
    mut subscriber: Subscriber,
    mut taker: impl Takes,
) {
    let mut open = true;
    loop {
        tokio::select! {
            // A flood of messages must not hide the end.
            biased;
            () = hub.stopped.cancelled() => return,
            // The library forgets a subscription when it has written so, not when the broker has read it: what is on its
            // way at that moment is lost, and its sender hears PIT-408.
            () = retired.cancelled(), if open => { open = false; let _ = subscriber.drain().await; }
            message = subscriber.next() => match message {
                Some(message) => {
                    give(&hub, &mut taker, message);
                    drain(&mut subscriber, |message| give(&hub, &mut taker, message));
                    taker.over();
                }
                None => return,
            },
        }
    }
}

/// What a stopping server says to whatever comes.
pub(super) fn stopping() -> Error {
    Error::new(codes::UNAVAILABLE, "the server is stopping: nothing was run")
}

/// Takes one message by the server's own subject: of a client of another server, or one that is not in order.
pub(super) fn take(hub: &Arc<Hub>, message: &Message, signed: bool) {
    let reply = reply_to(message, signed);
    if hub.closed.is_cancelled() {
        respond(hub, reply.as_ref(), Err(&stopping()));
    } else if let Err(error) = read(hub, message, reply.clone()) {
        count(&hub.counters.malformed);
        tracing::debug!(
            subject = &*message.subject,
            error = error.message(),
            "a message of another server cannot be understood"
        );
        respond(hub, reply.as_ref(), Err(&error));
    }
}

/// Where the answer to a message goes, if one is wanted.
pub(super) fn reply_to(message: &Message, signed: bool) -> Option<Reply> {
    message.reply.clone().map(|to| Reply { to, signed })
}

/// Understands a message and has it run, or says what is wrong with it.
fn read(hub: &Arc<Hub>, message: &Message, reply: Option<Reply>) -> Result<()> {
    let Some(own) = hub.own() else { return Ok(()) };
    let request = Request::decode(message.payload.clone())
        .map_err(|e| Error::bad_request(format!("the request cannot be read: {e}")))?;
    let msg = request.msg.ok_or_else(|| Error::bad_request("the request has no message"))?;
    let metadata = metadata::decode(&request.metadata).map_err(Error::internal)?;
    let timeout = metadata::timeout(&metadata).unwrap_or(hub.settings.request_timeout).min(LONGEST);
    if timeout.is_zero() {
        return Err(Error::bad_request("the metadata leave no time: reqTimeout is 0"));
    }
    let deadline = Instant::now() + timeout;
    match RpcType::try_from(request.r#type) {
        Ok(RpcType::User) => {
            let mut call = IncomingCall::new(msg.route, deadline);
            (call.body, call.caller, call.metadata) = (msg.data, peer(&metadata), Arc::new(metadata));
            let hub = hub.clone();
            own.callee
                .call(call, Box::new(move |outcome| respond(&hub, reply.as_ref(), outcome.as_ref().map(|b| &**b))));
        }
        Ok(RpcType::Sys) => {
            let kind = metadata::text(&metadata, metadata::PEER_SERVICE).unwrap_or_default();
            let frontend = Arc::new(Peer { id: request.frontend_id.into(), kind: kind.into() });
            own.callee.messages(forwarded(hub, request.session, &msg, frontend, metadata, reply, deadline));
        }
        Err(_) => return Err(Error::bad_request("invalid rpc type").with("route", msg.route)),
    }
    Ok(())
}

/// Who says that it calls.
pub(super) fn peer(metadata: &Metadata) -> Option<Peer> {
    let text = |key| metadata::text(metadata, key);
    Some(Peer { id: text(metadata::PEER_ID)?.into(), kind: text(metadata::PEER_SERVICE)?.into() })
}

fn forwarded(
    hub: &Arc<Hub>,
    session: Option<Session>,
    msg: &Msg,
    frontend: Arc<Peer>,
    metadata: Metadata,
    reply: Option<Reply>,
    deadline: Instant,
) -> Delivery {
    let session = session.unwrap_or_default();
    let notify = msg.r#type == i32::from(MsgType::Notify);
    let back = Arc::new(PlainBack { hub: hub.clone(), reply, kind: frontend.kind.clone(), notify });
    let mut letter = Letter::new(session.id, deadline, 0);
    (letter.uid, letter.data) = (session.uid.as_bytes(), &*session.data);
    (letter.id, letter.notify) = (msg.id, notify);
    (letter.route, letter.body) = (msg.route.as_bytes(), &*msg.data);
    Delivery::one(Arc::new(Source::new(frontend, Arc::new(metadata), back)), &letter)
}

/// Answers, if anybody waits. What is larger than the broker takes becomes an error.
pub(super) fn respond(hub: &Hub, reply: Option<&Reply>, outcome: Result<&[u8], &Error>) {
    let Some(reply) = reply else { return };
    let encode = |outcome: Result<&[u8], &Error>| Response::from(outcome.map(Bytes::copy_from_slice)).encode_to_vec();
    if let Err(Refusal::Oversize(size, most)) = hub.answer(reply, encode(outcome)) {
        let error = too_large(size, most);
        let _ = hub.answer(reply, encode(Err(&error)));
    }
}

/// What the caller gets in place of an answer that is too large.
pub(super) fn too_large(size: usize, most: usize) -> Error {
    Error::internal(oversize("the answer", size, most).message().to_owned())
}

/// The way back to the client of a server without a lane: one message's.
struct PlainBack {
    hub: Arc<Hub>,
    reply: Option<Reply>,
    kind: Arc<str>,
    notify: bool,
}

impl PlainBack {
    /// Whom a push or a kick goes to. Go's text.
    fn user<'a>(&self, uid: Option<&'a str>) -> Result<&'a str> {
        let uid = uid
            .filter(|uid| !uid.is_empty())
            .ok_or_else(|| Error::new(codes::UNKNOWN, "you have to bind an UID to the session to do that"))?;
        check_user(&self.kind, uid).map(|()| uid)
    }
}

/// Whether a frontend's type and a uid make a subject.
pub(super) fn check_user(kind: &str, uid: &str) -> Result<()> {
    if subjects::fits(uid) && subjects::fits(kind) {
        return Ok(());
    }
    Err(Error::bad_request(format!("the user {uid:?} of a frontend of type {kind:?} cannot be addressed")))
}

impl Back for PlainBack {
    fn answer(&self, _: u64, outcome: Result<&[u8], &Error>) {
        // Go's acknowledgement of a notify.
        respond(&self.hub, self.reply.as_ref(), if self.notify { outcome.map(|_| &b"ack"[..]) } else { outcome });
    }

    fn push(&self, _: u64, uid: Option<&str>, route: &str, body: &[u8]) -> Result<()> {
        let uid = self.user(uid)?;
        publish_push(&self.hub, &self.kind, uid, route, body)
    }

    fn kick(&self, _: u64, uid: Option<&str>, reason: Option<&KickReason>) -> Result<()> {
        let uid = self.user(uid)?;
        publish_kick(&self.hub, &self.kind, uid, reason)
    }
}

/// Pushes to a user by the subject of its frontend's type.
pub(super) fn publish_push(hub: &Hub, kind: &str, uid: &str, route: &str, body: &[u8]) -> Result<()> {
    let push = Push { route: route.to_owned(), uid: uid.to_owned(), data: Bytes::copy_from_slice(body) };
    hub.publish(subjects::push(kind, uid), push.encode_to_vec(), Purpose::Publication)
}

/// Kicks a user by the subject of its frontend's type.
pub(super) fn publish_kick(hub: &Hub, kind: &str, uid: &str, reason: Option<&KickReason>) -> Result<()> {
    let reason = reason.map(KickReason::encode).unwrap_or_default().into();
    let kick = KickMsg { user_id: uid.to_owned(), reason };
    hub.publish(subjects::kick(kind, uid), kick.encode_to_vec(), Purpose::Publication)
}
