//! Keys of groups. Those below `groups/` are Go's, with Go's meaning; the others are ours, where no Go server looks.

use pitaya_core::cluster::groups::{GroupError, Holder, check_name};
use std::sync::Arc;

/// Between the name of a group and the uid of a member. No name can hold it: see [`check_name`].
pub(super) const UIDS: &str = "/uids/";

/// The folders of one prefix.
#[derive(Debug)]
pub(super) struct Keys {
    /// `groups/<group>` and `groups/<group>/uids/<uid>`: Go's. The value of the first says whether the group is transient,
    /// that of the second who holds the membership; Go writes both empty and reads neither.
    pub(super) groups: String,
    /// `groupsessions/<frontend>/<epoch>/<session>/<group>/uids/<uid>`: what a session holds, for when its frontend is gone.
    sessions: String,
    /// `grouplost/<frontend>/<epoch>/<session>/<group>/uids/<uid>`: what was taken from sessions whose frontend seemed to be
    /// gone. The value is that of the group.
    lost: String,
    /// `groupusers/<uid in hex>/<group>`: what a user holds, where users leave with their last session.
    users: String,
    /// `groupfrontends/<frontend>/<epoch>`: starts of frontends whose sessions hold anything.
    pub(super) frontends: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let folder = |name: &str| format!("{prefix}{name}/");
        Self {
            groups: folder("groups"),
            sessions: folder("groupsessions"),
            lost: folder("grouplost"),
            users: folder("groupusers"),
            frontends: folder("groupfrontends"),
        }
    }

    /// The key of a group that there may be. Go does not check names: `a/uids/b` would be the member `b` of `a`.
    pub(super) fn group(&self, group: &str) -> Result<String, GroupError> {
        check_name(group).map_err(|_| GroupError::NotFound)?;
        Ok(format!("{}{group}", self.groups))
    }

    pub(super) fn member(&self, group: &str, uid: &str) -> String {
        format!("{}{group}{UIDS}{uid}", self.groups)
    }

    /// All that the sessions of one start of a frontend hold.
    pub(super) fn sessions_of(&self, frontend: &str, epoch: u64) -> String {
        format!("{}{frontend}/{epoch:x}/", self.sessions)
    }

    pub(super) fn session(&self, holder: &Holder, group: &str, uid: &str) -> String {
        let Holder { frontend, epoch, session } = holder;
        format!("{}{session}/{group}{UIDS}{uid}", self.sessions_of(frontend, *epoch))
    }

    /// All that was taken from the sessions of one start of a frontend.
    pub(super) fn lost_of(&self, frontend: &str, epoch: u64) -> String {
        format!("{}{frontend}/{epoch:x}/", self.lost)
    }

    /// Parses the rest of a key behind [`sessions_of`](Self::sessions_of) or [`lost_of`](Self::lost_of): session, group, uid.
    pub(super) fn parse_session(rest: &str) -> Option<(i64, &str, &str)> {
        let (session, rest) = rest.split_once('/')?;
        let (group, uid) = rest.split_once(UIDS)?;
        Some((session.parse().ok()?, group, uid))
    }

    /// All that a user holds. In hex: a uid may have slashes.
    pub(super) fn user_folder(&self, uid: &str) -> String {
        use std::fmt::Write;
        let mut folder = self.users.clone();
        for byte in uid.as_bytes() {
            // Writing to a string does not fail.
            let _ = write!(folder, "{byte:02x}");
        }
        folder.push('/');
        folder
    }

    pub(super) fn frontend(&self, frontend: &str, epoch: u64) -> String {
        format!("{}{frontend}/{epoch:x}", self.frontends)
    }

    /// Parses the rest of a key behind `frontends` says.
    pub(super) fn parse_frontend(rest: &str) -> Option<(Arc<str>, u64)> {
        let (frontend, epoch) = rest.rsplit_once('/')?;
        Some((frontend.into(), u64::from_str_radix(epoch, 16).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let keys = Keys::new("pitaya/");
        let holder = Holder { frontend: "front".into(), epoch: 0xabc, session: 7 };
        let key = keys.session(&holder, "games/7", "a/b");
        let rest = key.strip_prefix(&keys.sessions_of("front", 0xabc)).unwrap();
        assert_eq!(Keys::parse_session(rest), Some((7, "games/7", "a/b")));
        let key = keys.frontend("front", 0xabc);
        assert_eq!(Keys::parse_frontend(key.strip_prefix(&keys.frontends).unwrap()), Some(("front".into(), 0xabc)));
        assert_eq!(keys.user_folder("a/b"), "pitaya/groupusers/612f62/");
        assert_eq!(keys.member("g", "u"), "pitaya/groups/g/uids/u");
    }
}
