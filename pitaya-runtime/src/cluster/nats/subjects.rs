//! What is published where: the subjects of Go Pitaya (`nats_rpc_common.go`, `nats_rpc_server.go`) and those of the
//! lane. A `/` separates nothing in NATS: each is one token, and what is ours hangs behind a `.`.

use async_nats::Subject;

/// Prefix of all subjects of servers.
pub(super) const SERVERS: &str = "pitaya/servers/";

/// A server's own, for calls.
pub(super) fn server(kind: &str, id: &str) -> String {
    format!("pitaya/servers/{kind}/{id}")
}

/// A server's own, for bundles of messages. What is below [`server`] with other endings is its lane's way back.
pub(super) fn lane(kind: &str, id: &str) -> String {
    format!("pitaya/servers/{kind}/{id}.lane")
}

/// A server's own, for bundles of calls.
pub(super) fn calls(kind: &str, id: &str) -> String {
    format!("pitaya/servers/{kind}/{id}.calls")
}

/// Where frontends of a type hear that a user was bound.
pub(super) fn bindings(kind: &str) -> String {
    format!("pitaya/{kind}/bindings")
}

/// Where the frontend that holds a user's session hears pushes.
pub(super) fn push(kind: &str, uid: &str) -> String {
    format!("pitaya/{kind}/user/{uid}/push")
}

/// Where the frontend that holds a user's session hears that it must go.
pub(super) fn kick(kind: &str, uid: &str) -> String {
    format!("pitaya/{kind}/user/{uid}/kick")
}

/// The longest uid or name that becomes a part of a subject.
const LONGEST: usize = 128;

/// Whether a name from outside can be a part of a subject, neither breaking the line it stands in, nor making it a
/// wildcard, nor being an empty token. Nothing is published or subscribed that has not passed here.
pub(super) fn fits(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    let token = |token: &str| !matches!(token, "" | "*" | ">");
    name.len() <= LONGEST && name.chars().all(plain) && name.split('.').all(token)
}

/// What a message is, by the subject it came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic<'a> {
    /// A push to the user with this uid.
    Push(&'a str),
    /// A kick of the user with this uid.
    Kick(&'a str),
    Bindings,
}

/// Classifies a message by its subject, for frontends of this type. `None` for a subject that none of them subscribes.
///
/// The subject names the user, and not the payload: permissions of the broker are given by subject.
pub(super) fn topic<'a>(kind: &str, subject: &'a Subject) -> Option<Topic<'a>> {
    let rest = subject.strip_prefix("pitaya/")?.strip_prefix(kind)?;
    if rest == "/bindings" {
        return Some(Topic::Bindings);
    }
    let user = rest.strip_prefix("/user/")?;
    user.strip_suffix("/push").map(Topic::Push).or_else(|| user.strip_suffix("/kick").map(Topic::Kick))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is accepted gives one valid subject without wildcards.
        #[test]
        fn what_fits_is_one_subject(uid in "\\PC{0,140}|[a*>. \\r\\n\\t]{0,9}") {
            let subject = push("connector", &uid);
            let safe = Subject::validated(&subject).is_ok()
                && subject.split('.').all(|token| token != "*" && token != ">");
            prop_assert!(!fits(&uid) || safe, "{uid:?}");
        }
    }

    #[test]
    fn what_does_not_fit() {
        for uid in ["", "a b", "a\r\nPUB", "foo.*.bar", "*", ">", "a.", ".a", "a..b", "\u{7f}", "a\u{a0}b"] {
            assert!(!fits(uid), "{uid:?}");
        }
        for uid in ["john.doe@x.com", "a*b", "Zoë"] {
            assert!(fits(uid), "{uid:?}");
        }
        assert!(!fits(&"x".repeat(129)));
    }

    #[test]
    fn topics() {
        let of = |subject: String| topic("c", &subject.into()).map(|topic| format!("{topic:?}"));
        for uid in ["u", "u/push", "user/u/kick", "a.b", "bindings"] {
            assert_eq!(of(push("c", uid)), Some(format!("Push({uid:?})")));
            assert_eq!(of(kick("c", uid)), Some(format!("Kick({uid:?})")));
        }
        assert_eq!(of(bindings("c")).as_deref(), Some("Bindings"));
        assert_eq!((of(push("d", "u")), of(bindings("cc")), of("pitaya/c/user/u".to_owned())), (None, None, None));
    }
}
