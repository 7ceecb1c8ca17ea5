//! Calls to etcd: which member is asked, with which token, for how long.

use super::address::{self, AddressError};
use super::fault::{Fault, Kind};
use super::login::{Login, Token};
use super::messages::{AuthenticateRequest, AuthenticateResponse};
use crate::cluster::tls::ClientTls;
use futures_util::{StreamExt, future, stream};
use parking_lot::Mutex;
use prost::Message;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// The longest answer that is read, in bytes. Some 100,000 servers or groups.
const LONGEST_ANSWER: usize = 64 << 20;

/// A client of one cluster of etcd. It stays with one member until that does not answer, then goes on to the next.
///
/// Connections are made when they are needed, inside of a Tokio runtime; making a client needs none.
pub(super) struct Client {
    members: Vec<Member>,
    /// Which member is asked, counted on and on.
    at: AtomicUsize,
    login: Option<Login>,
}

struct Member {
    address: Arc<str>,
    endpoint: Endpoint,
    channel: Mutex<Option<Channel>>,
}

impl Member {
    fn channel(&self) -> Channel {
        // Lazy: tonic connects with the first call, and again after a loss.
        self.channel.lock().get_or_insert_with(|| self.endpoint.connect_lazy()).clone()
    }
}

impl Client {
    /// A client of the members at these addresses, which may each take `dial` to connect.
    pub(super) fn new(
        addresses: &[String],
        login: Option<Login>,
        dial: Duration,
        tls: &ClientTls,
    ) -> Result<Self, AddressError> {
        let member = |address: &String| {
            let (address, endpoint) = address::parse(address, dial, tls)?;
            Ok(Member { address, endpoint, channel: Mutex::new(None) })
        };
        let members = addresses.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Err(AddressError { address: String::new(), reason: "there is none".to_owned() });
        }
        Ok(Self { members, at: AtomicUsize::new(0), login })
    }

    /// The addresses of the members, for the log.
    pub(super) fn shown(&self) -> String {
        let addresses: Vec<&str> = self.members.iter().map(|member| &*member.address).collect();
        addresses.join(", ")
    }

    /// One question, one answer, within this time.
    ///
    /// It goes to another member only when it has certainly not reached the first.
    pub(super) async fn call<Q, A>(&self, path: &'static str, question: Q, within: Duration) -> Result<A, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut tries = self.tries();
        let asked = async {
            loop {
                match self.unary(self.member(&tries), path, question.clone()).await {
                    Err(fault) => self.try_again(&mut tries, fault).await?,
                    answer => return answer,
                }
            }
        };
        let answer = timeout(within, asked).await;
        answer.unwrap_or_else(|_| Err(self.late(&tries, within)))
    }

    /// One question and a stream of answers, of which the first must be there within this time. It ends when it is
    /// dropped.
    pub(super) async fn stream<Q, A>(
        &self,
        path: &'static str,
        question: Q,
        within: Duration,
    ) -> Result<Answers<A>, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut tries = self.tries();
        let asked = async {
            loop {
                match self.streaming(self.member(&tries), path, question.clone()).await {
                    Err(fault) => self.try_again(&mut tries, fault).await?,
                    answers => return answers,
                }
            }
        };
        let answers = timeout(within, asked).await;
        answers.unwrap_or_else(|_| Err(self.late(&tries, within)))
    }

    fn tries(&self) -> Tries {
        Tries { at: self.at.load(Relaxed), unreached: 0, renewed: false }
    }

    fn member(&self, tries: &Tries) -> &Member {
        &self.members[tries.at % self.members.len()]
    }

    /// After a failure: what is worth another try, once with a new token and once with each member.
    async fn try_again(&self, tries: &mut Tries, fault: Fault) -> Result<(), Fault> {
        if let (Kind::Token, Some(login), false) = (fault.kind, &self.login, tries.renewed) {
            tries.renewed = true;
            *login.token.lock().await = None;
            return Ok(());
        }
        if fault.is_of_member() {
            self.leave(tries.at);
        }
        tries.unreached += 1;
        if fault.kind != Kind::Unreached || tries.unreached == self.members.len() {
            return Err(fault);
        }
        tries.at = self.at.load(Relaxed);
        Ok(())
    }

    async fn unary<Q, A>(&self, member: &Member, path: &'static str, question: Q) -> Result<A, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let token = self.token(member).await?;
        unary(member, path, question, token).await
    }

    async fn streaming<Q, A>(&self, member: &Member, path: &'static str, question: Q) -> Result<Answers<A>, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let token = self.token(member).await?;
        // etcd ends a watch only when its stream is reset. h2 resets it once both halves are dropped, and the library
        // keeps the half of the questions for as long as they do not end: so they end when the answers are dropped.
        let (open, closed) = oneshot::channel::<Infallible>();
        let questions =
            stream::once(future::ready(question)).chain(stream::once(closed).filter_map(|_| future::ready(None)));
        let codec = ProstCodec::<Q, A>::default();
        let mut grpc = ready(member).await?;
        let opened = grpc.streaming(request(questions, token), PathAndQuery::from_static(path), codec).await;
        let stream = opened.map_err(|status| Fault::from_status(&member.address, &status))?.into_inner();
        let mut answers = Answers { address: member.address.clone(), first: None, stream, _open: open };
        answers.first = Some(answers.next().await?);
        Ok(answers)
    }

    /// The token to send to this member, if etcd wants one.
    async fn token(&self, member: &Member) -> Result<Option<Token>, Fault> {
        let Some(login) = &self.login else { return Ok(None) };
        let mut held = login.token.lock().await;
        if let Some(token) = &*held {
            return Ok(token.clone());
        }
        let question = AuthenticateRequest { name: login.user.clone(), password: login.pass.expose().to_owned() };
        let answer = unary::<_, AuthenticateResponse>(member, "/etcdserverpb.Auth/Authenticate", question, None).await;
        let token = match answer {
            Ok(answer) => {
                let token = answer.token.parse::<Token>();
                let mut token =
                    token.map_err(|_| Fault::new(Kind::Refused, "etcd gave a token that cannot be sent"))?;
                // Keeps it out of what HTTP/2 logs of its headers.
                token.set_sensitive(true);
                Some(token)
            }
            // Logins are off: then etcd wants no token either.
            Err(fault) if fault.to_string().contains("authentication is not enabled") => None,
            Err(fault) => return Err(fault),
        };
        *held = Some(token.clone());
        Ok(token)
    }

    /// A member that fails is left, unless another call has left it already.
    fn leave(&self, at: usize) {
        let _ = self.at.compare_exchange(at, at.wrapping_add(1), Relaxed, Relaxed);
    }

    /// A connection without an answer is not used again: it may hang for many minutes in the system.
    fn late(&self, tries: &Tries, within: Duration) -> Fault {
        let member = self.member(tries);
        *member.channel.lock() = None;
        self.leave(tries.at);
        Fault::late(&member.address, within)
    }
}

