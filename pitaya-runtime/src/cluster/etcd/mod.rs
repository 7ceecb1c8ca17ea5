//! etcd: who is there, which groups there are, who holds which user.

mod client;
mod discovery;
mod groups;
mod lease;
mod messages;
mod records;

pub use discovery::EtcdDiscovery;
pub use groups::EtcdGroups;
