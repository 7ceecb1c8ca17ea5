//! What must a store of groups be able to do?

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::error::{Fault, codes};
use std::borrow::Cow;

/// The longest name of a group and the longest uid of a member, in bytes.
pub const MAX_NAME: usize = 255;
/// Upper bound of the sessions that hold one membership at the same time.
pub const MAX_HOLDERS: usize = 256;

/// The text of [`GroupError::TtlNotFound`] from a store in memory (Go: `constants.ErrMemoryTTLNotFound`).
pub const MEMORY_TTL_NOT_FOUND: &str = "memory group TTL not found";
/// The text of [`GroupError::TtlNotFound`] from etcd (Go: `constants.ErrEtcdLeaseNotFound`).
pub const ETCD_LEASE_NOT_FOUND: &str = "etcd lease not found in group";

/// Why a group did not do what it should.
///
/// Where Go has the same error the text is Go's (`pkg/constants/errors.go`), because clients see and compare it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A group of this name is there already.
    #[error("group already exists")]
    AlreadyExists,
    /// There is no group of this name, or its time is over.
    #[error("group not found")]
    NotFound,
    /// The uid is in the group already.
    #[error("member already exists in group")]
    MemberAlreadyExists,
    /// The uid is not in the group.
    #[error("member not found in the group")]
    MemberNotFound,
    /// The uid has no bytes.
    #[error("empty uid")]
    EmptyUid,
    /// The group was made without a time to live, so there is none to renew. The text names the store:
    /// [`MEMORY_TTL_NOT_FOUND`] or [`ETCD_LEASE_NOT_FOUND`].
    #[error("{0}")]
    TtlNotFound(&'static str),
    /// A time to live of zero.
    #[error("the time to live of a group must be longer than zero; a group without one is made by `create`")]
    ZeroTtl,
    /// The name cannot be that of a group: see [`check_name`].
    #[error("a group's name must have 1 to 255 bytes and no later part `uids` between its slashes")]
    InvalidName,
    /// The uid is longer than [`MAX_NAME`].
    #[error("a member's uid has at most 255 bytes")]
    UidTooLong,
    /// The session has no uid, and members are uids.
    #[error("the session is not bound to a uid: call `session.bind(..)` before it joins a group")]
    NotBound,
    /// The session has ended, so nothing would take it out of the group any more.
    #[error("the session has ended: it cannot join a group")]
    SessionEnded,
    /// The session is in as many groups as `pitaya.groups.persession` allows; the number.
    #[error("the session is in {0} groups already (`pitaya.groups.persession`)")]
    TooManyGroups(usize),
    /// The store keeps as many groups as it may; the number.
    #[error("there are {0} groups already (`pitaya.groups.memory.total`)")]
    StoreFull(usize),
    /// The group has as many members as it may; the number.
    #[error("the group has {0} members already (`pitaya.groups.memory.pergroup`)")]
    GroupFull(usize),
    /// The uid is in as many groups as one may be, by sessions and by its user; the number.
    #[error("the uid is in {0} groups already (`pitaya.groups.memory.peruid`)")]
    UidFull(usize),
    /// [`MAX_HOLDERS`] sessions hold this membership already.
    #[error("{MAX_HOLDERS} sessions of this uid are in the group already")]
    TooManySessions,
    /// The frontend with this id is a Go server, or one of ours from before sessions joined groups: it would not report the
    /// end of the session.
    #[error(
        "the frontend `{0}` does not report the end of its sessions to groups, because it is a Go server or an older one: \
         use `add_member` and `remove_member`"
    )]
    Frontend(Arc<str>),
    /// The store keeps uids only.
    #[error("this store of groups does not know sessions: use `add_member` and `remove_member`")]
    Unsupported,
    /// The store cannot be reached or did not answer: whether the operation was done is not known.
    #[error("the store of groups is unavailable: {0}")]
    Unavailable(String),
}

