//! A thin client of etcd: what discovery, groups and bindings need, each call with a deadline.

use super::messages::{
    Authenticate, Done, Grant, Lease, LeaseId, Range, Ranged, Token, Txn, TxnDone, WatchCreate, WatchRequest, Watched,
};
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, IntoRequest, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// How long one call may take. Also how soon a member that fell silent is noticed.
const CALL: Duration = Duration::from_secs(3);
/// A connection on which nothing is heard is asked this often whether it lives.
const PING: Duration = Duration::from_secs(3);

pub(super) type Result<T> = std::result::Result<T, Status>;

/// A handle to an etcd cluster. Connects when it is first used, and again for ever.
#[derive(Clone)]
pub(super) struct Client {
    channel: Channel,
    login: Option<Arc<Login>>,
}

struct Login {
    user: String,
    pass: String,
    token: Mutex<Option<AsciiMetadataValue>>,
}

impl Client {
    /// The members as `host:port`, with or without a scheme; no login when the user or the password is empty.
    pub(super) fn new(
        endpoints: &[String],
        dial: Duration,
        user: &str,
        pass: &str,
    ) -> std::result::Result<Self, String> {
        if endpoints.is_empty() {
            return Err("no endpoint is given".to_owned());
        }
        let endpoint = |text: &String| {
            let url = if text.contains("://") { text.clone() } else { format!("http://{text}") };
            let endpoint =
                Endpoint::from_shared(url).map_err(|e| format!("the endpoint `{text}` is no `host:port`: {e}"))?;
            Ok::<_, String>(
                endpoint
                    .connect_timeout(dial)
                    .http2_keep_alive_interval(PING)
                    .keep_alive_timeout(PING)
                    .keep_alive_while_idle(true),
            )
        };
        let endpoints = endpoints.iter().map(endpoint).collect::<std::result::Result<Vec<_>, _>>()?;
        let channel = match &endpoints[..] {
            [one] => one.connect_lazy(),
            _ => Channel::balance_list(endpoints.into_iter()),
        };
        let login = (!user.is_empty() && !pass.is_empty())
            .then(|| Arc::new(Login { user: user.to_owned(), pass: pass.to_owned(), token: Mutex::default() }));
        Ok(Self { channel, login })
    }

    pub(super) async fn range(&self, range: Range) -> Result<Ranged> {
        self.call("/etcdserverpb.KV/Range", range).await
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<TxnDone> {
        self.call("/etcdserverpb.KV/Txn", txn).await
    }

    /// A new lease of at least so many seconds.
    pub(super) async fn grant(&self, ttl: Duration) -> Result<i64> {
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let lease: Lease = self.call("/etcdserverpb.Lease/LeaseGrant", Grant { ttl, id: 0 }).await?;
        if lease.error.is_empty() { Ok(lease.id) } else { Err(Status::unknown(lease.error)) }
    }

    pub(super) async fn revoke(&self, id: i64) -> Result<Done> {
        self.call("/etcdserverpb.Lease/LeaseRevoke", LeaseId { id }).await
    }

    /// Renews a lease once: the seconds it has left, none when it is gone.
    pub(super) async fn renew(&self, id: i64) -> Result<Option<i64>> {
        let (asks, requests) = mpsc::channel(1);
        // Before the call: etcd answers with headers only after the first message.
        let _ = asks.try_send(LeaseId { id });
        let answers = self.stream::<_, Lease>("/etcdserverpb.Lease/LeaseKeepAlive", requests);
        let answered = async { answers.await?.message().await };
        let lease = within(answered).await?.ok_or_else(|| Status::unavailable("etcd ended the stream"))?;
        Ok((lease.ttl > 0).then_some(lease.ttl))
    }

    /// Everything that happens to keys with this prefix, from a revision on. The sender keeps the watch alive.
    pub(super) async fn watch(
        &self,
        prefix: &str,
        from: i64,
    ) -> Result<(mpsc::Sender<WatchRequest>, Streaming<Watched>)> {
        let (asks, requests) = mpsc::channel(1);
        let (key, range_end) = prefixed(prefix);
        let create = Some(WatchCreate { key, range_end, start_revision: from });
        let _ = asks.try_send(WatchRequest { create });
        let answers = within(self.stream("/etcdserverpb.Watch/Watch", requests)).await?;
        Ok((asks, answers))
    }

    async fn call<Q, A>(&self, path: &'static str, message: Q) -> Result<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let once = |message: Q| async {
            let mut grpc = Grpc::new(self.channel.clone());
            let request = self.signed(message.into_request()).await?;
            ready(&mut grpc).await?;
            let codec = ProstCodec::<Q, A>::default();
            Ok(grpc.unary(request, PathAndQuery::from_static(path), codec).await?.into_inner())
        };
        match within(once(message.clone())).await {
            // The token has run out, or etcd was restarted.
            Err(status) if self.login.is_some() && is_refused(&status) => {
                self.forget_token();
                within(once(message)).await
            }
            outcome => outcome,
        }
    }

    async fn stream<Q, A>(&self, path: &'static str, requests: mpsc::Receiver<Q>) -> Result<Streaming<A>>
    where
        Q: Message + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        let request = self.signed(Requests(requests).into_streaming()).await?;
        ready(&mut grpc).await?;
        let codec = ProstCodec::<Q, A>::default();
        let answers = grpc.streaming(request, PathAndQuery::from_static(path), codec).await;
        answers.map(tonic::Response::into_inner).inspect_err(|status| {
            if is_refused(status) {
                self.forget_token();
            }
        })
    }

    fn forget_token(&self) {
        if let Some(login) = &self.login {
            *login.token.lock() = None;
        }
    }

    async fn signed<T>(&self, mut request: Request<T>) -> Result<Request<T>> {
        let Some(login) = &self.login else { return Ok(request) };
        let known = login.token.lock().clone();
        let token = match known {
            Some(token) => token,
            None => {
                let mut grpc = Grpc::new(self.channel.clone());
                ready(&mut grpc).await?;
                let ask = Authenticate { name: login.user.clone(), password: login.pass.clone() };
                let path = PathAndQuery::from_static("/etcdserverpb.Auth/Authenticate");
                let codec = ProstCodec::<Authenticate, Token>::default();
                let token = grpc.unary(ask.into_request(), path, codec).await?.into_inner().token;
                let token: AsciiMetadataValue =
                    token.parse().map_err(|_| Status::internal("etcd gave a token that is no text"))?;
                *login.token.lock() = Some(token.clone());
                token
            }
        };
        request.metadata_mut().insert("token", token);
        Ok(request)
    }
}

fn is_refused(status: &Status) -> bool {
    status.code() == Code::Unauthenticated || status.message().contains("invalid auth token")
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<()> {
    grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))
}

async fn within<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(CALL, call)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("no answer within {CALL:?}"))))
}

/// A key and the end of the range of all keys that begin with it.
pub(super) fn prefixed(prefix: &str) -> (Bytes, Bytes) {
    let mut end = prefix.as_bytes().to_vec();
    // A prefix is a text: no byte of it is 255, and an empty one means all keys.
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => return (Bytes::from_static(&[0]), Bytes::from_static(&[0])),
    }
    (Bytes::copy_from_slice(prefix.as_bytes()), end.into())
}

/// The cause of a failed call, for people.
pub(super) fn cause(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    if text.is_empty() { format!("{:?}", status.code()) } else { text }
}

struct Requests<T>(mpsc::Receiver<T>);

impl<T> Requests<T> {
    fn into_streaming(self) -> Request<Self> {
        Request::new(self)
    }
}

impl<T> Stream for Requests<T> {
    type Item = T;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}
