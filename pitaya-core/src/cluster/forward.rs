//! A client's message on its way to the server that handles it, and what comes back.

use super::ServerInfo;
use crate::error::{Error, Result};
use crate::rpc::Metadata;
use crate::session::KickReason;
use std::sync::Arc;
use std::time::Duration;

/// One message of a client, as its frontend forwards it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Forward<'a> {
    /// The number of the session on its frontend.
    pub session: i64,
    /// Who it is, empty while nobody.
    pub uid: &'a str,
    /// The session's data, a JSON object.
    pub data: &'a [u8],
    /// The client's number of a request. A request with the number 0 runs and is not answered.
    pub id: u64,
    /// Whether it is a notify. It is acknowledged like a request is answered: the order of a session depends on it.
    pub notify: bool,
    /// The full route.
    pub route: &'a str,
    /// The body, as the client encoded it.
    pub body: &'a [u8],
    /// Whether the body is compressed still, as the client sent it: only to servers that
    /// [speak](ServerInfo::speaks) [`DEFLATED_BODY`](super::server::DEFLATED_BODY).
    pub deflated: bool,
    /// How long its answer is waited for, where that is not as long as the transport waits for all others.
    pub timeout: Option<Duration>,
    /// What travels with this message alone, beside or in place of what does with all of its frontend
    /// ([`Callee::metadata`](super::Callee::metadata)).
    pub metadata: Option<&'a Metadata>,
}

impl<'a> Forward<'a> {
    /// A message of a session without uid and data.
    #[must_use]
    pub fn new(session: i64, id: u64, notify: bool, route: &'a str, body: &'a [u8]) -> Self {
        Self { session, uid: "", data: b"{}", id, notify, route, body, deflated: false, timeout: None, metadata: None }
    }
}

/// The way of one session's messages to other servers. Dropped when the session ends: nobody waits for its answers any
/// more, and what comes late is thrown away.
pub trait Forwarder: Send + Sync + 'static {
    /// Sends one message on, and returns at once. What becomes of it is told to the session's [`Sink`], once: an answer,
    /// an acknowledgement or an error, PIT-408 when the transport's time-out passes or the connection is lost after
    /// sending (it may have run), PIT-503 when it has certainly not run.
    ///
    /// To a server that [keeps order](ServerInfo::keeps_order) messages arrive in the order of the calls, and the sink
    /// hears what a method pushes before it hears its answer. To any other the caller sends the next one after the
    /// answer.
    ///
    /// # Errors
    /// PIT-503 when it cannot be sent; then the sink hears nothing.
    fn forward(&self, to: &Arc<ServerInfo>, message: Forward<'_>) -> Result<()>;
}

/// A frontend's session, as what comes back for it sees it. No method waits.
pub trait Sink: Send + Sync + 'static {
    /// The outcome of the message with this number; 0 for a notify.
    fn answered(&self, id: u64, outcome: Result<&[u8], &Error>);

    /// As [`answered`](Self::answered), when more may come at the same moment: the client may get nothing of it before
    /// [`flush`](Self::flush), which follows in any case.
    fn queued(&self, id: u64, outcome: Result<&[u8], &Error>) {
        self.answered(id, outcome);
    }

    /// Nothing more comes at this moment.
    fn flush(&self) {}

    /// A push of the server that handles its messages.
    fn pushed(&self, route: &str, body: &[u8]);

    /// The server that handles its messages kicks it.
    fn kicked(&self, reason: Option<&KickReason>);
}

/// The way from a method back to the client of another server. No method waits.
pub trait Back: Send + Sync + 'static {
    /// The outcome, once: for a notify an empty body. Nothing is pushed through this ticket's turn afterwards.
    fn answer(&self, ticket: u64, outcome: Result<&[u8], &Error>);

    /// As [`answer`](Self::answer), when more may follow at the same moment: it may go out only with what comes next on
    /// this way, or with [`flush`](Self::flush), which follows in any case.
    fn queue(&self, ticket: u64, outcome: Result<&[u8], &Error>) {
        self.answer(ticket, outcome);
    }

    /// Nothing more comes at this moment.
    fn flush(&self) {}

    /// The same way for one worker alone, where there is a gain in it: what it says keeps its order, without a word
    /// about what others say. `None` where the way is good for everybody.
    fn branch(&self) -> Option<Arc<dyn Back>> {
        None
    }

    /// A push to the session of this message. One that is made before its answer arrives before it, if the way keeps
    /// order; `uid` is whom the session is bound to now.
    ///
    /// # Errors
    /// PIT-000 with Go's text when this way needs a uid and there is none; PIT-499 when nobody can be reached.
    fn push(&self, ticket: u64, uid: Option<&str>, route: &str, body: &[u8]) -> Result<()>;

    /// Kicks the session of this message. A reason is only given to a frontend that understands it.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    fn kick(&self, ticket: u64, uid: Option<&str>, reason: Option<&KickReason>) -> Result<()>;
}