/// The tries of one call.
struct Tries {
    /// Which member is asked.
    at: usize,
    unreached: usize,
    renewed: bool,
}

/// The answers of a stream.
pub(super) struct Answers<A> {
    address: Arc<str>,
    /// The first one, until it is asked for.
    first: Option<A>,
    stream: Streaming<A>,
    /// Keeps the stream of questions open; dropping it ends that stream.
    _open: oneshot::Sender<Infallible>,
}

impl<A> Answers<A> {
    /// The next answer. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Result<A, Fault> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        match self.stream.message().await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Fault::new(Kind::Away, format!("etcd at `{}` ended a stream", self.address))),
            Err(status) => Err(Fault::from_status(&self.address, &status)),
        }
    }
}

async fn unary<Q, A>(member: &Member, path: &'static str, question: Q, token: Option<Token>) -> Result<A, Fault>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = ready(member).await?;
    let codec = ProstCodec::<Q, A>::default();
    let answer = grpc.unary(request(question, token), PathAndQuery::from_static(path), codec).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Fault::from_status(&member.address, &status))
}

async fn ready(member: &Member) -> Result<Grpc<Channel>, Fault> {
    let mut grpc = Grpc::new(member.channel()).max_decoding_message_size(LONGEST_ANSWER);
    let ready = grpc.ready().await;
    let fault = |error: tonic::transport::Error| Status::new(Code::Unavailable, error.to_string());
    ready.map_err(|error| Fault::from_status(&member.address, &fault(error)))?;
    Ok(grpc)
}

fn request<Q>(question: Q, token: Option<Token>) -> Request<Q> {
    let mut request = Request::new(question);
    // A member that lost the others says so at once (`api/v3rpc/rpctypes/md.go`).
    request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    if let Some(token) = token {
        request.metadata_mut().insert("token", token);
    }
    request
}
