//! Servers that are nothing but a transport, and what they hear.

use pitaya_core::cluster::server::{LANE, LANE_VERSION, SPEAKS};
use pitaya_runtime::cluster::nats::NatsTransport;
use pitaya_runtime::cluster::{
    Callee, Delivery, Forward, Forwarder, IncomingCall, IncomingMessage, Login, Reply, ServerInfo, Sink, Transport,
};
use pitaya_runtime::config::{Config, Secret};
use pitaya_runtime::{Error, KickReason, Result};
use pitaya_tests::PATIENCE;
use pitaya_tests::nats::NatsServer;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

type OnMessage = Box<dyn Fn(IncomingMessage) + Send + Sync>;
type OnCall = Box<dyn Fn(IncomingCall, Reply) + Send + Sync>;

/// What a server does with what comes in, and what it was told.
pub(crate) struct Fake {
    on_message: OnMessage,
    on_call: OnCall,
    /// Users whose sessions are here.
    pub(crate) users: Mutex<Vec<String>>,
    /// Servers that it was told have answered.
    pub(crate) reachable: Mutex<Vec<String>>,
    /// Servers that discovery knows.
    known: Mutex<Vec<Arc<ServerInfo>>>,
    told: UnboundedSender<Told>,
}

/// What a server was told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Push(String, String, Vec<u8>),
    Kick(String, Option<KickReason>),
    Bound(String, String),
    Own(Login),
    Unreachable(String),
}

impl Callee for Fake {
    fn call(&self, call: IncomingCall, reply: Reply) {
        (self.on_call)(call, reply);
    }

    fn messages(&self, delivery: Delivery) {
        delivery.messages().for_each(|message| (self.on_message)(message));
    }

    fn push(&self, uid: &str, route: &str, body: &[u8]) -> bool {
        let _ = self.told.send(Told::Push(uid.to_owned(), route.to_owned(), body.to_owned()));
        self.users.lock().expect("unpoisoned").iter().any(|user| user == uid)
    }

    fn kick(&self, uid: &str, reason: Option<&KickReason>) -> bool {
        let _ = self.told.send(Told::Kick(uid.to_owned(), reason.cloned()));
        self.users.lock().expect("unpoisoned").iter().any(|user| user == uid)
    }

    fn bound_elsewhere(&self, login: &Login) {
        let _ = self.told.send(Told::Bound(login.uid.to_string(), login.frontend.to_string()));
    }

    fn told_bound(&self, login: &Login) {
        let _ = self.told.send(Told::Own(login.clone()));
    }

    fn unreachable(&self, server: &str) {
        let _ = self.told.send(Told::Unreachable(server.to_owned()));
    }

    fn server(&self, id: &str) -> Option<Arc<ServerInfo>> {
        self.known.lock().expect("unpoisoned").iter().find(|server| *server.id == *id).cloned()
    }

    fn reachable(&self, server: &str) {
        self.reachable.lock().expect("unpoisoned").push(server.to_owned());
    }
}

/// A server in the making.
pub(crate) struct Maker {
    pub(crate) kind: &'static str,
    pub(crate) id: &'static str,
    pub(crate) frontend: bool,
    pub(crate) lane: bool,
    pub(crate) config: Config,
    on_message: OnMessage,
    on_call: OnCall,
}

/// A server on this broker that echoes messages and calls.
pub(crate) fn server(kind: &'static str, id: &'static str, broker: &NatsServer) -> Maker {
    let mut config = Config::default();
    config.cluster.rpc.client.nats.connect = broker.url();
    config.cluster.rpc.client.nats.requesttimeout = Duration::from_secs(3);
    Maker {
        kind,
        id,
        frontend: kind == "connector",
        lane: true,
        config,
        on_message: Box::new(|message| message.from.back.answer(message.letter.ticket, Ok(&message.letter.body))),
        on_call: Box::new(|call, reply| reply(Ok(call.body))),
    }
}

impl Maker {
    pub(crate) fn on_message(mut self, f: impl Fn(IncomingMessage) + Send + Sync + 'static) -> Self {
        self.on_message = Box::new(f);
        self
    }

    pub(crate) fn on_call(mut self, f: impl Fn(IncomingCall, Reply) + Send + Sync + 'static) -> Self {
        self.on_call = Box::new(f);
        self
    }

