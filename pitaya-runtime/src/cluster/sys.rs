//! The framework's own remotes: what a backend does to a session that this server holds (`pkg/service/remote/sys.go`),
//! and one message for many users, which is ours.

use crate::groups::memberships::Question;
use crate::server::Server;
use bytes::Bytes;
use futures_util::FutureExt;
use pitaya_core::cluster::IncomingCall;
use pitaya_core::cluster::envelope::{KickAnswer, KickMsg, Response, Session as Named};
use pitaya_core::session::Push;
use pitaya_core::{Error, KickReason, Result, Session, codes};
use prost::Message;
use std::panic::AssertUnwindSafe;

/// Binds a session by its number.
pub(crate) const BIND: &str = "sys.bindsession";
/// Replaces the data of a session by its number.
pub(crate) const PUSH_SESSION: &str = "sys.pushsession";
/// Kicks a user.
pub(crate) const KICK: &str = "sys.kick";
/// Pushes to many users at once, or kicks them. Ours.
pub(crate) const TO_USERS: &str = "sys.tousers";
/// Acknowledges logins, and tells those that another frontend may have missed. Ours.
pub(crate) const LOGINS: &str = "sys.logins";

/// Records a group that a session has joined at another server. Ours, as the four that follow.
pub(crate) const JOIN_GROUP: &str = "sys.joingroup";
/// Forgets it again.
pub(crate) const LEAVE_GROUP: &str = "sys.leavegroup";
/// Takes an ended session out of groups.
pub(crate) const SESSION_ENDED: &str = "sys.sessionended";
/// Tells which of these groups a session is in.
pub(crate) const HELD_GROUPS: &str = "sys.heldgroups";
/// Tells whether a user has a session here.
pub(crate) const WHERE_IS: &str = "sys.whereis";

/// What [`TO_USERS`] carries.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ToUsers {
    /// The route of the push.
    #[prost(string, tag = "1")]
    pub(crate) route: String,
    /// The body, encoded for the clients.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) data: Bytes,
    #[prost(string, repeated, tag = "3")]
    pub(crate) uids: Vec<String>,
    /// A kick, which has neither route nor body.
    #[prost(bool, tag = "4")]
    pub(crate) kick: bool,
    /// Why they are kicked, a JSON object, or nothing. Only to servers that list the extension `kick-reason`.
    #[prost(bytes = "bytes", tag = "1008")]
    pub(crate) reason: Bytes,
}

/// Which of them were not here, by their places in the list.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Missed {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) places: Vec<u32>,
}

pub(crate) enum Operation {
    Bind,
    PushSession,
    Kick,
    ToUsers,
    Logins,
    Groups(Question),
}

/// The operation of this name, whoever asks: the names are reserved.
pub(crate) fn find(route: &str) -> Option<Operation> {
    Some(match route {
        BIND => Operation::Bind,
        PUSH_SESSION => Operation::PushSession,
        KICK => Operation::Kick,
        TO_USERS => Operation::ToUsers,
        LOGINS => Operation::Logins,
        JOIN_GROUP => Operation::Groups(Question::Joins),
        LEAVE_GROUP => Operation::Groups(Question::Leaves),
        SESSION_ENDED => Operation::Groups(Question::Ended),
        HELD_GROUPS => Operation::Groups(Question::Held),
        WHERE_IS => Operation::Groups(Question::WhereIs),
        _ => return None,
    })
}

impl Operation {
    /// Runs it; a callback of the app that panics is an error like any other.
    pub(crate) async fn guarded(self, server: &Server, call: &IncomingCall) -> Result<Bytes> {
        let outcome = AssertUnwindSafe(self.run(server, call)).catch_unwind().await;
        outcome.unwrap_or_else(|panic| Err(server.panicked(Some(&call.route), &*panic)))
    }

    async fn run(self, server: &Server, call: &IncomingCall) -> Result<Bytes> {
        match self {
            Self::Groups(question) => server.memberships.answer(&question, &call.body).await,
            Self::Bind => {
                let named: Named = read(&call.body)?;
                session(server, named.id)?.bind(&named.uid).await?;
                Ok(acknowledged())
            }
            Self::PushSession => {
                let named: Named = read(&call.body)?;
                let session = session(server, named.id)?;
                // Nothing is no change, as in Go.
                if !named.data.is_empty() {
                    session.data().replace_wire(&named.data)?;
                }
                Ok(acknowledged())
            }
            Self::Kick => {
                let KickMsg { user_id, reason } = read(&call.body)?;
                let session = server.sessions.by_uid(&user_id).ok_or_else(not_found)?;
                kick(&session, KickReason::decode(&reason).as_ref())?;
                Ok(KickAnswer { kicked: true }.encode_to_vec().into())
            }
            Self::ToUsers => {
                let ToUsers { route, data, uids, kick: kicks, reason } = read(&call.body)?;
                let push = if kicks { None } else { Some(Push::encoded(&route, data)?) };
                let reason = KickReason::decode(&reason);
                let reached = |uid: &String| {
                    server.sessions.by_uid(uid).is_some_and(|session| match &push {
                        Some(push) => session.send(push).is_ok(),
                        None => kick(&session, reason.as_ref()).is_ok(),
                    })
                };
                let missed = (0..).zip(&uids).filter(|(_, uid)| !reached(uid)).map(|(place, _)| place);
                Ok(Missed { places: missed.collect() }.encode_to_vec().into())
            }
            Self::Logins => {
                let from = call.caller.as_ref().ok_or_else(|| Error::bad_request("the call does not say from whom"))?;
                Ok(server.logins.take(&from.id, read(&call.body)?).encode_to_vec().into())
            }
        }
    }
}

/// Kicks a session, for a reason or without.
pub(crate) fn kick(session: &Session, reason: Option<&KickReason>) -> Result<()> {
    match reason {
        Some(reason) => session.kick_with(reason),
        None => session.kick(),
    }
}

fn read<M: Message + Default>(body: &Bytes) -> Result<M> {
    M::decode(body.clone()).map_err(|e| Error::bad_request(e.to_string()))
}

fn session(server: &Server, id: i64) -> Result<Session> {
    server.sessions.get(id).ok_or_else(not_found)
}

fn not_found() -> Error {
    Error::new(codes::UNKNOWN, "session not found")
}

/// Go wraps the answer of its own remotes in a second envelope.
fn acknowledged() -> Bytes {
    Response { data: Bytes::from_static(b"ack"), error: None }.encode_to_vec().into()
}
