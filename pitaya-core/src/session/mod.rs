//! What a client is to the app: an id, a uid once it is bound, data, and a way to reach it.

mod certificate;
mod close;
mod closed;
mod data;
mod kick;
mod link;
mod push;
pub mod state;
mod uid;

pub use certificate::ClientCertificate;
pub use close::CloseReason;
pub use data::SessionData;
pub use kick::KickReason;
pub use link::Link;
pub use push::{BodyForm, Push, encode_push};
pub use uid::MAX_UID;

use crate::codec::{Serializer, Writes};
use crate::error::{Error, Result};
use crate::rpc::Peer;
use crate::same;
use crate::wire::HandshakeData;
use closed::Closed;
use parking_lot::Mutex;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// What runs when a session closes: see [`Session::on_close`].
type OnClose = Box<dyn FnOnce(&Session, &CloseReason) + Send>;

/// One client. A cheap handle: clone it, keep it, use it from any task; it never blocks and never waits for the client.
///
/// ```no_run
/// # use pitaya_core::{Result, Session};
/// # async fn login(session: &Session) -> Result<()> {
/// session.bind("alice").await?;
/// session.data().set("level", 7_i64)?;
/// session.push("onWelcome", &"hello")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: i64,
    link: Arc<dyn Link>,
    uid: Mutex<Uid>,
    data: SessionData,
    handshake: OnceLock<Arc<HandshakeData>>,
    closed: Closed,
    on_close: Mutex<Vec<OnClose>>,
}

#[derive(Clone)]
enum Uid {
    Unbound,
    /// Its callbacks are running: nobody else may bind meanwhile.
    Binding(Arc<str>),
    Bound(Arc<str>),
}

impl Session {
    /// A session behind a link.
    #[must_use]
    pub fn new(id: i64, link: Arc<dyn Link>) -> Self {
        Self::with(id, link, None, SessionData::default())
    }

    /// A session that has a uid and data already: that of a client whose connection another server holds.
    #[must_use]
    pub fn with(id: i64, link: Arc<dyn Link>, uid: Option<Arc<str>>, data: SessionData) -> Self {
        Self(Arc::new(Inner {
            id,
            link,
            uid: Mutex::new(uid.map_or(Uid::Unbound, Uid::Bound)),
            data,
            handshake: OnceLock::new(),
            closed: Closed::default(),
            on_close: Mutex::default(),
        }))
    }

    /// Its number on the server that accepted it, from 1.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// Who it is, once it is bound.
    #[must_use]
    pub fn uid(&self) -> Option<Arc<str>> {
        match &*self.0.uid.lock() {
            Uid::Unbound => None,
            Uid::Binding(uid) | Uid::Bound(uid) => Some(uid.clone()),
        }
    }

    /// Who it is, once nobody can refuse it any more: while callbacks of its binding run [`uid`](Self::uid) has it, and
    /// this has not.
    #[doc(hidden)]
    #[must_use]
    pub fn bound_uid(&self) -> Option<Arc<str>> {
        match &*self.0.uid.lock() {
            Uid::Bound(uid) => Some(uid.clone()),
            Uid::Unbound | Uid::Binding(_) => None,
        }
    }

    /// Binds it to a uid. The app's bind callbacks may refuse; then it is unbound again.
    ///
    /// An older session of the same uid on this server is kicked.
    ///
    /// # Errors
    /// PIT-000 with Go's texts when the uid is empty or the session has one already; PIT-400 when the uid is longer
    /// than [`MAX_UID`] bytes, has blanks or control characters, or an empty part, `*` or `>` between its dots, which
    /// would change the subject it becomes a part of; PIT-400 when it has characters that nobody sees, such as U+200B, and
    /// `pitaya.session.bind.invisible` does not allow them; PIT-499 when the session is closed; whatever a callback refuses with.
    pub async fn bind(&self, uid: impl AsRef<str>) -> Result<()> {
        let uid: Arc<str> = uid::check(uid.as_ref(), self.0.link.takes_invisible_uids())?.into();
        {
            let mut state = self.0.uid.lock();
            if !matches!(*state, Uid::Unbound) {
                return Err(Error::new(crate::codes::UNKNOWN, "session is already bound to an uid"));
            }
            if self.is_closed() {
                return Err(Error::closed());
            }
            *state = Uid::Binding(uid.clone());
        }
        // Dropped half-way (a cancelled handler) or refused: unbound again.
        let mut undo = Undo(Some(self));
        self.0.link.bind(self, &uid).await?;
        undo.0 = None;
        *self.0.uid.lock() = Uid::Bound(uid);
        Ok(())
    }

