//! What a frontend has to do with rooms: it sees who leaves.

use crate::CHAT;
use crate::room::RoomClient;
use pitaya_runtime::prelude::*;

pub struct Door;

#[handler]
impl Door {
    /// A connection ends here, and the rooms learn of it by this call.
    #[on(session_closed)]
    async fn closed(&self, session: &Session, app: &App) -> Result<()> {
        let Some(uid) = session.uid() else { return Ok(()) };
        RoomClient::new(app.rpc(), CHAT).gone(&uid.to_string()).await
    }
}
