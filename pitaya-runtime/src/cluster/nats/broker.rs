//! Keeps a connection to the broker, one after the other, for ever.
//!
//! The library's own way back is not used: what it had queued goes out late, when nobody waits any more and before the
//! peers have subscribed again. Here a lost connection ends its client, whatever was in flight is told so at once, and a
//! new client begins with nothing but its subscriptions.

use super::address::Address;
use super::conductor::Conductor;
use super::counters::count;
use super::hub::Hub;
use super::line::{Line, Signals};
use super::outcome::Failure;
use super::settings::backoff;
use super::topics::{self, Order};
use super::{arrivals::Arrivals, called::Called, incoming, incoming::Takes, singles::Singles, subjects};
use crate::cluster::chance;
use async_nats::{AuthError, Client, ConnectOptions, Event, ReconnectToServer, Server, Subscriber};
use pitaya_core::{Error, Result, codes};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How many messages may wait for the task of one subscription. The library drops what comes beyond.
const CAPACITY: usize = 65_536;
/// How many messages may wait for the library's task: beyond, they wait in our own queue, which is bounded by bytes.
const COMMANDS: usize = 256;

pub(super) struct Broker {
    hub: Arc<Hub>,
    addresses: Vec<Address>,
    /// Counts connections, and with it the address that is next.
    made: u64,
    ways: Arc<AtomicU64>,
}

impl Broker {
    pub(super) fn new(hub: Arc<Hub>) -> Result<Self> {
        let addresses = hub.settings.addresses()?;
        if addresses.is_empty() {
            return Err(Error::internal("pitaya.cluster.rpc.client.nats.connect: an address is needed"));
        }
        // All servers know the same list: each begins elsewhere in it.
        let made = (chance() * addresses.len() as f64) as u64;
        Ok(Self { hub, addresses, made, ways: Arc::default() })
    }

    /// The first connection: tried as often as the settings say.
    pub(super) async fn first(&mut self) -> Result<Arc<Line>> {
        let settings = self.hub.settings.clone();
        tracing::info!(addresses = settings.connect_shown(), "connecting to NATS");
        let mut tries = 0;
        loop {
            let problem = match self.connect().await {
                Ok(line) => return Ok(line),
                Err(problem) => problem,
            };
            // Each retry of the settings means all addresses, as in Go.
            tries += 1;
            let rounds = tries / self.addresses.len() as u32;
            if problem.refused || settings.retries.is_some_and(|retries| rounds > retries) {
                let text = format!("cannot connect to NATS at {}: {}", problem.address, problem.cause);
                return Err(Error::new(codes::UNAVAILABLE, text));
            }
            tracing::info!(address = problem.address, error = problem.cause, tries, "waiting for NATS");
            if tries % self.addresses.len() as u32 == 0 {
                sleep(settings.wait + settings.jitter.mul_f64(chance())).await;
            }
        }
    }

    /// Replaces what is lost, until the transport ends.
    pub(super) async fn keep(mut self, mut line: Arc<Line>) {
        let hub = self.hub.clone();
        loop {
            tokio::select! {
                // Neither a lost connection nor a lame one is replaced once the transport ends.
                biased;
                () = hub.stopped.cancelled() => return,
                () = line.signals.down.cancelled() => {}
                () = line.signals.lame.notified() => {
                    if let Some(next) = self.replace(&line).await {
                        line = next;
                        continue;
                    }
                }
            }
            hub.line.store(None);
            count(&hub.counters.disconnects);
            tracing::warn!(
                address = hub.settings.connect_shown(),
                "NATS connection lost: what was in flight has failed, and it is made again"
            );
            let began = Instant::now();
            tokio::select! {
                biased;
                () = hub.stopped.cancelled() => return,
                next = self.again() => line = next,
            }
            tracing::info!(after = ?began.elapsed(), "NATS connection restored");
        }
    }

    async fn again(&mut self) -> Arc<Line> {
        let began = Instant::now();
        loop {
            sleep(backoff(began.elapsed(), chance())).await;
            match self.connect().await {
                Ok(line) => return line,
                Err(problem) => {
                    tracing::debug!(address = problem.address, error = problem.cause, "cannot connect to NATS");
                }
            }
        }
    }

    /// A connection that does everything, and is the current one.
    async fn connect(&mut self) -> Result<Arc<Line>, Problem> {
        let (line, orders) = self.dial().await?;
        // What comes before we count as connected is answered all the same.
        self.hub.back.store(Some(line.clone()));
        let users = self.serve_in_time(&line, orders).await?;
        self.publish(&line, &users);
        Ok(line)
    }

    async fn serve_in_time(&self, line: &Arc<Line>, orders: mpsc::Receiver<Order>) -> Result<Vec<Arc<str>>, Problem> {
        let cause = match timeout(self.hub.settings.connect_timeout * 5, self.serve(line, orders)).await {
            Ok(Ok(users)) => return Ok(users),
            Ok(Err(_)) => "the connection was lost again",
            Err(_) => "the subscriptions were not made in time",
        };
        line.signals.down.cancel();
        let address = self.addresses[self.made as usize % self.addresses.len()].shown();
        Err(Problem { address, cause: cause.to_owned(), refused: false })
    }