    /// Its data.
    #[must_use]
    pub fn data(&self) -> &SessionData {
        &self.0.data
    }

    /// Sends the data to the server that holds the client's connection, where they take the place of those there: what
    /// a handler on another server changes is seen there and by the next message only after this. On the server that
    /// holds the connection there is nothing to do.
    ///
    /// # Errors
    /// PIT-408 and PIT-503 when that server does not answer or is gone; PIT-000 `session not found` when the client is.
    pub async fn push_to_front(&self) -> Result<()> {
        self.0.link.push_to_front(self).await
    }

    /// The server that holds the client's connection, when it is not this one.
    #[must_use]
    pub fn frontend(&self) -> Option<&Peer> {
        self.0.link.frontend()
    }

    /// What the client said of itself in the handshake, on the server that holds its connection.
    #[must_use]
    pub fn handshake(&self) -> Option<&HandshakeData> {
        self.0.handshake.get().map(|data| &**data)
    }

    /// Keeps what the client said, which many clients may share. The first call counts.
    pub fn set_handshake(&self, data: impl Into<Arc<HandshakeData>>) {
        // A client may shake hands again until it acknowledges; its first words stand.
        let _ = self.0.handshake.set(data.into());
    }

    /// Sends a message in JSON: [`push_as`](Self::push_as) with the JSON codec.
    ///
    /// # Errors
    /// As for [`push_as`](Self::push_as).
    pub fn push<T: ?Sized>(&self, route: &str, message: &T) -> Result<()>
    where
        (crate::Json,): Writes<T>,
    {
        self.push_as::<(crate::Json,), T>(route, message)
    }

    /// Sends a message with the one of these codecs that the session speaks: `push_as::<(Protobuf,), _>(..)`.
    ///
    /// # Errors
    /// PIT-499 when the session is closed or was closed just now because it reads too slowly; PIT-500 when none of the
    /// codecs is the session's; PIT-400 for a route that the wire cannot carry; the codec's own.
    pub fn push_as<Cs: Writes<T>, T: ?Sized>(&self, route: &str, message: &T) -> Result<()> {
        let serializer = self.0.link.serializer().name();
        let codec = Cs::position(serializer).ok_or_else(|| {
            Error::internal(format!(
                "the session speaks {serializer}, the push is written in {}",
                Cs::NAMES.join(" or ")
            ))
        })?;
        let mut body = Vec::with_capacity(128);
        Cs::write(codec, message, &mut body)?;
        if Cs::VERBATIM { self.push_raw(route, &body) } else { self.push_encoded(route, &body) }
    }

