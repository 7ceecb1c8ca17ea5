//! Users, wherever their sessions are: a message or a kick by uid, through the frontends of one type.

use crate::cluster::sys::{self, Missed, ToUsers};
use crate::cluster::{Cluster, ServerInfo};
use crate::push::PushError;
use crate::sessions::Sessions;
use futures_util::future::join_all;
use pitaya_core::cluster::server::KICK_REASON;
use pitaya_core::codec::{Serializer, Writes};
use pitaya_core::rpc::{Rpc, RpcCall, Target};
use pitaya_core::session::Push;
use pitaya_core::{Json, KickReason, Session};
use prost::Message;
use std::fmt;
use std::sync::Arc;

/// After so many users were looked up other tasks have their turn.
const YIELD: usize = 256;
/// After so many have got a message their connections have: what these need is in the processor's cache still.
const WRITE: usize = 64;
/// What one message to another frontend carries at most, in bytes of uids: brokers refuse messages over 1 MiB.
const CHUNK: usize = 256 * 1024;

/// The users whose sessions are at the frontends of one type: [`App::users`](crate::App::users). A cheap handle.
///
/// ```no_run
/// use pitaya_runtime::prelude::*;
///
/// struct Match;
/// #[handler]
/// impl Match {
///     /// Runs on a backend; the players are at the connectors.
///     #[route(notify)]
///     pub async fn start(&self, app: &App, players: Vec<String>) -> Result<()> {
///         Ok(app.users("connector").push("onStart", &3, &players).await?)
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Users {
    kind: Arc<str>,
    cluster: Arc<Cluster>,
    sessions: Arc<Sessions>,
    serializer: Serializer,
}

