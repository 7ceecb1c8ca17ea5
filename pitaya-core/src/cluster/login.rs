//! The binding of a user's session, as frontends tell it to each other, and the order of two of them.

use super::envelope::{BindMsg, Stamp};
use std::sync::Arc;

/// Place of a login in the order of all logins of its user. Every frontend of ours decides by it, so that all of them
/// keep the same session: the greatest. Compared in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginOrder {
    /// Hybrid logical clock of the frontend, in microseconds since 1970.
    pub time: u64,
    /// Id of the frontend.
    pub frontend: Arc<str>,
    /// Number of the session on its frontend.
    pub session: i64,
}

/// A session of a user was bound at a frontend: what `BindMsg` says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// Whose session.
    pub uid: Arc<str>,
    /// Id of the frontend that holds it.
    pub frontend: Arc<str>,
    /// Clock of the frontend and number of the session; absent when a Go server or an early one of ours tells it.
    pub stamp: Option<Stamp>,
    /// Whether each frontend of ours that hears of it acknowledges it.
    pub awaited: bool,
}

impl Login {
    /// A login without an order, as a Go server tells it.
    pub fn new(uid: impl Into<Arc<str>>, frontend: impl Into<Arc<str>>) -> Self {
        Self { uid: uid.into(), frontend: frontend.into(), stamp: None, awaited: false }
    }

    /// A login with its place in the order, to be acknowledged or not.
    #[must_use]
    pub fn ordered(mut self, stamp: Stamp, awaited: bool) -> Self {
        (self.stamp, self.awaited) = (Some(stamp), awaited);
        self
    }

    /// Place in the order of logins, if it has one.
    #[must_use]
    pub fn order(&self) -> Option<LoginOrder> {
        let Stamp { time, session } = self.stamp?;
        Some(LoginOrder { time, frontend: self.frontend.clone(), session })
    }
}

impl From<&Login> for BindMsg {
    fn from(login: &Login) -> Self {
        let Login { uid, frontend, stamp, awaited } = login;
        Self { uid: uid.to_string(), fid: frontend.to_string(), stamp: *stamp, awaited: *awaited }
    }
}

impl From<BindMsg> for Login {
    fn from(message: BindMsg) -> Self {
        let BindMsg { uid, fid, stamp, awaited } = message;
        Self { uid: uid.into(), frontend: fid.into(), stamp, awaited }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_logins_one_is_the_later() {
        let order = |time, frontend, session| {
            Login::new("u", frontend).ordered(Stamp { time, session }, true).order().expect("stamped")
        };
        assert!(order(2, "a", 1) > order(1, "b", 9), "the clock first");
        assert!(order(1, "b", 1) > order(1, "a", 9), "then the frontend");
        assert!(order(1, "a", 2) > order(1, "a", 1), "then the session");
        assert_eq!(Login::new("u", "a").order(), None);
    }

    #[test]
    fn a_login_is_what_was_told() {
        let login = Login::new("u", "a").ordered(Stamp { time: 7, session: 3 }, true);
        assert_eq!(Login::from(BindMsg::from(&login)), login);
    }
}