    /// From now on everything goes by this connection, which hears these users.
    fn publish(&self, line: &Arc<Line>, heard: &[Arc<str>]) {
        self.hub.back.store(Some(line.clone()));
        self.hub.line.store(Some(line.clone()));
        count(&self.hub.counters.connections);
        // Who left while the subscriptions were made.
        heard.iter().filter(|uid| !self.hub.users.is_subscribed(uid)).for_each(|uid| line.ignore(uid.clone()));
        // And who came.
        let missing = self.hub.users.subscribed_except(heard);
        if !missing.is_empty() {
            let (hub, line) = (self.hub.clone(), line.clone());
            self.hub.tasks.spawn(async move { listen_all(&hub, &line, missing).await });
        }
    }

    /// A connection that hears answers and nothing else.
    async fn dial(&mut self) -> Result<(Arc<Line>, mpsc::Receiver<Order>), Problem> {
        self.made += 1;
        let hub = &self.hub;
        let target = self.addresses[self.made as usize % self.addresses.len()].clone();
        let problem = |cause: String, refused| Problem { address: target.shown(), cause, refused };
        let Some(own) = hub.own() else { return Err(problem("not started".to_owned(), true)) };
        let signals = Arc::new(Signals::default());
        let options = options(hub, &target, &signals).map_err(|cause| problem(cause, true))?;
        let options = options.name(format!("pitaya {} {}", own.info.kind, own.info.id));
        let client = options.connect(target.server.clone()).await.map_err(|e| {
            use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse};
            let refused = matches!(e.kind(), Authentication | AuthorizationViolation | ServerParse);
            problem(e.to_string(), refused)
        })?;
        let (topics, orders) = mpsc::channel(topics::ORDERS);
        let line = Line::new(self.made, client.clone(), &own.info, hub, signals, topics);
        let line = Arc::new(line);
        let lost = |e: Error| problem(e.message().to_owned(), false);
        let calls = subscribe(&client, format!("{}*", line.inbox)).await.map_err(lost)?;
        let lanes = subscribe(&client, format!("{}>", line.lane_inbox)).await.map_err(lost)?;
        let conductor = Conductor::new(hub.clone(), line.clone());
        hub.tasks.spawn(conductor.run(calls, lanes));
        let (writer, hub) = (line.clone(), hub.clone());
        self.hub.tasks.spawn(async move {
            let write = writer.post.run(&writer.client, &writer.calls, &hub);
            writer.signals.down.run_until_cancelled(write).await;
        });
        Ok((line, orders))
    }

    /// Takes calls, messages and topics by this connection, and waits until the broker knows. Says which users it hears.
    async fn serve(&self, line: &Arc<Line>, orders: mpsc::Receiver<Order>) -> Result<Vec<Arc<str>>, Failure> {
        let hub = &self.hub;
        let gone = |_| Failure::Gone;
        let own = hub.own().ok_or(Failure::Unsent)?;
        line.takers.spawn(topics::run(hub.clone(), line.signals.down.clone(), line.retired.clone(), orders));
        let users = hub.users.resubscribe();
        for uid in &users {
            listen(line, &own.info.kind, uid.clone()).await.map_err(gone)?;
        }
        if own.info.frontend {
            let bindings = subscribe(&line.client, subjects::bindings(&own.info.kind)).await.map_err(gone)?;
            line.topics.send(Order::Take(bindings)).await.map_err(|_| Failure::Gone)?;
        }
        let (kind, id) = (&*own.info.kind, &*own.info.id);
        let lane = subscribe(&line.client, subjects::lane(kind, id)).await.map_err(gone)?;
        self.take(line, lane, Arrivals::new(hub.clone(), self.ways.clone()));
        let bundles = subscribe(&line.client, subjects::calls(kind, id)).await.map_err(gone)?;
        self.take(line, bundles, Called::new(hub.clone(), self.ways.clone()));
        let single = subscribe(&line.client, subjects::server(kind, id)).await.map_err(gone)?;
        self.take(line, single, Singles::new(hub.clone()));
        line.settle(hub.settings.connect_timeout * 4).await.map(|()| users)
    }

    fn take(&self, line: &Line, subscriber: Subscriber, taker: impl Takes + 'static) {
        line.takers.spawn(incoming::serve(self.hub.clone(), line.retired.clone(), subscriber, taker));
    }

    /// The broker ends soon: another connection takes over before. The old one stops taking before the new one begins, so
    /// that nothing is done twice: for a moment others hear PIT-503. What is in flight by the old one is waited for.
    async fn replace(&mut self, old: &Arc<Line>) -> Option<Arc<Line>> {
        let hub = self.hub.clone();
        tracing::info!(address = hub.settings.connect_shown(), "NATS is about to end: going elsewhere");
        let asked = Instant::now();
        let dialled = loop {
            match self.dial().await {
                Ok(dialled) => break dialled,
                // There is nowhere to go: it ends as any other.
                Err(_) if old.signals.down.is_cancelled() => return None,
                Err(problem) => tracing::debug!(address = problem.address, error = problem.cause, "not there"),
            }
            sleep(backoff(asked.elapsed(), chance())).await;
        };
        let (line, orders) = dialled;
        old.retire(GOODBYE).await;
        let users = self.serve_in_time(&line, orders).await.ok()?;
        // What was sent by the old one arrives before what is sent by the new one.
        line.post.hold(true);
        self.publish(&line, &users);
        let _ = old.settle(GOODBYE).await;
        line.post.hold(false);
        let (old, wait) = (old.clone(), hub.settings.request_timeout);
        hub.tasks.spawn(async move {
            let flown = async {
                // Whoever has looked up the old one just now may still use it.
                sleep(LINGER).await;
                while old.is_flying() {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let _ = timeout(wait, flown).await;
            old.signals.down.cancel();
        });
        Some(line)
    }
}

/// Why there is no connection.
struct Problem {
    address: String,
    cause: String,
    /// It will not become better by itself.
    refused: bool,
}

/// What makes a client end with its connection.
///
/// # Errors
/// When a file of the login or of TLS cannot be used.
fn options(hub: &Arc<Hub>, target: &Address, signals: &Arc<Signals>) -> Result<ConnectOptions, String> {
    let proof = hub.settings.login.proof(target).map_err(|e| e.message().to_owned())?;
    let tls = hub.settings.tls.rustls().map_err(|e| e.to_string())?;
    // The library asks once for each connection it makes. A second one is refused here, and `max_reconnects(1)` ends it
    // then; 0 would mean for ever. The callback below names the only address there is: with it the library ends in
    // silence, and without it it logs an error that the connection is given up, which is not so.
    let used = Arc::new(AtomicBool::new(false));
    let options = ConnectOptions::with_auth_callback(move |nonce| {
        let answer = match used.swap(true, Relaxed) {
            false => proof.answer(&nonce),
            true => Err(AuthError::new("a lost connection is not made again")),
        };
        std::future::ready(answer)
    });
    let options = match tls {
        Some(tls) => options.tls_client_config(tls).require_tls(true),
        None => options,
    };
    let (hub, signals) = (hub.clone(), signals.clone());
    let (reported, slow) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let ping = hub.settings.ping;
    let connection_timeout = hub.settings.connect_timeout;
    Ok(options
        .max_reconnects(1)
        .reconnect_to_server_callback(|servers, _| {
            let target = |server: Server| ReconnectToServer { addr: server.addr, delay: Some(Duration::ZERO) };
            std::future::ready(servers.into_iter().next().map(target))
        })
        .retain_servers_order()
        .ignore_discovered_servers()
        .connection_timeout(connection_timeout)
        .ping_interval(ping)
        .subscription_capacity(CAPACITY)
        .client_capacity(COMMANDS)
        .skip_subject_validation(true)
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => signals.down.cancel(),
                Event::LameDuckMode => signals.lame.notify_one(),
                Event::SlowConsumer(_) => {
                    count(&hub.counters.dropped);
                    if !slow.swap(true, Relaxed) {
                        tracing::warn!("messages of other servers come faster than they are taken, and are dropped");
                    }
                }
                Event::ServerError(error) => {
                    count(&hub.counters.broker_errors);
                    if !reported.swap(true, Relaxed) {
                        tracing::warn!(error = error.to_string(), "NATS reports an error");
                    }
                }
                Event::Connected | Event::Draining | Event::ClientError(_) => {}
            }
            std::future::ready(())
        }))
}

