//! Users whose sessions are here: to push to them, and to kick them.

use super::App;
use crate::push::PushError;
use pitaya_core::codec::Writes;
use pitaya_core::session::{KickReason, Push};

impl App {
    /// Pushes a message in JSON to these users, if they are here: [`push_as`](Self::push_as). [`users`](Self::users)
    /// reaches those of other servers.
    ///
    /// # Errors
    /// As for [`push_as`](Self::push_as).
    pub fn push<T: ?Sized>(&self, route: &str, message: &T, uids: &[impl AsRef<str>]) -> Result<(), PushError>
    where
        (pitaya_core::Json,): Writes<T>,
    {
        self.push_as::<(pitaya_core::Json,), T>(route, message, uids)
    }

    /// Encodes a message once, with the one of these codecs that the app speaks, and pushes it to these users.
    ///
    /// # Errors
    /// [`PushError`] when the message cannot be written, or with the uids that are not here or too slow.
    pub fn push_as<Cs: Writes<T>, T: ?Sized>(
        &self,
        route: &str,
        message: &T,
        uids: &[impl AsRef<str>],
    ) -> Result<(), PushError> {
        let push = Push::new::<Cs, T>(self.0.server.serializer.name(), route, message)?;
        self.push_encoded(&push, uids)
    }

    /// Pushes an encoded message to these users.
    ///
    /// # Errors
    /// With the uids that are not here or too slow.
    pub fn push_encoded(&self, push: &Push, uids: &[impl AsRef<str>]) -> Result<(), PushError> {
        self.each(uids, |session| session.send(push).is_ok())
    }

    /// Kicks these users.
    ///
    /// # Errors
    /// With the uids that are not here.
    pub fn kick(&self, uids: &[impl AsRef<str>]) -> Result<(), PushError> {
        self.each(uids, |session| session.kick().is_ok())
    }

    /// Kicks these users with a reason that their clients get.
    ///
    /// # Errors
    /// With the uids that are not here.
    pub fn kick_with(&self, uids: &[impl AsRef<str>], reason: &KickReason) -> Result<(), PushError> {
        self.each(uids, |session| session.kick_with(reason).is_ok())
    }

    fn each(&self, uids: &[impl AsRef<str>], reached: impl Fn(&pitaya_core::Session) -> bool) -> Result<(), PushError> {
        let missed = |uid: &&str| !self.sessions().by_uid(uid).is_some_and(|session| reached(&session));
        let failed: Vec<String> = uids.iter().map(AsRef::as_ref).filter(missed).map(str::to_owned).collect();
        if failed.is_empty() { Ok(()) } else { Err(PushError::Unreached(failed)) }
    }
}
