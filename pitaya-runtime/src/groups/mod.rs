//! Who hears a broadcast.
//!
//! A group is a name and the uids in it. [`Groups`] adds the users to a [`GroupStore`]: a broadcast is encoded once, and
//! queued for each member who is here; each other frontend gets one message for all of its members.

pub(crate) mod holders;
pub(crate) mod memberships;
pub mod memory;

use crate::push::PushError;
use crate::users::Users;
use memberships::Memberships;
use pitaya_core::__private::{FaultRow, Probe, submit};
use pitaya_core::cluster::groups::IfMissing;
use pitaya_core::cluster::{GroupError, GroupStore};
use pitaya_core::codec::Writes;
use pitaya_core::session::Push;
use pitaya_core::{Fault, Session, codes};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The groups of an app. A cheap handle: keep it, or borrow it in a handler as `groups: &Groups`.
///
/// A membership belongs to a session or to a user, as the game chooses:
///
/// * [`join`](Self::join) is for who is here now: a room, a match, a channel. The membership ends with the session, wherever
///   that ends and whatever ends it.
/// * [`add_member`](Self::add_member) is for who belongs to it, here or not: a guild, a team. The membership stays until
///   [`remove_member`](Self::remove_member).
///
/// A uid is a member once, and as long as its user or one of its sessions holds the membership.
///
/// ```no_run
/// use pitaya_runtime::prelude::*;
///
/// struct Room;
/// #[handler]
/// impl Room {
///     pub async fn join(&self, session: &Session, groups: &Groups) -> Result<()> {
///         groups.join_or_create("lobby", session).await?;
///         groups.broadcast("lobby", "onJoin", &session.uid()).await?;
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Groups {
    store: Arc<dyn GroupStore>,
    memberships: Arc<Memberships>,
    users: Users,
}

type Answer<T> = Result<T, GroupError>;

impl Groups {
    pub(crate) fn new(store: Arc<dyn GroupStore>, memberships: Arc<Memberships>, users: Users) -> Self {
        Self { store, memberships, users }
    }