async fn subscribe(client: &Client, subject: String) -> Result<Subscriber> {
    client.subscribe(subject).await.map_err(|e| Error::new(codes::UNAVAILABLE, e.to_string()))
}

/// Subscribes what is sent to a user.
pub(super) async fn listen(line: &Line, kind: &str, uid: Arc<str>) -> Result<()> {
    let push = subscribe(&line.client, subjects::push(kind, &uid)).await?;
    let kick = subscribe(&line.client, subjects::kick(kind, &uid)).await?;
    let order = Order::Listen(uid, [push, kick]);
    line.topics.send(order).await.map_err(|_| super::outcome::unsent())
}

/// Subscribes what is sent to these users, until the connection is lost: the next one subscribes them itself.
pub(super) async fn listen_all(hub: &Hub, line: &Line, users: Vec<Arc<str>>) {
    let Some(own) = hub.own() else { return };
    for uid in users {
        if listen(line, &own.info.kind, uid.clone()).await.is_err() {
            return;
        }
        // The session may have ended before there was anything to unsubscribe.
        if !hub.users.is_subscribed(&uid) {
            line.ignore(uid);
        }
    }
}

/// How long a connection that was replaced stays at least.
const LINGER: Duration = Duration::from_secs(1);

/// How long a stopping server waits until its last answers are with the broker.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);
