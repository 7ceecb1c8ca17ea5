//! Servers find each other in etcd, and share groups and bindings there, with Go's keys.
//!
//! From the bottom up: `messages` of etcd's API → `client` (which member is asked, with which token, for how
//! long) → `store` (what it can do) → `lease` (kept, and had anew) → the three that an app uses.

mod address;
mod backoff;
mod bindings;
mod client;
mod discovery;
mod fault;
mod groups;
mod known;
mod lease;
mod login;
mod messages;
mod outage;
mod own;
mod records;
mod store;
mod watch;

pub use address::AddressError as EtcdAddressError;
pub use bindings::EtcdBindings;
pub use discovery::EtcdDiscovery;
pub use groups::EtcdGroups;
