//! The accept loop, the same for every acceptor.

use super::spare::Spare;
use super::{Acceptor, Admission, Admitted, BoxError, Established, Refused, RefusedError, Reload};
use crate::config::Config;
use crate::connection::Connection;
use crate::counters::count;
use crate::server::Server;
use pitaya_core::BoxFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The pause after an error of `accept`: without file descriptors it fails again at once, for as long as they lack.
const PAUSE: Duration = Duration::from_millis(50);
/// One line in this time about such errors.
const QUIET: Duration = Duration::from_secs(1);

/// An acceptor without its types, not yet bound.
pub(crate) trait Listen: Send + Sync {
    fn prepare(&mut self, config: &Config) -> Result<(), BoxError>;
    fn files(&self) -> Option<Arc<dyn Reload>>;
    /// `protocol://address` as configured.
    fn name(&self) -> String;
    fn bind(self: Box<Self>) -> BoxFuture<'static, io::Result<Box<dyn Bound>>>;
}

/// A bound socket that has accepted nothing yet.
pub(crate) trait Bound: Send {
    fn protocol(&self) -> &'static str;
    fn address(&self) -> SocketAddr;
    /// Lets clients connect.
    fn listen(&mut self) -> io::Result<()>;
    /// Accepts until the app stops.
    fn run(self: Box<Self>, server: Arc<Server>, admission: Arc<Admission>) -> BoxFuture<'static, ()>;
}

pub(crate) fn erase(acceptor: impl Acceptor) -> Box<dyn Listen> {
    Box::new(Configured(acceptor))
}

struct Configured<A>(A);

struct Ready<A: Acceptor> {
    acceptor: A,
    listener: A::Listener,
    address: SocketAddr,
}

impl<A: Acceptor> Listen for Configured<A> {
    fn prepare(&mut self, config: &Config) -> Result<(), BoxError> {
        self.0.prepare(config)
    }

    fn files(&self) -> Option<Arc<dyn Reload>> {
        self.0.files()
    }

    fn name(&self) -> String {
        format!("{}://{}", self.0.protocol(), self.0.configured())
    }

    fn bind(self: Box<Self>) -> BoxFuture<'static, io::Result<Box<dyn Bound>>> {
        Box::pin(async move {
            let (listener, address) = self.0.bind().await?;
            Ok(Box::new(Ready { acceptor: self.0, listener, address }) as Box<dyn Bound>)
        })
    }
}

impl<A: Acceptor> Bound for Ready<A> {
    fn protocol(&self) -> &'static str {
        self.acceptor.protocol()
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn listen(&mut self) -> io::Result<()> {
        self.acceptor.listen(&mut self.listener)
    }

    fn run(self: Box<Self>, server: Arc<Server>, admission: Arc<Admission>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Self { acceptor, mut listener, address } = *self;
            let (acceptor, mut complained) = (Arc::new(acceptor), None::<Instant>);
            let mut spare = Spare::open();
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = server.accepting.cancelled() => return,
                    accepted = acceptor.accept(&mut listener) => accepted,
                };
                match accepted {
                    Ok((raw, remote)) => admit(&acceptor, raw, remote, &server, &admission),
                    Err(e) => {
                        if complained.is_none_or(|at| at.elapsed() >= QUIET) {
                            complained = Some(Instant::now());
                            tracing::warn!(%address, "cannot accept: {e}");
                        }
                        if Spare::is_needed_for(&e) {
                            server.reserve.refused();
                            let shed = spare.shed(&*acceptor, &mut listener);
                            server.counters.refused_files.fetch_add(shed, Relaxed);
                            server.counters.refused[Refused::Files as usize].fetch_add(shed, Relaxed);
                        }
                        sleep(PAUSE).await;
                    }
                }
            }
        })
    }
}

/// Gives the connection a task, if there is room for it. Whatever its handshake waits for, the loop does not.
fn admit<A: Acceptor>(
    acceptor: &Arc<A>,
    raw: A::Raw,
    remote: SocketAddr,
    server: &Arc<Server>,
    admission: &Arc<Admission>,
) {
    let accepted = Instant::now();
    if server.reserve.is_short() {
        // This one's descriptor is one that was given up for a probe.
        drop(raw);
        server.reserve.fill();
        server.reserve.refused();
        count(&server.counters.refused_files);
        return server.refused(Refused::Files, remote, "no file descriptor is left");
    }
    let mut admitted = match admission.admit(remote.ip(), &server.counters) {
        Ok(admitted) => admitted,
        Err(reason) => return server.refused(reason, remote, reason.limit()),
    };
    let (acceptor, server) = (acceptor.clone(), server.clone());
    let tasks = server.tasks.clone();
    let establish = async move {
        let (deadline, mut remote) = (accepted + server.settings.handshake_timeout, remote);
        let established = tokio::select! {
            biased;
            established = timeout_at(deadline, establish(&*acceptor, raw, &mut remote, &mut admitted, &server)) => established,
            () = server.stopping.cancelled() => return,
        };
        let Established { stream, framing, remote, certificate } = match established {
            Ok(Ok(Some(established))) => established,
            Ok(Ok(None)) => return,
            Ok(Err(e)) => {
                count(&server.counters.failed_establish);
                match RefusedError::reason_of(&e) {
                    Some(reason) => server.refused(reason, remote, &e.to_string()),
                    None => tracing::debug!(%remote, error = e.to_string(), "{} handshake failed", acceptor.protocol()),
                }
                return;
            }
            Err(_) => {
                count(&server.counters.failed_establish);
                let detail = format!("the {} handshake took too long", acceptor.protocol());
                return server.refused(Refused::HandshakeTimeout, remote, &detail);
            }
        };
        // A task of its own: the size of a handshake must not stay with the connection.
        let connection = Connection::new(server.clone(), stream, framing, remote, certificate, accepted, admitted);
        server.tasks.spawn(connection);
    };
    tasks.spawn(establish);
}

/// A raw connection as far as a stream of packets, counted for whoever it turns out to come from: that is `remote` when
/// this returns. `None` when it was no such connection, or its address has as many as it may.
async fn establish<A: Acceptor>(
    acceptor: &A,
    mut raw: A::Raw,
    remote: &mut SocketAddr,
    admitted: &mut Admitted,
    server: &Server,
) -> io::Result<Option<Established<A::Stream, A::Framing>>> {
    let counters = &server.counters;
    let peer = *remote;
    let mut moved = |to: SocketAddr| {
        let from = std::mem::replace(remote, to);
        let takes = from.ip() == to.ip() || admitted.comes_from(to.ip(), counters);
        if !takes {
            server.refused(Refused::PerAddress, to, Refused::PerAddress.limit());
        }
        takes
    };
    let client = match acceptor.identify(&mut raw, peer).await {
        Ok(client) => client,
        Err(e) => {
            if e.kind() == io::ErrorKind::InvalidData {
                count(&counters.bad_proxy_headers);
                return Err(RefusedError::new(Refused::ProxyHeader, e.to_string()).into());
            }
            return Err(e);
        }
    };
    if !moved(client) {
        return Ok(None);
    }
    let established = acceptor.establish(raw, client).await?;
    Ok(established.filter(|established| moved(established.remote)))
}