    /// The same groups, whose broadcasts go to the frontends of this type. Otherwise they go to the servers of the own
    /// type, so a backend has to name one.
    ///
    /// ```no_run
    /// # use pitaya_runtime::prelude::*;
    /// # async fn tick(groups: &Groups) -> Result<()> {
    /// groups.at("connector").broadcast("lobby", "onTick", &7).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn at(&self, frontend_type: &str) -> Self {
        Self { users: self.users.of(frontend_type), ..self.clone() }
    }

    /// Makes a group.
    ///
    /// # Errors
    /// [`GroupError::AlreadyExists`], [`GroupError::InvalidName`]; in memory [`GroupError::StoreFull`] beyond
    /// `pitaya.groups.memory.total`.
    pub async fn create(&self, group: &str) -> Answer<()> {
        self.noted("create", group, self.store.create(group).await)
    }

    /// Makes a group that is gone after `ttl`, unless it is renewed.
    ///
    /// # Errors
    /// As for [`create`](Self::create), and [`GroupError::ZeroTtl`].
    pub async fn create_with_ttl(&self, group: &str, ttl: Duration) -> Answer<()> {
        self.noted("create_with_ttl", group, self.store.create_with_ttl(group, ttl).await)
    }

    /// Makes a group that is deleted when its last member leaves. It may be empty until the first one comes.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub async fn create_transient(&self, group: &str) -> Answer<()> {
        self.noted("create_transient", group, self.store.create_transient(group).await)
    }

    /// Makes a group unless it is there.
    ///
    /// # Errors
    /// [`GroupError::InvalidName`].
    pub async fn ensure(&self, group: &str) -> Answer<()> {
        match self.create(group).await {
            Err(GroupError::AlreadyExists) => Ok(()),
            other => other,
        }
    }

    /// Starts the group's time to live anew.
    ///
    /// # Errors
    /// [`GroupError::NotFound`], [`GroupError::TtlNotFound`].
    pub async fn renew_ttl(&self, group: &str) -> Answer<()> {
        self.noted("renew_ttl", group, self.store.renew_ttl(group).await)
    }

    /// Ends a group.
    ///
    /// # Errors
    /// [`GroupError::NotFound`].
    pub async fn delete(&self, group: &str) -> Answer<()> {
        self.noted("delete", group, self.store.delete(group).await)
    }

    /// Whether there is such a group.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn exists(&self, group: &str) -> Answer<bool> {
        self.noted("exists", group, self.store.exists(group).await)
    }

    /// The names of all groups.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn list(&self) -> Answer<Vec<Arc<str>>> {
        self.noted("list", "", self.store.list().await)
    }

    /// Makes the uid of a session a member for as long as the session lives, and says whether it was none before. Joining
    /// again with the same session changes nothing. Several sessions of one uid may join: it is a member until the last of
    /// them ends or [leaves](Self::leave).
    ///
    /// At a backend the frontend that has the session is asked first, so that it takes the membership out at the end: one
    /// call more than [`add_member`](Self::add_member).
    ///
    /// # Errors
    /// [`GroupError::NotFound`], [`GroupError::NotBound`]; [`GroupError::SessionEnded`] for a session that is gone, then
    /// its uid is no member by this call; [`GroupError::TooManyGroups`] beyond `pitaya.groups.persession`;
    /// [`GroupError::Frontend`] when the frontend is a Go server or an older one.
    pub async fn join(&self, group: &str, session: &Session) -> Answer<bool> {
        self.noted("join", group, self.memberships.join(group, session, IfMissing::Fail).await)
    }

    /// [`join`](Self::join) that makes the group if it is not there, as [`create_transient`](Self::create_transient) does:
    /// it comes with its first member and is gone with its last.
    ///
    /// # Errors
    /// As for [`join`](Self::join), and [`GroupError::InvalidName`].
    pub async fn join_or_create(&self, group: &str, session: &Session) -> Answer<bool> {
        self.noted("join_or_create", group, self.memberships.join(group, session, IfMissing::Create).await)
    }

    /// Takes back a [`join`](Self::join), and says whether the uid has left the group by that: not so when its user or
    /// another of its sessions holds the membership too. A session that is not in the group is no error.
    ///
    /// # Errors
    /// [`GroupError::NotBound`]; when the store or the frontend cannot be reached.
    pub async fn leave(&self, group: &str, session: &Session) -> Answer<bool> {
        self.noted("leave", group, self.memberships.leave(group, session).await)
    }

    /// Adds a uid, which need not be here, until it is removed. Where the app has
    /// [`leave_groups_on_close`](crate::Builder::leave_groups_on_close), until its last session ends.
    ///
    /// # Errors
    /// [`GroupError::NotFound`], [`GroupError::MemberAlreadyExists`], [`GroupError::EmptyUid`]; in memory
    /// [`GroupError::GroupFull`] and [`GroupError::UidFull`] beyond `pitaya.groups.memory.pergroup` and `.peruid`.
    pub async fn add_member(&self, group: &str, uid: &str) -> Answer<()> {
        self.noted("add_member", group, self.store.add_member(group, uid).await)
    }

    /// Takes a uid out, whoever holds the membership.
    ///
    /// # Errors
    /// [`GroupError::NotFound`], [`GroupError::MemberNotFound`].
    pub async fn remove_member(&self, group: &str, uid: &str) -> Answer<()> {
        self.noted("remove_member", group, self.store.remove_member(group, uid).await)
    }

    /// Takes all uids out; the group stays.
    ///
    /// # Errors
    /// [`GroupError::NotFound`].
    pub async fn remove_all(&self, group: &str) -> Answer<()> {
        self.noted("remove_all", group, self.store.remove_all(group).await)
    }

    /// Takes a uid out of every group; tells which they were.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn remove_everywhere(&self, uid: &str) -> Answer<Vec<Arc<str>>> {
        self.noted("remove_everywhere", "", self.store.remove_everywhere(uid).await)
    }

    /// The uids in a group.
    ///
    /// # Errors
    /// [`GroupError::NotFound`].
    pub async fn members(&self, group: &str) -> Answer<Vec<Arc<str>>> {
        self.noted("members", group, self.store.members(group).await)
    }

    /// Whether a uid is in a group.
    ///
    /// # Errors
    /// [`GroupError::NotFound`], [`GroupError::EmptyUid`].
    pub async fn contains_member(&self, group: &str, uid: &str) -> Answer<bool> {
        self.noted("contains_member", group, self.store.contains_member(group, uid).await)
    }

    /// How many uids are in a group.
    ///
    /// # Errors
    /// [`GroupError::NotFound`].
    pub async fn count_members(&self, group: &str) -> Answer<usize> {
        self.noted("count_members", group, self.store.count_members(group).await)
    }

    /// Pushes a message in JSON to every member: [`broadcast_as`](Self::broadcast_as).
    ///
    /// # Errors
    /// As for [`broadcast_as`](Self::broadcast_as).
    pub async fn broadcast<T: ?Sized>(&self, group: &str, route: &str, message: &T) -> Result<(), BroadcastError>
    where
        (pitaya_core::Json,): Writes<T>,
    {
        self.broadcast_as::<(pitaya_core::Json,), T>(group, route, message).await
    }

    /// Encodes a message once, with the one of these codecs that the app speaks, and pushes it to every member.
    ///
    /// # Errors
    /// When the group is not there or the message cannot be written; with the uids that are not here or too slow, when
    /// all others got it. [`PushError::NoClients`] on a backend whose frontends were not named with [`at`](Self::at).
    pub async fn broadcast_as<Cs: Writes<T>, T: ?Sized>(
        &self,
        group: &str,
        route: &str,
        message: &T,
    ) -> Result<(), BroadcastError> {
        let push = self.users.encode::<Cs, T>(route, message).map_err(PushError::from)?;
        self.multicast(group, &push, |_| true).await
    }

    /// Pushes an encoded message to the members that a filter chooses.
    ///
    /// # Errors
    /// When the group is not there; with the chosen uids that are not here or too slow.
    pub async fn multicast(
        &self,
        group: &str,
        push: &Push,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<(), BroadcastError> {
        let members = self.noted("broadcast", group, self.store.members(group).await)?;
        let chosen: Vec<_> = members.iter().filter(|uid| chosen(uid)).collect();
        let pushed = self.users.push_encoded(push, &chosen).await;
        self.noted("broadcast", group, pushed).map_err(BroadcastError::from)
    }

    /// Logs what the client of a handler gets no details of, and what a notify or a task may drop.
    fn noted<T, E: Fault + std::fmt::Display>(
        &self,
        operation: &str,
        group: &str,
        outcome: Result<T, E>,
    ) -> Result<T, E> {
        if let Err(error) = &outcome
            && [codes::INTERNAL, codes::UNAVAILABLE].contains(&&*error.code())
        {
            self.memberships.note(operation, group, error);
        }
        outcome
    }

    /// An encoded message for [`multicast`](Self::multicast).
    ///
    /// # Errors
    /// When it cannot be written with the codec that the app speaks.
    pub fn encode<Cs: Writes<T>, T: ?Sized>(&self, route: &str, message: &T) -> pitaya_core::Result<Push> {
        self.users.encode::<Cs, T>(route, message)
    }
}

/// Why a broadcast did not reach everybody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The group.
    #[error("{0}")]
    Group(#[from] GroupError),
    /// The message, or some of the members.
    #[error("{0}")]
    Push(#[from] PushError),
}

impl Fault for BroadcastError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Group(error) => error.code(),
            Self::Push(error) => error.code(),
        }
    }

    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Group(error) => error.message(),
            Self::Push(error) => error.message(),
        }
    }
}

submit! { FaultRow(<Probe<BroadcastError>>::FIND) }

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Groups")
    }
}
