//! The handle an application holds.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use pitaya_core::wire::{
    HandshakeResponse, Message, MessageKind, PacketKind, RouteRef, compress_tail, message, packet,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::close::CloseReason;
use crate::error::{ConnectError, RequestError};
use crate::link::{Core, Link};
use crate::options::ConnectOptions;
use crate::push::PushStream;
use crate::state::{ConnectionState, StateChanges};

/// A connection to a server: cheap to clone, used by any number of tasks at once.
///
/// Any number of requests may be in flight; answers find their request in whatever order they come. Requests and
/// notifies leave in the order they are first polled. When 256 packets wait to be written, senders wait too. Dropping
/// the future of a request forgets it: its answer is dropped when it comes, and counted.
///
/// The connection ends with the last handle. A lost one is restored if the options
/// [say so](ConnectOptions::reconnect).
///
/// ```no_run
/// # async fn play(client: pitaya_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use serde_json::{Value, json};
///
/// let join = json!({"room": 1});
/// let (a, b) = tokio::join!(
///     client.request_json::<Value>("room.join", &join),
///     client.request_raw("room.echo", "any bytes"),
/// );
/// match a {
///     Ok(joined) => println!("{joined}, {:?}", b?),
///     Err(error) if error.code() == Some("ROOM-FULL") => println!("try another"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    timeout: Duration,
    /// The connection that is logged in over: not yet that of all handles. Not used any more when it is lost.
    login: Option<Arc<Link>>,
}

/// State shared by all handles of a client. The task does not hold it, so that it notices when all are gone.
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    pub(crate) compress: bool,
    /// Dropped to end the client.
    pub(crate) closing: Mutex<Option<oneshot::Sender<Infallible>>>,
}

/// Counts events that are reported nowhere else, since the client first connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Answers that came when nobody waited for them any more: after a timeout, or after the request was dropped.
    pub late_answers: u64,
    /// Pushes that found a full [`PushStream`], counted for each; and those beyond the first 64 that came before any
    /// stream was opened.
    pub dropped_pushes: u64,
}

impl Client {
    /// Connects with the default options. See [`ConnectOptions::connect`] for the forms of an address.
    ///
    /// ```no_run
    /// # async fn connect() -> Result<(), pitaya_client::ConnectError> {
    /// let client = pitaya_client::Client::connect("tcp://127.0.0.1:3250").await?;
    /// println!("the server speaks {}", client.handshake().serializer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`], see there.
    pub async fn connect(address: &str) -> Result<Self, ConnectError> {
        Self::options().connect(address).await
    }

    /// The options, to be changed before connecting.
    pub fn options() -> ConnectOptions {
        ConnectOptions::default()
    }