/// Converts to the error that clients get. Errors that Go has keep Go's code and text; those that a client cannot act on lose
/// their details.
impl Fault for GroupError {
    fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::AlreadyExists | Self::NotFound | Self::MemberAlreadyExists | Self::MemberNotFound => codes::UNKNOWN,
            Self::EmptyUid | Self::TtlNotFound(_) => codes::UNKNOWN,
            Self::InvalidName | Self::UidTooLong => codes::BAD_REQUEST,
            Self::TooManyGroups(_) | Self::TooManySessions | Self::GroupFull(_) | Self::UidFull(_) => codes::TOO_MANY,
            Self::SessionEnded => codes::CLOSED,
            Self::NotBound | Self::ZeroTtl | Self::Frontend(_) | Self::Unsupported => codes::INTERNAL,
            Self::StoreFull(_) | Self::Unavailable(_) => codes::UNAVAILABLE,
        })
    }

    fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TooManyGroups(_) | Self::UidFull(_) => "in too many groups already",
            Self::TooManySessions => "too many sessions of this user are in the group",
            Self::GroupFull(_) => "the group is full",
            Self::StoreFull(_) | Self::Unavailable(_) => "groups are unavailable",
            Self::NotBound | Self::ZeroTtl | Self::Frontend(_) | Self::Unsupported => "the server failed",
            other => return Cow::Owned(other.to_string()),
        })
    }
}

/// One session, as the holder of memberships. It outlives neither its connection nor the process that has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// Id of the frontend that has the connection.
    #[serde(rename = "f")]
    pub frontend: Arc<str>,
    /// Chosen at random by each start of a frontend, below 2^53: numbers of sessions begin again at 1.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// Number of the session on its frontend.
    #[serde(rename = "s")]
    pub session: i64,
}

/// Whether [`GroupStore::join`] creates a group that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// The join fails with [`GroupError::NotFound`].
    Fail,
    /// The group is created, as by [`GroupStore::create_transient`].
    Create,
}

/// A membership of a user, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserMembership {
    /// Name of the group.
    pub group: Arc<str>,
    /// Changes with each `add_member` of this uid to the group, and with nothing else that matters.
    pub version: i64,
}

/// A membership that [`GroupStore::forget_frontend`] took from a session, in case its frontend is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Number of the session on its frontend.
    pub session: i64,
    /// Name of the group.
    pub group: Arc<str>,
    /// The member.
    pub uid: Arc<str>,
    /// Whether the group was one that ends with its last member.
    pub transient: bool,
}

/// What an operation of a [`GroupStore`] comes to.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, GroupError>>;

/// Keeps the uids of named groups, some of them for a limited time.
///
/// The contract, the same for every store, so that they can be exchanged:
///
/// * An operation happens wholly or not at all; those that hit the same group happen one after another.
/// * A group made with a time to live is gone when that has passed since it was made or last renewed, with its members.
///   Adding members does not renew it. A store may count in whole seconds and be late by its `lag`, never early.
/// * Every operation on a group that is not there is [`GroupError::NotFound`], but for `exists` and what names no group.
/// * Members and names come in no particular order. A member is in a group once.
/// * A membership is held by the user, from `add_member` on, by sessions, from `join` on, or by both. It ends when nobody
///   holds it any more, or with `remove_member`, `remove_all`, `remove_everywhere` and `delete`, whoever holds it.
/// * A transient group is gone with its last member, however that leaves.
/// * A store may bound the number of groups, of members of a group and of groups of a uid, each with an error of its own.
///
/// Go: `pkg/groups/group_service.go`; `exists`, `list` and `remove_everywhere` are ours.
pub trait GroupStore: Send + Sync {
    /// Makes a group that lives until it is deleted.
    ///
    /// Errors: [`AlreadyExists`](GroupError::AlreadyExists), [`InvalidName`](GroupError::InvalidName).
    fn create<'a>(&'a self, group: &'a str) -> Answer<'a, ()>;

    /// Makes a group that lives for `ttl` unless it is renewed.
    ///
    /// Errors: as [`create`](Self::create), and [`ZeroTtl`](GroupError::ZeroTtl).
    fn create_with_ttl<'a>(&'a self, group: &'a str, ttl: Duration) -> Answer<'a, ()>;

