//! The users whose sessions this frontend holds, and whether the broker sends what is published to them.
//!
//! Go servers reach a user by two subjects of its own, one for pushes and one for kicks. Servers of ours never do: they send
//! one message to each frontend. A subscription costs the library about 5 KB and the broker a look-up, so in a cluster
//! without Go servers no user is subscribed.

use crate::config::UserTopics as Policy;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Users by uid. Clients choose uids in many games, so the map hashes with keys of its own.
#[derive(Debug)]
pub(super) struct UserTopics {
    policy: Policy,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The cluster has servers that publish to users by subject. True until discovery says otherwise.
    published: bool,
    users: HashMap<Arc<str>, User>,
}

#[derive(Debug, Default)]
struct User {
    /// Sessions bound to the uid: two of one user overlap while the newer takes over.
    sessions: u32,
    /// The subscriptions exist, or whoever set this is about to make them.
    subscribed: bool,
}

/// Work left to the caller of [`UserTopics::enter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// Subscribe, then wait until the broker knows.
    Subscribe,
    /// Another session of the user has subscribed: wait until the broker knows.
    Subscribed,
    /// Nothing: no server publishes to users.
    Unneeded,
}

impl UserTopics {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, state: Mutex::new(State { published: true, users: HashMap::new() }) }
    }

    fn is_wanted(&self, state: &State) -> bool {
        match self.policy {
            Policy::Auto => state.published,
            Policy::Always => true,
            Policy::Never => false,
        }
    }

    /// Adds a session of this user.
    pub(super) fn enter(&self, uid: &Arc<str>) -> Entered {
        let mut state = self.state.lock();
        let wanted = self.is_wanted(&state);
        let user = state.users.entry(uid.clone()).or_default();
        user.sessions += 1;
        if user.subscribed {
            return Entered::Subscribed;
        }
        user.subscribed = wanted;
        if wanted { Entered::Subscribe } else { Entered::Unneeded }
    }

    /// Removes a session of this user. Returns the user if it was the last one and has subscriptions to end.
    pub(super) fn leave(&self, uid: &str) -> Option<Arc<str>> {
        let mut state = self.state.lock();
        let user = state.users.get_mut(uid)?;
        user.sessions -= 1;
        if user.sessions > 0 {
            return None;
        }
        let (uid, user) = state.users.remove_entry(uid)?;
        user.subscribed.then_some(uid)
    }

    /// Whether the user is here and is to be subscribed.
    pub(super) fn is_subscribed(&self, uid: &str) -> bool {
        self.state.lock().users.get(uid).is_some_and(|user| user.subscribed)
    }

    /// Users that a new connection subscribes. Those of the connection before are gone with it.
    pub(super) fn resubscribe(&self) -> Vec<Arc<str>> {
        let mut state = self.state.lock();
        let wanted = self.is_wanted(&state);
        state.users.values_mut().for_each(|user| user.subscribed = wanted);
        if wanted { state.users.keys().cloned().collect() } else { Vec::new() }
    }

    /// Users with subscriptions, other than these.
    pub(super) fn subscribed_except(&self, known: &[Arc<str>]) -> Vec<Arc<str>> {
        let known: std::collections::HashSet<_> = known.iter().collect();
        let state = self.state.lock();
        let missing = state.users.iter().filter(|(uid, user)| user.subscribed && !known.contains(uid));
        missing.map(|(uid, _)| uid.clone()).collect()
    }

    /// Takes note whether the cluster has servers that publish to users. Returns the users to subscribe because of it.
    ///
    /// When the last such server goes, existing subscriptions stay until their sessions end: it may only be restarted.
    pub(super) fn publishers_changed(&self, published: bool) -> Vec<Arc<str>> {
        let mut state = self.state.lock();
        state.published = published;
        if !self.is_wanted(&state) {
            return Vec::new();
        }
        let missing = state.users.iter_mut().filter(|(_, user)| !user.subscribed);
        missing
            .map(|(uid, user)| {
                user.subscribed = true;
                uid.clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn nothing_is_subscribed_while_no_server_publishes() {
        let users = UserTopics::new(Policy::Auto);
        assert!(users.publishers_changed(false).is_empty());
        assert_eq!(users.enter(&uid("ann")), Entered::Unneeded);
        assert!(users.resubscribe().is_empty() && !users.is_subscribed("ann"));
        assert_eq!(users.leave("ann"), None);
        assert_eq!(users.leave("ann"), None, "once");
    }

    #[test]
    fn a_server_that_publishes_has_those_subscribed_who_are_here() {
        let users = UserTopics::new(Policy::Auto);
        users.publishers_changed(false);
        users.enter(&uid("ann"));
        assert_eq!(users.publishers_changed(true), [uid("ann")]);
        assert!(users.publishers_changed(true).is_empty(), "once");
        assert_eq!((users.enter(&uid("ann")), users.enter(&uid("bob"))), (Entered::Subscribed, Entered::Subscribe));
        assert!(users.publishers_changed(false).is_empty());
        assert!(users.is_subscribed("ann"), "it may come back");
        assert_eq!(users.leave("ann"), None, "its other session is here");
        assert_eq!(users.leave("ann"), Some(uid("ann")));
        assert!(users.resubscribe().is_empty() && !users.is_subscribed("bob"), "a new connection begins anew");
    }

    #[test]
    fn until_discovery_has_told_users_are_subscribed() {
        let users = UserTopics::new(Policy::Auto);
        assert_eq!(users.enter(&uid("ann")), Entered::Subscribe);
        assert_eq!(users.subscribed_except(&[]), [uid("ann")]);
        assert!(users.subscribed_except(&[uid("ann")]).is_empty());
    }

    #[test]
    fn the_key_can_decide_it() {
        let always = UserTopics::new(Policy::Always);
        always.publishers_changed(false);
        assert_eq!(always.enter(&uid("ann")), Entered::Subscribe);
        let never = UserTopics::new(Policy::Never);
        never.publishers_changed(true);
        assert_eq!(never.enter(&uid("ann")), Entered::Unneeded);
        assert!(never.resubscribe().is_empty());
    }
}