    /// Another handle of the same connection, whose requests wait for this long.
    ///
    /// ```no_run
    /// # async fn ask(client: pitaya_client::Client) -> Result<(), pitaya_client::RequestError> {
    /// # use std::time::Duration;
    /// let report = client.with_timeout(Duration::from_secs(60)).request_raw("report.make", "").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    pub(crate) fn new(shared: Arc<Shared>, timeout: Duration) -> Self {
        Self { shared, timeout, login: None }
    }

    /// A handle that talks over this connection, as long as there is one.
    pub(crate) fn over(shared: Arc<Shared>, link: Arc<Link>, timeout: Duration) -> Self {
        Self { shared, timeout, login: Some(link) }
    }

    fn link(&self) -> Arc<Link> {
        match &self.login {
            Some(link) if !link.pending.is_closed() => Arc::clone(link),
            _ => self.shared.core.link(),
        }
    }

    /// The server's handshake: its serializer, heartbeat and dictionary. After a reconnect, what it said
    /// then.
    #[must_use]
    pub fn handshake(&self) -> Arc<HandshakeResponse> {
        Arc::clone(&self.link().handshake)
    }

    /// Sends a request with these bytes, and waits for the bytes of the answer.
    ///
    /// # Errors
    /// [`RequestError`], see there; all but [`Decode`](RequestError::Decode).
    pub async fn request_raw(&self, route: &str, body: impl Into<Bytes>) -> Result<Bytes, RequestError> {
        // One connection for all of it: ids, route codes and the queue are its own.
        let link = self.link();
        let mut ticket = link.pending.register()?;
        let packet = self.encode(&link, MessageKind::Request, ticket.id, route, &body.into())?;
        let answer = async {
            // Closed meanwhile: the ticket then says why.
            let _ = link.outgoing.send(packet).await;
            (&mut ticket.answer).await.unwrap_or_else(|_| Err(link.pending.unsent()))
        };
        tokio::time::timeout(self.timeout, answer).await.map_err(|_| RequestError::Timeout(self.timeout))?
    }

    /// Sends a request with a JSON body, and reads the answer as JSON.
    ///
    /// # Errors
    /// [`RequestError`], see there.
    pub async fn request_json<R: DeserializeOwned>(
        &self,
        route: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<R, RequestError> {
        let answer = self.request_raw(route, json(payload)?).await?;
        pitaya_core::json::read(&answer).map_err(|error| RequestError::Decode(error.into()))
    }

    /// Sends a request with a protocol buffer as its body, and reads the answer as one.
    ///
    /// # Errors
    /// [`RequestError`], see there.
    pub async fn request_protobuf<R: prost::Message + Default>(
        &self,
        route: &str,
        payload: &impl prost::Message,
    ) -> Result<R, RequestError> {
        let answer = self.request_raw(route, payload.encode_to_vec()).await?;
        R::decode(answer).map_err(|error| RequestError::Decode(error.into()))
    }

    /// Sends a notify with these bytes. Done when it is queued for writing: whether it arrives is not known, and the
    /// server never answers it.
    ///
    /// # Errors
    /// [`RequestError::Encode`], [`Closed`](RequestError::Closed) and [`NotConnected`](RequestError::NotConnected);
    /// [`Timeout`](RequestError::Timeout) when the connection takes nothing for so long.
    pub async fn notify_raw(&self, route: &str, body: impl Into<Bytes>) -> Result<(), RequestError> {
        let link = self.link();
        let packet = self.encode(&link, MessageKind::Notify, 0, route, &body.into())?;
        let sent = tokio::time::timeout(self.timeout, link.outgoing.send(packet)).await;
        sent.map_err(|_| RequestError::Timeout(self.timeout))?.map_err(|_| link.pending.unsent())
    }

    /// Sends a notify with a JSON body.
    ///
    /// # Errors
    /// As [`notify_raw`](Self::notify_raw).
    pub async fn notify_json(&self, route: &str, payload: &(impl Serialize + ?Sized)) -> Result<(), RequestError> {
        self.notify_raw(route, json(payload)?).await
    }

    /// Sends a notify with a protocol buffer as its body.
    ///
    /// # Errors
    /// As [`notify_raw`](Self::notify_raw).
    pub async fn notify_protobuf(&self, route: &str, payload: &impl prost::Message) -> Result<(), RequestError> {
        self.notify_raw(route, payload.encode_to_vec()).await
    }

    /// A stream of all pushes from now on.
    ///
    /// A server may push before an application can open a stream: the first 64 pushes that come before any stream was
    /// opened are kept, and go to the first stream that wants them.
    #[must_use]
    pub fn pushes(&self) -> PushStream {
        self.shared.core.streams.subscribe(None)
    }

    /// A stream of the pushes with this route; else like [`pushes`](Self::pushes). Several streams may want the same.
    #[must_use]
    pub fn on(&self, route: &str) -> PushStream {
        self.shared.core.streams.subscribe(Some(route))
    }

    /// Ends the connection: what was sent before is written, requests in flight fail at once, and so does everything
    /// afterwards on any handle. Returns when the server has closed its side too, after 5 seconds at most.
    pub async fn close(&self) {
        drop(self.shared.closing.lock().take());
        self.closed().await;
    }

    /// Waits for the end of the connection, and says why it ended. A loss that is restored is no end.
    pub async fn closed(&self) -> CloseReason {
        let mut states = self.shared.core.state.subscribe();
        let closed = states.wait_for(|state| matches!(state, ConnectionState::Closed(_))).await;
        match closed.as_deref() {
            Ok(ConnectionState::Closed(reason)) => reason.clone(),
            _ => CloseReason::Local,
        }
    }

    /// Why the connection ended or is about to, if it does.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        match &*self.shared.core.state.borrow() {
            ConnectionState::Closed(reason) => return Some(reason.clone()),
            ConnectionState::Connected | ConnectionState::Reconnecting { .. } => {}
        }
        self.shared.core.link().pending.closed()
    }

    /// Waits until requests can be sent: at once while connected, and otherwise until the connection is
    /// [restored](ConnectOptions::reconnect). A [login](crate::Reconnect::login) need not wait: its handle is connected.
    ///
    /// # Errors
    /// The reason, when the connection has ended for good.
    pub async fn connected(&self) -> Result<(), CloseReason> {
        if self.login.as_ref().is_some_and(|link| !link.pending.is_closed()) {
            return Ok(());
        }
        let mut states = self.shared.core.state.subscribe();
        let settled = states.wait_for(|state| !matches!(state, ConnectionState::Reconnecting { .. })).await;
        match settled.as_deref() {
            Ok(ConnectionState::Closed(reason)) => Err(reason.clone()),
            _ => self.shared.core.link().pending.closed().map_or(Ok(()), Err),
        }
    }

    /// Whether the client is connected.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared.core.state.borrow().clone()
    }

    /// The changes of [`state`](Self::state) from now on.
    #[must_use]
    pub fn states(&self) -> StateChanges {
        StateChanges::new(self.shared.core.state.subscribe())
    }

    /// Counts of events that are reported nowhere else.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let core = &self.shared.core;
        Counters { late_answers: core.late.load(Ordering::Relaxed), dropped_pushes: core.streams.dropped() }
    }

    fn encode(
        &self,
        link: &Link,
        kind: MessageKind,
        id: u64,
        route: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, RequestError> {
        let code = link.handshake.dictionary.code(route);
        let route = Some(code.map_or(RouteRef::from(route), RouteRef::Code));
        // 16 bytes of header, flags, id and length, 255 of route at most.
        let mut out = Vec::with_capacity(packet::HEADER + 16 + message::MAX_ROUTE + body.len());
        let at = packet::open(&mut out, PacketKind::Data);
        let flags = out.len();
        let message = Message { kind, id, route, compressed: false, error: false, body };
        message.encode(&mut out).map_err(|error| RequestError::Encode(error.into()))?;
        let body_at = out.len() - body.len();
        if self.shared.compress && compress_tail(&mut out, body_at) {
            out[flags] |= message::COMPRESSED;
        }
        packet::seal(&mut out, at).map_err(|error| RequestError::Encode(error.into()))?;
        Ok(out)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).field("closed", &self.close_reason()).finish()
    }
}

fn json(payload: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, RequestError> {
    serde_json::to_vec(payload).map_err(|error| RequestError::Encode(error.into()))
}