    /// Lets the group live for its whole time to live again, from now.
    ///
    /// Errors: [`TtlNotFound`](GroupError::TtlNotFound) when it has none.
    fn renew_ttl<'a>(&'a self, group: &'a str) -> Answer<'a, ()>;

    /// Ends a group and all memberships in it.
    fn delete<'a>(&'a self, group: &'a str) -> Answer<'a, ()>;

    /// Makes a group that is deleted when its last member leaves. It may be empty until the first one comes.
    ///
    /// Errors: as [`create`](Self::create), and [`Unsupported`](GroupError::Unsupported).
    fn create_transient<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        let _ = group;
        unsupported()
    }

    /// Whether there is such a group.
    fn exists<'a>(&'a self, group: &'a str) -> Answer<'a, bool>;

    /// The names of all groups.
    fn list(&self) -> Answer<'_, Vec<Arc<str>>>;

    /// Makes a membership the user's. One that only sessions hold stays when they end.
    ///
    /// Errors: [`MemberAlreadyExists`](GroupError::MemberAlreadyExists), [`EmptyUid`](GroupError::EmptyUid),
    /// [`UidTooLong`](GroupError::UidTooLong).
    fn add_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()>;

    /// Removes a member.
    ///
    /// Errors: [`MemberNotFound`](GroupError::MemberNotFound).
    fn remove_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, ()>;

    /// Removes all members and keeps the group, with the rest of its time.
    fn remove_all<'a>(&'a self, group: &'a str) -> Answer<'a, ()>;

    /// Removes a uid from every group it is in and tells which these were. For a session that closes, so its cost goes
    /// with the groups of that uid and not with all groups. A uid that is in no group is no error.
    fn remove_everywhere<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<Arc<str>>>;

    /// The uids of all members.
    fn members<'a>(&'a self, group: &'a str) -> Answer<'a, Vec<Arc<str>>>;

    /// Whether a uid is a member.
    ///
    /// Errors: [`EmptyUid`](GroupError::EmptyUid).
    fn contains_member<'a>(&'a self, group: &'a str, uid: &'a str) -> Answer<'a, bool>;

    /// How many members there are.
    fn count_members<'a>(&'a self, group: &'a str) -> Answer<'a, usize>;

    /// A name that two handles have in common only if they are to the same groups, and that another process may have too
    /// if it sees them. `None` where that is not known.
    fn identity(&self) -> Option<Arc<str>> {
        None
    }

    /// Makes a session hold the membership of its uid. Whether the uid was no member before; doing it again changes
    /// nothing.
    ///
    /// Errors: [`NotFound`](GroupError::NotFound), [`InvalidName`](GroupError::InvalidName),
    /// [`TooManySessions`](GroupError::TooManySessions), those of a uid, [`Unsupported`](GroupError::Unsupported).
    fn join<'a>(&'a self, group: &'a str, uid: &'a str, holder: &'a Holder, if_missing: IfMissing) -> Answer<'a, bool> {
        let _ = (group, uid, holder, if_missing);
        unsupported()
    }

    /// Takes a session from the holders of its uid's memberships in these groups. Gives the groups that the uid has left
    /// by that. A group that is gone, or that the session does not hold, is no error.
    fn leave<'a>(&'a self, groups: &'a [Arc<str>], uid: &'a str, holder: &'a Holder) -> Answer<'a, Vec<Arc<str>>> {
        let _ = (groups, uid, holder);
        unsupported()
    }

    /// Gives those of these groups in which the session holds the membership of its uid.
    fn held<'a>(&'a self, groups: &'a [Arc<str>], uid: &'a str, holder: &'a Holder) -> Answer<'a, Vec<Arc<str>>> {
        let _ = (groups, uid, holder);
        unsupported()
    }

    /// The memberships that this user holds. Its cost goes with their number, not with that of all members.
    fn user_memberships<'a>(&'a self, uid: &'a str) -> Answer<'a, Vec<UserMembership>> {
        let _ = uid;
        unsupported()
    }

    /// Takes the user from the holders of these memberships, but for those that were added again since they were looked
    /// at. Gives the groups that the uid has left by that.
    fn release_user<'a>(&'a self, uid: &'a str, memberships: &'a [UserMembership]) -> Answer<'a, Vec<Arc<str>>> {
        let _ = (uid, memberships);
        unsupported()
    }

    /// Frontends whose sessions hold memberships: id and epoch of each.
    fn frontends(&self) -> Answer<'_, Vec<(Arc<str>, u64)>> {
        unsupported()
    }

    /// Takes all sessions of one start of a frontend from the holders of all memberships, and tells how many those were.
    /// For a frontend that is gone.
    fn forget_frontend<'a>(&'a self, frontend: &'a str, epoch: u64) -> Answer<'a, usize> {
        let _ = (frontend, epoch);
        unsupported()
    }

    /// Gives some of the memberships that were taken from the sessions of this start of a frontend, which turns out to run.
    /// A store may keep them for a limited time, or not at all.
    fn lost<'a>(&'a self, frontend: &'a str, epoch: u64) -> Answer<'a, Vec<Lost>> {
        let _ = (frontend, epoch);
        unsupported()
    }

    /// Forgets what [`lost`](Self::lost) gave.
    fn forget_lost<'a>(&'a self, frontend: &'a str, epoch: u64, lost: &'a [Lost]) -> Answer<'a, ()> {
        let _ = (frontend, epoch, lost);
        unsupported()
    }
}