/// What is sent to each.
#[derive(Clone, Copy)]
enum What<'a> {
    Push(&'a Push),
    Kick(Option<&'a KickReason>),
}

impl Users {
    pub(crate) fn new(cluster: Arc<Cluster>, sessions: Arc<Sessions>, serializer: Serializer) -> Self {
        Self { kind: cluster.own.kind.clone(), cluster, sessions, serializer }
    }

    /// Those at the frontends of another type.
    #[must_use]
    pub fn of(&self, kind: impl Into<Arc<str>>) -> Self {
        Self { kind: kind.into(), ..self.clone() }
    }

    /// The type of the frontends.
    #[must_use]
    pub fn server_type(&self) -> &str {
        &self.kind
    }

    /// Pushes a message in JSON to these users: [`push_as`](Self::push_as).
    ///
    /// # Errors
    /// As for [`push_encoded`](Self::push_encoded).
    pub async fn push<T: ?Sized>(
        &self,
        route: &str,
        message: &T,
        uids: &[impl AsRef<str> + Sync],
    ) -> Result<(), PushError>
    where
        (Json,): Writes<T>,
    {
        let push = self.encode::<(Json,), T>(route, message)?;
        self.push_encoded(&push, uids).await
    }

    /// Encodes a message once, with the one of these codecs that the app speaks, and pushes it to these users.
    ///
    /// # Errors
    /// As for [`push_encoded`](Self::push_encoded); [`PushError::Message`] when it cannot be written.
    pub async fn push_as<Cs: Writes<T>, T: ?Sized>(
        &self,
        route: &str,
        message: &T,
        uids: &[impl AsRef<str> + Sync],
    ) -> Result<(), PushError> {
        let push = self.encode::<Cs, T>(route, message)?;
        self.push_encoded(&push, uids).await
    }

    /// Pushes an encoded message to these users: at once to those who are here, with one message to each other frontend
    /// for the rest.
    ///
    /// # Errors
    /// [`PushError::Unreached`] with the uids that no frontend holds, that read too slowly, or whose frontend did not
    /// answer. A frontend that is not ours (a Go server's) does not tell: what was sent to it counts as delivered.
    /// [`PushError::NoClients`] when this handle is for the own type, and no server of that type has an acceptor.
    pub async fn push_encoded(&self, push: &Push, uids: &[impl AsRef<str> + Sync]) -> Result<(), PushError> {
        self.reach(What::Push(push), &as_strs(uids)).await
    }

    /// Kicks these users.
    ///
    /// # Errors
    /// As for [`push_encoded`](Self::push_encoded).
    pub async fn kick(&self, uids: &[impl AsRef<str> + Sync]) -> Result<(), PushError> {
        self.reach(What::Kick(None), &as_strs(uids)).await
    }

    /// Kicks these users with a reason. A frontend that does not understand reasons, as a Go server's, kicks without.
    ///
    /// # Errors
    /// As for [`push_encoded`](Self::push_encoded).
    pub async fn kick_with(&self, uids: &[impl AsRef<str> + Sync], reason: &KickReason) -> Result<(), PushError> {
        self.reach(What::Kick(Some(reason)), &as_strs(uids)).await
    }

    /// A message for [`push_encoded`](Self::push_encoded).
    ///
    /// # Errors
    /// When it cannot be written with the codec that the app speaks.
    pub fn encode<Cs: Writes<T>, T: ?Sized>(&self, route: &str, message: &T) -> pitaya_core::Result<Push> {
        Push::new::<Cs, T>(self.serializer.name(), route, message)
    }

    async fn reach(&self, what: What<'_>, uids: &[&str]) -> Result<(), PushError> {
        let own = &self.cluster.own;
        let missed = if own.kind == self.kind { self.reach_here(what, uids).await } else { uids.to_vec() };
        let others = self.cluster.servers.of(&self.kind);
        let others: Vec<_> = others.iter().filter(|server| server.frontend && server.id != own.id).collect();
        if others.is_empty() {
            // The own type is what stands here when none was named.
            if own.kind == self.kind && !own.frontend && !missed.is_empty() {
                return Err(PushError::NoClients(missed.into_iter().map(str::to_owned).collect()));
            }
            return unreached(missed.into_iter());
        }
        if missed.is_empty() {
            return Ok(());
        }
        let (ours, foreign): (Vec<_>, Vec<_>) = others.into_iter().partition(|server| server.keeps_order());
        let told = join_all(ours.into_iter().map(|server| self.tell(server, what, &missed))).await;
        let mut left: Vec<&str> = Vec::new();
        for (place, uid) in missed.iter().enumerate() {
            if !told.iter().any(|reached| reached[place]) {
                left.push(uid);
            }
        }
        if !foreign.is_empty() {
            // They hear by topic, and do not say whether they hold the user.
            left.retain(|uid| what.publish(&self.cluster, &self.kind, uid).is_err());
        }
        unreached(left.into_iter())
    }

    /// Reaches those who are here, and gives the others.
    async fn reach_here<'a>(&self, what: What<'_>, uids: &[&'a str]) -> Vec<&'a str> {
        let (mut here, mut missed) = (Vec::with_capacity(uids.len()), Vec::new());
        for (chunk, first) in uids.chunks(YIELD).zip((0..).step_by(YIELD)) {
            self.sessions.find(chunk, |place, session| match session {
                Some(session) => here.push((session.id(), first + place, session.clone())),
                None => missed.push(first + place),
            });
            if chunk.len() == YIELD {
                tokio::task::yield_now().await;
            }
        }
        // What belongs to sessions that came one after the other lies side by side, here and in the kernel: whoever goes
        // through thousands of them in another order waits for memory.
        here.sort_unstable_by_key(|(id, ..)| *id);
        for (n, (_, place, session)) in here.into_iter().enumerate() {
            // The user may have come back in another session by now.
            let again = || self.sessions.by_uid(uids[place]).filter(|now| *now != session);
            if !what.send(&session) && !again().is_some_and(|session| what.send(&session)) {
                missed.push(place);
            }
            if n % WRITE == WRITE - 1 {
                tokio::task::yield_now().await;
            }
        }
        missed.sort_unstable();
        missed.into_iter().map(|place| uids[place]).collect()
    }

    /// Which of these users a frontend has reached.
    async fn tell(&self, server: &ServerInfo, what: What<'_>, uids: &[&str]) -> Vec<bool> {
        let mut reached = Vec::with_capacity(uids.len());
        let mut rest = uids;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|uid| {
                bytes += uid.len() + 4;
                bytes <= CHUNK
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            let start = reached.len();
            match self.tell_some(server, what, now).await {
                Ok(Missed { places }) => {
                    reached.resize(start + now.len(), true);
                    for place in places {
                        if let Some(reached) = reached.get_mut(start + place as usize) {
                            *reached = false;
                        }
                    }
                }
                Err(error) => {
                    tracing::debug!(
                        server = &*server.id,
                        code = error.code(),
                        error = error.message(),
                        "{} users were not reached",
                        now.len()
                    );
                    reached.resize(start + now.len(), false);
                }
            }
            rest = later;
        }
        reached
    }

    async fn tell_some(&self, server: &ServerInfo, what: What<'_>, uids: &[&str]) -> pitaya_core::Result<Missed> {
        let uids = uids.iter().map(|uid| (*uid).to_owned()).collect();
        let message = match what {
            What::Push(push) => {
                ToUsers { route: push.route().to_owned(), data: push.body().clone(), uids, ..ToUsers::default() }
            }
            What::Kick(reason) => {
                let reason = reason.filter(|_| server.speaks(KICK_REASON)).map(KickReason::encode);
                ToUsers { uids, kick: true, reason: reason.unwrap_or_default().into(), ..ToUsers::default() }
            }
        };
        let mut call = RpcCall::new(Target::Server(server.id.clone()), sys::TO_USERS);
        call.body = message.encode_to_vec().into();
        let answer = Rpc::shared(self.cluster.clone()).call(call).await?;
        Ok(Missed::decode(answer)?)
    }
}

impl What<'_> {
    fn send(self, session: &Session) -> bool {
        match self {
            Self::Push(push) => session.send(push).is_ok(),
            Self::Kick(reason) => sys::kick(session, reason).is_ok(),
        }
    }

    fn publish(self, cluster: &Cluster, kind: &str, uid: &str) -> pitaya_core::Result<()> {
        match self {
            Self::Push(push) => cluster.transport.push(kind, uid, push.route(), push.body()),
            Self::Kick(reason) => cluster.transport.kick(kind, uid, reason),
        }
    }
}

fn as_strs(uids: &[impl AsRef<str> + Sync]) -> Vec<&str> {
    uids.iter().map(AsRef::as_ref).collect()
}

fn unreached<'a>(uids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), PushError> {
    if uids.len() == 0 { Ok(()) } else { Err(PushError::Unreached(uids.map(str::to_owned).collect())) }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("kind", &self.kind).finish_non_exhaustive()
    }
}
