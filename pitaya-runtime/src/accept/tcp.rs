//! Plain TCP.

use super::{Acceptor, BoxError, Established, Plain, Tls, proxy};
use crate::config::{Config, Network};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// Packets straight on TCP.
#[derive(Debug, Clone)]
pub struct Tcp {
    address: String,
    options: Options,
    /// Whether proxies say who their clients are; without it, the config says.
    proxy_protocol: Option<bool>,
    /// The proxies that do.
    proxies: Option<Arc<[Network]>>,
}

/// What is set on the socket that listens; connections inherit it.
#[derive(Debug, Clone, Copy)]
struct Options {
    /// The system's buffer for what a client has not taken. Left to itself the system takes megabytes for a client that
    /// does not read, and nobody notices for as long as they last. 0 leaves it to the system.
    send_buffer: usize,
    /// After this time without an acknowledgement a client that vanished is given up, also when nothing is read from it.
    vanished: Option<Duration>,
    /// Connections that wait to be accepted: tokio's own number is fixed.
    backlog: u32,
    /// Others may listen here too.
    reuse_port: bool,
}

/// An address of this machine: taken, and later open for clients.
#[derive(Debug)]
pub enum TcpAddress {
    /// Nobody else can have it, and nobody can connect.
    Taken(Socket),
    /// Clients connect.
    Open(TcpListener),
}

impl Tcp {
    /// Listens on `host:port`; port 0 takes a free one, which [`App::addresses`](crate::App::addresses) tells.
    pub fn bind(address: impl Into<String>) -> Self {
        let options = Options { send_buffer: 0, vanished: None, backlog: 1024, reuse_port: false };
        Self { address: address.into(), options, proxy_protocol: None, proxies: None }
    }

    /// Whether the connections of trusted proxies begin with a PROXY protocol header, whatever
    /// `pitaya.acceptor.proxyprotocol` says: for an app that has ports behind its load balancer and others.
    #[must_use]
    pub fn proxy_protocol(mut self, on: bool) -> Self {
        self.proxy_protocol = Some(on);
        self
    }

    /// The same behind TLS, with the PEM files of a certificate chain and its key.
    pub fn tls(self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls<Self> {
        Tls::new(self, Some((certificates.into(), key.into())))
    }

    /// The same with the files that `pitaya.acceptor.tls.certificate` and `pitaya.acceptor.tls.key` name: for a server
    /// whose certificates are a matter of its surroundings.
    pub fn tls_by_config(self) -> Tls<Self> {
        Tls::new(self, None)
    }
}

impl Acceptor for Tcp {
    type Listener = TcpAddress;
    type Raw = TcpStream;
    type Stream = TcpStream;
    type Framing = Plain;

    fn protocol(&self) -> &'static str {
        "tcp"
    }

    fn configured(&self) -> String {
        self.address.clone()
    }

    fn prepare(&mut self, config: &Config) -> Result<(), BoxError> {
        // Longer than a slow client has: that one is to be closed by us, and for that reason.
        let vanished = config.heartbeat.interval.max(config.buffer.agent.conntimeout) * 2;
        let acceptor = &config.acceptor;
        self.options = Options {
            send_buffer: config.limits.sendbuffer.bytes(),
            vanished: Some(vanished),
            backlog: acceptor.backlog,
            reuse_port: acceptor.reuseport,
        };
        self.proxies = match self.proxy_protocol.unwrap_or(acceptor.proxyprotocol) {
            // By key the config has said so itself.
            true if acceptor.trustedproxies.is_empty() && !acceptor.proxyprotocol => {
                return Err("the PROXY protocol needs the proxies' networks in pitaya.acceptor.trustedproxies".into());
            }
            true => Some(acceptor.trustedproxies.as_slice().into()),
            false => None,
        };
        Ok(())
    }

    async fn bind(&self) -> io::Result<(TcpAddress, SocketAddr)> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no such address");
        for address in lookup_host(host_and_port(&self.address)?).await? {
            match bind(address, self.options) {
                Ok((socket, address)) => return Ok((TcpAddress::Taken(socket), address)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn listen(&self, listener: &mut TcpAddress) -> io::Result<()> {
        if let TcpAddress::Taken(socket) = listener {
            socket.listen(self.options.backlog.try_into().unwrap_or(i32::MAX))?;
            *listener = TcpAddress::Open(TcpListener::from_std(socket.try_clone()?.into())?);
        }
        Ok(())
    }

    async fn accept(&self, listener: &mut TcpAddress) -> io::Result<(TcpStream, SocketAddr)> {
        match listener {
            TcpAddress::Open(listener) => listener.accept().await,
            TcpAddress::Taken(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn identify(&self, raw: &mut TcpStream, remote: SocketAddr) -> io::Result<SocketAddr> {
        match &self.proxies {
            Some(trusted) => proxy::source(raw, remote, trusted).await,
            None => Ok(remote),
        }
    }

    async fn establish(&self, raw: TcpStream, remote: SocketAddr) -> io::Result<Option<Established<TcpStream, Plain>>> {
        // A small answer must not wait for the acknowledgement of the one before it.
        raw.set_nodelay(true)?;
        Ok(Some(Established::new(raw, Plain, remote)))
    }
}

/// The address, if it has the form of one: what the resolver says of the others names no remedy.
fn host_and_port(address: &str) -> io::Result<&str> {
    let wrong = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if address.contains("://") {
        return wrong("write host:port, without a scheme: the acceptor says what is spoken there");
    }
    let port = address.rsplit_once(':').map(|(_, port)| port);
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return wrong("write host:port with a port from 0 to 65535, for example 0.0.0.0:3250 or [::]:3250");
    }
    Ok(address)
}

fn bind(address: SocketAddr, options: Options) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Only lets a restarted server have its port back; two servers on one port still fail.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(options.reuse_port)?;
    if options.send_buffer > 0 {
        socket.set_send_buffer_size(options.send_buffer)?;
    }
    if let Some(vanished) = options.vanished {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(vanished))?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(vanished))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, address))
}