    /// Sends a body that a codec has written, here or on another server.
    #[doc(hidden)]
    pub fn push_encoded(&self, route: &str, body: &[u8]) -> Result<()> {
        self.0.link.push(route, body)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As for [`push_as`](Self::push_as), without the codecs'.
    pub fn push_raw(&self, route: &str, body: &[u8]) -> Result<()> {
        self.0.link.push_raw(route, body)
    }

    /// Sends a message that was encoded once for many.
    ///
    /// # Errors
    /// As for [`push_raw`](Self::push_raw).
    pub fn send(&self, push: &Push) -> Result<()> {
        self.0.link.send(push)
    }

    /// Sends the kick packet after all that is queued, flushes, and closes. It is the last thing the client gets.
    ///
    /// # Errors
    /// PIT-499 when the session is closed.
    pub fn kick(&self) -> Result<()> {
        self.0.link.kick(None)
    }

    /// [`kick`](Self::kick) with a reason that the client gets, and that [`close_reason`](Self::close_reason) tells at the
    /// frontend. From a server that is not the frontend it needs a frontend that understands reasons: a Go server kicks
    /// without.
    ///
    /// # Errors
    /// PIT-499 when the session is closed.
    pub fn kick_with(&self, reason: &KickReason) -> Result<()> {
        self.0.link.kick(Some(reason))
    }

    /// Closes it after what is queued has been flushed. Later calls do nothing.
    pub fn close(&self) {
        self.0.link.close(CloseReason::Server);
    }

    /// [`close`](Self::close) for a reason of the framework.
    #[doc(hidden)]
    pub fn close_for(&self, reason: CloseReason) {
        self.0.link.close(reason);
    }

    /// Whether it is closed; callbacks may still be running.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.closed.reason().is_some()
    }

    /// Why it was closed.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.0.closed.reason()
    }

    /// Ends when it is closed.
    pub async fn closed(&self) -> &CloseReason {
        self.0.closed.wait().await
    }

    /// Runs `callback` once when the session closes, after those registered before; at once if it is closed already.
    /// The uid and the data can still be read in it. A panic in it is logged and keeps no other from running.
    pub fn on_close(&self, callback: impl FnOnce(&Self, &CloseReason) + Send + 'static) {
        let callback: OnClose = Box::new(callback);
        let mut callbacks = self.0.on_close.lock();
        match self.close_reason() {
            // The list was taken under this lock after the reason was set: too late for it.
            Some(reason) => {
                drop(callbacks);
                run(callback, self, reason);
            }
            None => callbacks.push(callback),
        }
    }

    /// Where it comes from, if its link knows.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.0.link.remote_addr()
    }

    /// The certificate that the client showed, on the server that holds its connection and if the acceptor asks for them.
    /// Validators of the handshake see it too.
    #[must_use]
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.0.link.certificate()
    }

    /// The serializer it speaks.
    #[must_use]
    pub fn serializer(&self) -> Serializer {
        self.0.link.serializer()
    }

    /// Whether this is the only handle, to a session with this uid and this data, and nothing was left with it.
    pub(crate) fn is_same(&mut self, uid: &[u8], data: &[u8]) -> bool {
        Arc::get_mut(&mut self.0).is_some_and(|inner| {
            let same = match inner.uid.get_mut() {
                Uid::Unbound => uid.is_empty(),
                Uid::Bound(known) => same(known.as_bytes(), uid),
                Uid::Binding(_) => false,
            };
            let clear = inner.handshake.get().is_none() && inner.closed.reason().is_none();
            same && clear && inner.on_close.get_mut().is_empty() && inner.data.is_wire(data)
        })
    }

    /// Marks it closed and runs its own callbacks. Returns false when it was closed before: whoever owns the session
    /// goes on with the app's callbacks only on true.
    #[doc(hidden)]
    pub fn finish(&self, reason: CloseReason) -> bool {
        if !self.0.closed.set(reason) {
            return false;
        }
        let callbacks = std::mem::take(&mut *self.0.on_close.lock());
        if let Some(reason) = self.close_reason() {
            for callback in callbacks {
                run(callback, self, reason);
            }
        }
        true
    }
}

fn run(callback: OnClose, session: &Session, reason: &CloseReason) {
    let call = std::panic::AssertUnwindSafe(|| callback(session, reason));
    if let Err(panic) = std::panic::catch_unwind(call) {
        session.0.link.panicked(session, &*panic);
    }
}

struct Undo<'a>(Option<&'a Session>);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            *session.0.uid.lock() = Uid::Unbound;
        }
    }
}

impl PartialEq for Session {
    /// The same session, not an equal one.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for Session {}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Session");
        s.field("id", &self.0.id).field("uid", &self.uid());
        if let Some(reason) = self.close_reason() {
            s.field("closed", reason);
        }
        s.finish()
    }
}

#[cfg(test)]
mod tests;
