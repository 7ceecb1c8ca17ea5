//! Plain TCP.

use super::{Acceptor, Established, Plain, Tls};
use crate::config::Config;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// Packets straight on TCP.
#[derive(Debug, Clone)]
pub struct Tcp {
    address: String,
    options: Options,
}

/// What is set on the socket that listens; connections inherit it.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    /// The system's buffer for what a client has not taken. Left to itself the system takes megabytes for a client that
    /// does not read, and nobody notices for as long as they last. 0 leaves it to the system.
    send_buffer: usize,
    /// After this time without an acknowledgement a client that vanished is given up, also when nothing is read from it.
    vanished: Option<Duration>,
}

impl Tcp {
    /// Listens on `host:port`; port 0 takes a free one, which [`App::addresses`](crate::App::addresses) tells.
    pub fn bind(address: impl Into<String>) -> Self {
        Self { address: address.into(), options: Options::default() }
    }

    /// The same behind TLS, with the PEM files of a certificate chain and its key.
    pub fn tls(self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls<Self> {
        Tls::new(self, certificates, key)
    }
}

impl Acceptor for Tcp {
    type Listener = TcpListener;
    type Raw = TcpStream;
    type Stream = TcpStream;
    type Framing = Plain;

    fn protocol(&self) -> &'static str {
        "tcp"
    }

    fn configured(&self) -> String {
        self.address.clone()
    }

    fn prepare(&mut self, config: &Config) -> Result<(), String> {
        // Longer than a slow client has: that one is to be closed by us, and for that reason.
        let vanished = config.heartbeat.interval.max(config.buffer.agent.conntimeout) * 2;
        self.options = Options { send_buffer: config.limits.sendbuffer.bytes(), vanished: Some(vanished) };
        Ok(())
    }

    async fn bind(&self) -> io::Result<(TcpListener, SocketAddr)> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no such address");
        for address in lookup_host(&self.address).await? {
            match listen(address, self.options).and_then(TcpListener::from_std) {
                Ok(listener) => {
                    let address = listener.local_addr()?;
                    return Ok((listener, address));
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        listener.accept().await
    }

    async fn establish(&self, raw: TcpStream, remote: SocketAddr) -> io::Result<Option<Established<TcpStream, Plain>>> {
        // A small answer must not wait for the acknowledgement of the one before it.
        raw.set_nodelay(true)?;
        Ok(Some(Established { stream: raw, framing: Plain, remote }))
    }
}

/// A backlog for login storms: tokio's own is fixed at 1024.
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr, options: Options) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Only lets a restarted server have its port back; two servers on one port still fail.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
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
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
