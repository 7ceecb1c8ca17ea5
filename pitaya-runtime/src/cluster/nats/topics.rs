//! What is published to the users of a frontend, and to all frontends of a type: one task takes it all.

use super::counters::count;
use super::hub::Hub;
use super::incoming::{reply_to, respond};
use super::seal::{Claim, Refused, Stream};
use super::subjects::{self, Topic};
use async_nats::{Message, Subscriber};
use futures_util::stream::{AbortHandle, Abortable, SelectAll};
use futures_util::{FutureExt, StreamExt};
use pitaya_core::cluster::Login;
use pitaya_core::cluster::envelope::{BindMsg, KickAnswer, KickMsg, Push};
use pitaya_core::{Error, KickReason, codes};
use prost::Message as _;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// So many orders may wait for the task.
pub(super) const ORDERS: usize = 1024;

/// What the task is told.
pub(super) enum Order {
    /// To take these as well: what belongs to all.
    Take(Subscriber),
    /// To take a user's.
    Listen(Arc<str>, [Subscriber; 2]),
    /// To end a user's.
    Ignore(Arc<str>),
}

/// Takes what is published, until another connection does or this one is lost.
pub(super) async fn run(
    hub: Arc<Hub>,
    down: CancellationToken,
    retired: CancellationToken,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut all: SelectAll<Abortable<Subscriber>> = SelectAll::new();
    let mut users: HashMap<Arc<str>, [AbortHandle; 2]> = HashMap::new();
    loop {
        tokio::select! {
            // A connection that was replaced still gives what has arrived, also where it is lost in the same moment.
            biased;
            () = retired.cancelled() => {
                // What has arrived. The subscriptions end with their streams.
                while let Some(Some(message)) = all.next().now_or_never() {
                    take(&hub, message);
                }
                return;
            }
            () = down.cancelled() => return,
            () = hub.stopped.cancelled() => return,
            order = orders.recv() => match order {
                Some(Order::Take(subscriber)) => all.push(abortable(subscriber).0),
                Some(Order::Listen(uid, subscribers)) => {
                    let handles = subscribers.map(|subscriber| {
                        let (stream, handle) = abortable(subscriber);
                        all.push(stream);
                        handle
                    });
                    if let Some(before) = users.insert(uid, handles) {
                        before.iter().for_each(AbortHandle::abort);
                    }
                }
                // A stream that ends is dropped, and with it the subscription.
                Some(Order::Ignore(uid)) => users.remove(&uid).iter().flatten().for_each(AbortHandle::abort),
                None => return,
            },
            Some(message) = all.next(), if !all.is_empty() => take(&hub, message),
        }
    }
}

fn abortable(subscriber: Subscriber) -> (Abortable<Subscriber>, AbortHandle) {
    futures_util::stream::abortable(subscriber)
}

fn take(hub: &Hub, mut message: Message) {
    let Some(own) = hub.own() else { return };
    let subject = message.subject.clone();
    let Some(topic) = subjects::topic(&own.info.kind, &subject) else { return count(&hub.counters.malformed) };
    let signed = match admit(hub, &own.info.kind, topic, &mut message) {
        Ok(signed) => signed,
        Err(refused) => {
            hub.count_refused(refused, &message.subject, None);
            if refused != Refused::Replayed {
                respond(hub, reply_to(&message, false).as_ref(), Err(&refused.error()));
            }
            return;
        }
    };
    let reply = reply_to(&message, signed);
    let reply = reply.as_ref();
    let read = match topic {
        Topic::Push(uid) => Push::decode(message.payload.clone()).map(|push| {
            // libpitaya-cluster waits for an answer; Go neither waits nor answers.
            let error = || Error::new(codes::UNKNOWN, "session not found");
            let found = own.callee.push(uid, &push.route, &push.data);
            let outcome = if found { Ok(&b"ack"[..]) } else { Err(error()) };
            respond(hub, reply, outcome.as_ref().copied());
        }),
        Topic::Kick(uid) => KickMsg::decode(message.payload.clone()).map(|kick| {
            let kicked = own.callee.kick(uid, KickReason::decode(&kick.reason).as_ref());
            if let Some(reply) = reply {
                let _ = hub.answer(reply, KickAnswer { kicked }.encode_to_vec());
            }
        }),
        Topic::Bindings => BindMsg::decode(message.payload.clone()).map(|bound| {
            let login = Login::from(bound);
            // What comes back to its sender has passed the broker, and so has come to all that are subscribed.
            if login.frontend == own.info.id {
                own.callee.told_bound(&login);
            } else {
                own.callee.bound_elsewhere(&login);
            }
        }),
    };
    if let Err(e) = read {
        count(&hub.counters.malformed);
        let error = Error::bad_request(format!("the message cannot be read: {e}"));
        tracing::debug!(
            subject = &*message.subject,
            error = error.message(),
            "a message of another server cannot be understood"
        );
        respond(hub, reply, Err(&error));
    }
}

/// Verifies what was published, where messages are signed. Returns whether it was signed, or its sender need not sign.
///
/// Pushes and kicks of Go servers do not say from whom they come: without a signature they are taken when any type is excused.
fn admit(hub: &Hub, kind: &str, topic: Topic<'_>, message: &mut Message) -> Result<bool, Refused> {
    let Some(guard) = &hub.guard else { return Ok(true) };
    let is_login = topic == Topic::Bindings;
    match guard.open(if is_login { Stream::Bindings } else { Stream::Users }, message) {
        Ok(()) => return Ok(true),
        Err(Refused::Unsigned) => {}
        Err(refused) => return Err(refused),
    }
    let is_excused = match BindMsg::decode(message.payload.clone()) {
        Ok(bound) if is_login => hub.excuses(&Claim { id: bound.fid, kind: kind.to_owned(), frontend: true }),
        _ => !is_login && guard.excuses_any(),
    };
    if is_excused { Ok(false) } else { Err(Refused::Unsigned) }
}
