//! Messages between frontends about logins, beside the broadcast: `sys.logins`, in both directions.

use pitaya_core::cluster::envelope::{BindMsg, Stamp};

/// Logins that a frontend may have missed, and acknowledgements of logins that it told.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LoginsMsg {
    #[prost(message, repeated, tag = "1")]
    pub(crate) told: Vec<BindMsg>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) known: Vec<Acknowledged>,
    /// The sender has stopped: none of its sessions is left.
    #[prost(bool, tag = "3")]
    pub(crate) gone: bool,
}

/// Acknowledgement of a login: which session the frontend had.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Acknowledged {
    /// Which login.
    #[prost(message, optional, tag = "1")]
    pub(crate) stamp: Option<Stamp>,
    #[prost(enumeration = "Met", tag = "2")]
    pub(crate) met: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Met {
    /// No session of the user: none was there, or the hooks of the last one have run.
    Nobody = 0,
    /// An older session, whose hooks have yet to run. `Nobody` follows.
    Older = 1,
    /// A newer session: this one goes.
    Newer = 2,
}
