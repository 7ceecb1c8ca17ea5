//! Files that are read again while the app runs.

use super::App;
use crate::accept::ReloadError;

impl App {
    /// Reads the files of the acceptors again, certificates and keys above all, and the keys that messages between servers are
    /// signed with, as SIGHUP does; without being asked, the app looks every `pitaya.acceptor.tls.reload` whether they have
    /// changed. Nobody who is connected is sent away: what comes from now on goes by what is new.
    ///
    /// # Errors
    /// When files cannot be used. What was in force before stays so; other acceptors' files are taken.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let server = &self.0.server;
        server.reloads.look(true, &server.counters).await
    }
}
