//! Options of a client, chosen before it connects.

use std::fmt;
use std::time::Duration;

use pitaya_core::wire::handshake::HandshakeSys;
use pitaya_core::wire::{HandshakeData, packet};
use serde_json::Value;

use crate::reconnect::Reconnect;
use crate::tls::TlsOptions;

/// How to connect: made by [`Client::options`](crate::Client::options), used as often as one likes.
///
/// ```no_run
/// use std::time::Duration;
/// use pitaya_client::Client;
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::options()
///     .user("age", 30)
///     .client_version("2.1")
///     .request_timeout(Duration::from_secs(2))
///     .root_certificate(std::fs::read("ca.pem")?)
///     .connect("wss://game.example:3250/")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ConnectOptions {
    pub(crate) data: HandshakeData,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: TlsOptions,
    pub(crate) max_packet: usize,
    pub(crate) compress: bool,
    pub(crate) push_capacity: usize,
    pub(crate) reconnect: Option<Reconnect>,
}

/// Without what is secret: of the handshake's entries, such as a login token, only the names; of keys nothing.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("sys", &self.data.sys)
            .field("user", &self.data.user.keys().collect::<Vec<_>>())
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("tls", &self.tls)
            .field("max_packet", &self.max_packet)
            .field("compress", &self.compress)
            .field("push_capacity", &self.push_capacity)
            .finish()
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        let sys = HandshakeSys {
            platform: "rust".to_owned(),
            lib_version: env!("CARGO_PKG_VERSION").to_owned(),
            inflate: Some(true),
            ..HandshakeSys::default()
        };
        Self {
            data: HandshakeData { sys, ..HandshakeData::default() },
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            tls: TlsOptions::default(),
            max_packet: packet::MAX_BODY,
            compress: false,
            push_capacity: 1024,
            reconnect: None,
        }
    }
}

impl ConnectOptions {
    /// Adds one entry to what the application says in the handshake. The server's validators see it, and the session
    /// keeps it.
    pub fn user(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.user.insert(key.into(), value.into());
        self
    }

    /// The platform told in the handshake; `rust` by default.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.data.sys.platform = platform.into();
        self
    }

    /// The version of the client library told in the handshake; this crate's by default.
    pub fn lib_version(mut self, version: impl Into<String>) -> Self {
        self.data.sys.lib_version = version.into();
        self
    }

    /// The build of the application told in the handshake; empty by default.
    pub fn client_build_number(mut self, number: impl Into<String>) -> Self {
        self.data.sys.client_build_number = number.into();
        self
    }

    /// The version of the application told in the handshake; empty by default.
    pub fn client_version(mut self, version: impl Into<String>) -> Self {
        self.data.sys.client_version = version.into();
        self
    }

    /// How long a request waits for its answer; 10 seconds by default, twice the time for which a frontend waits for
    /// another server: so the server's own error (`PIT-408`) comes before the client gives up.
    /// [`Client::with_timeout`](crate::Client::with_timeout) overrides it.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long connecting may take with all its phases: name, TCP, TLS, WebSocket, handshake. 10 seconds by default.
    ///
    /// Where a name has several addresses, each of them gets a share of what is left: an equal one, and never less than a
    /// quarter. So of two addresses a silent first one is given up after half of the time.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest packet accepted, and the longest body after decompression, in bytes; the wire's own limit of
    /// 16,777,215 by default and at most. A WebSocket message is held to it too. Memory grows with what really comes.
    pub fn max_packet(mut self, bytes: usize) -> Self {
        self.max_packet = bytes.min(packet::MAX_BODY);
        self
    }

    /// Whether bodies of requests and notifies are compressed: those of at least 128 bytes, if that makes them smaller.
    /// Off by default; compressed answers and pushes are understood in any case.
    pub fn compress(mut self, on: bool) -> Self {
        self.compress = on;
        self
    }

    /// How many unread pushes each [`PushStream`](crate::PushStream) holds before it drops; 1024 by default, at least 1.
    pub fn push_capacity(mut self, pushes: usize) -> Self {
        self.push_capacity = pushes;
        self
    }

    /// Connects again when the connection is lost; off by default. The first [`connect`](Self::connect) is not repeated:
    /// its error is the caller's to judge. See [`Reconnect`] for what happens to requests, and for an example.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Trusts a certificate authority, or a self-signed server: one or several certificates in PEM. The machine's own
    /// store is not used, so TLS needs at least one. A PEM without a certificate fails when connecting.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots.push(pem.into());
        self
    }

    /// The name expected in the server's certificate, instead of the host in the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.server_name = Some(name.into());
        self
    }

    /// Shows this certificate to servers that ask for one: its chain and its private key, both in PEM.
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.own = Some((chain.into(), key.into()));
        self
    }

    /// Trusts any server. For tests: anyone between this client and the server can then read and change all.
    pub fn dangerously_accept_invalid_certificates(mut self, on: bool) -> Self {
        self.tls.accept_invalid = on;
        self
    }
}