fn unsupported<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(std::future::ready(Err(GroupError::Unsupported)))
}

/// Whether a group may have this name: 1 to [`MAX_NAME`] bytes, and no part after the first that is `uids` when split at
/// `/`. In etcd the member `u` of the group `g` has the key `groups/g/uids/u`, which would also be that of a group
/// `g/uids/u`.
///
/// # Errors
/// [`GroupError::InvalidName`].
pub fn check_name(group: &str) -> Result<(), GroupError> {
    let fits = !group.is_empty() && group.len() <= MAX_NAME;
    let unique = group.split('/').skip(1).all(|part| part != "uids");
    if fits && unique { Ok(()) } else { Err(GroupError::InvalidName) }
}

/// Whether this can be the uid of a member: 1 to [`MAX_NAME`] bytes.
///
/// # Errors
/// [`GroupError::EmptyUid`], [`GroupError::UidTooLong`].
pub fn check_uid(uid: &str) -> Result<(), GroupError> {
    match uid.len() {
        0 => Err(GroupError::EmptyUid),
        1..=MAX_NAME => Ok(()),
        _ => Err(GroupError::UidTooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_cannot_be_taken_for_members() {
        for good in ["r", "room 1", "games/7", "uids", "uids/x", "a/uidss", "a/my-uids/b", &"x".repeat(255)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a/uids", "a/uids/b", "a/b/uids/c", &"x".repeat(256)] {
            assert_eq!(check_name(bad), Err(GroupError::InvalidName), "{bad}");
        }
    }

    #[test]
    fn uids_are_bounded() {
        assert_eq!(check_uid(""), Err(GroupError::EmptyUid));
        assert_eq!(check_uid(&"x".repeat(255)), Ok(()));
        assert_eq!(check_uid(&"x".repeat(256)), Err(GroupError::UidTooLong));
    }

    /// The texts of Go's `pkg/constants/errors.go`, which clients compare.
    #[test]
    fn errors_say_what_go_says() {
        let texts = [
            (GroupError::AlreadyExists, "group already exists"),
            (GroupError::NotFound, "group not found"),
            (GroupError::MemberAlreadyExists, "member already exists in group"),
            (GroupError::MemberNotFound, "member not found in the group"),
            (GroupError::EmptyUid, "empty uid"),
            (GroupError::TtlNotFound(MEMORY_TTL_NOT_FOUND), "memory group TTL not found"),
            (GroupError::TtlNotFound(ETCD_LEASE_NOT_FOUND), "etcd lease not found in group"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
    }
}