    /// Without the lane: what a Go server is to ours.
    pub(crate) fn plain(mut self) -> Self {
        self.lane = false;
        self
    }

    /// With keys that it signs with.
    pub(crate) fn keys(mut self, keys: &str) -> Self {
        self.config.cluster.rpc.authentication.keys = Secret::new(keys);
        self
    }

    /// With one more type of servers that need not sign.
    pub(crate) fn unsigned(mut self, kind: &str) -> Self {
        self.config.cluster.rpc.authentication.unsigned.push(kind.to_owned());
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.config.cluster.rpc.client.nats.requesttimeout = timeout;
        self
    }

    pub(crate) async fn start(self) -> Node {
        let mut info = ServerInfo::new(self.kind, self.id, self.frontend);
        if self.lane {
            info.metadata.insert(LANE.to_owned(), LANE_VERSION.to_owned());
        }
        let (told, hears) = unbounded_channel();
        let fake = Fake {
            on_message: self.on_message,
            on_call: self.on_call,
            users: Mutex::default(),
            reachable: Mutex::default(),
            known: Mutex::default(),
            told,
        };
        let transport = NatsTransport::new(&self.config.cluster.rpc);
        if !transport.extensions().is_empty() {
            info.metadata.insert(SPEAKS.to_owned(), transport.extensions().join(","));
        }
        let node = Node { info: Arc::new(info), transport: Arc::new(transport), fake: Arc::new(fake), hears };
        node.transport.start(node.info.clone(), node.fake.clone()).await.expect("the broker is there");
        node
    }
}

/// A running server.
pub(crate) struct Node {
    pub(crate) info: Arc<ServerInfo>,
    pub(crate) transport: Arc<NatsTransport>,
    pub(crate) fake: Arc<Fake>,
    hears: UnboundedReceiver<Told>,
}

impl Node {
    /// Discovery reports this server.
    pub(crate) fn knows(&self, server: &Arc<ServerInfo>) {
        self.fake.known.lock().expect("unpoisoned").push(server.clone());
    }

    /// What it is told next.
    pub(crate) async fn hear(&mut self) -> Told {
        timeout(PATIENCE, self.hears.recv()).await.expect("it is told something").expect("it runs")
    }

    /// Nothing was told that has not been heard.
    pub(crate) fn heard_all(&mut self) -> bool {
        self.hears.is_empty()
    }

    /// A session here.
    pub(crate) fn session(&self, number: i64) -> Client {
        let (sender, events) = unbounded_channel();
        Client { way: self.transport.open(Arc::new(Ear(sender))), number, events }
    }
}

/// What a session hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Answer(u64, Result<Vec<u8>>),
    Push(String, Vec<u8>),
    Kick(Option<KickReason>),
}

struct Ear(UnboundedSender<Event>);

impl Sink for Ear {
    fn answered(&self, id: u64, outcome: Result<&[u8], &Error>) {
        let _ = self.0.send(Event::Answer(id, outcome.map(<[u8]>::to_vec).map_err(Error::clone)));
    }

    fn pushed(&self, route: &str, body: &[u8]) {
        let _ = self.0.send(Event::Push(route.to_owned(), body.to_owned()));
    }

    fn kicked(&self, reason: Option<&KickReason>) {
        let _ = self.0.send(Event::Kick(reason.cloned()));
    }
}

/// A session.
pub(crate) struct Client {
    way: Arc<dyn Forwarder>,
    pub(crate) number: i64,
    events: UnboundedReceiver<Event>,
}

impl Client {
    pub(crate) fn send(&self, to: &Arc<ServerInfo>, id: u64, body: &[u8]) -> Result<()> {
        self.way.forward(to, Forward::new(self.number, id, false, "room.room.join", body))
    }

    pub(crate) fn forward(&self, to: &Arc<ServerInfo>, forward: Forward<'_>) -> Result<()> {
        self.way.forward(to, forward)
    }

    pub(crate) async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("something happens").expect("it lives")
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }

    /// The outcome of this message, which must be the next event.
    pub(crate) async fn outcome(&mut self, id: u64) -> Result<Vec<u8>> {
        match self.event().await {
            Event::Answer(answered, outcome) if answered == id => outcome,
            other => panic!("not the answer to {id}: {other:?}"),
        }
    }
}

/// Waits until this holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The code of an error.
pub(crate) fn code<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    outcome.expect_err("an error").code().to_owned()
}
