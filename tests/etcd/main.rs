//! Servers find each other in a real etcd, and share groups and bindings there.

mod away;
mod bindings;
mod discovery;
mod groups;
mod logins;
mod proxy;
mod support;

/// What every store of groups must do.
#[expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking, too")]
#[path = "../../pitaya-runtime/tests/groups/suite.rs"]
mod suite;
