//! A contract that a server implements and its callers know, in a crate of its own: neither knows the other.

use pitaya_runtime::prelude::*;

/// Which room.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MembersRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub room: String,
}

/// Who is in it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MembersReply {
    /// Their names.
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
}

/// What lobbies do for other servers.
#[remote(rename_all = "lowercase")]
pub trait LobbyApi {
    /// Who is in the room.
    async fn members_of(&self, req: MembersRequest) -> Result<MembersReply>;

    /// Somebody left: nobody waits.
    fn left(&self, req: MembersRequest);

    /// The answer of a server that says nothing else.
    async fn greeting(&self, caller: &RemoteContext) -> Result<MembersRequest> {
        let caller = caller.caller().map_or("nobody", |peer| &peer.kind);
        Ok(MembersRequest { room: format!("hello {caller}") })
    }

    /// Not everywhere.
    #[cfg(any())]
    fn never(&self, gone: NoSuchType);
}
