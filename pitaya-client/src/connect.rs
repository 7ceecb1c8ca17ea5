//! Connecting: from options to a client.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::Client;
use crate::error::ConnectError;
use crate::opening::{handshake, open};
use crate::options::ConnectOptions;
use crate::route::Route;
use crate::supervisor;
use crate::transport::Transport;

impl ConnectOptions {
    /// Connects to a server: `tcp://host:port`, `tls://host:port`, `ws://host[:port][/path]` or
    /// `wss://host[:port][/path]`. Schemes have no case; an IPv6 number stands in brackets. Must be called inside a tokio
    /// runtime with I/O and time enabled.
    ///
    /// The addresses of a name are tried one after the other, each for a share of the
    /// [connect timeout](Self::connect_timeout), until one has answered the handshake. A server that refuses this client
    /// speaks for all of them.
    ///
    /// # Errors
    /// [`ConnectError`], see there.
    pub async fn connect(&self, address: &str) -> Result<Client, ConnectError> {
        let mut route = Route::parse(address)?;
        let opened = open(&mut route, self).await?;
        let client = supervisor::start(opened, self, Some(route));
        if let Some(reconnect) = &self.reconnect {
            reconnect.log_in(client.clone(), self.connect_timeout).await?;
        }
        Ok(client)
    }

    /// Uses a stream that is connected already: a tunnel, a Unix socket, `tokio::io::duplex` in a test. Packets travel in
    /// it as over TCP.
    ///
    /// # Errors
    /// [`ConnectError`], see there.
    pub async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Client, ConnectError> {
        if self.reconnect.is_some() {
            return Err(ConnectError::NotDialled);
        }
        let opening = handshake(Transport::bytes(Box::new(stream)), self);
        let opened = tokio::time::timeout(self.connect_timeout, opening).await;
        let opened = opened.map_err(|_| ConnectError::Timeout(self.connect_timeout))??;
        Ok(supervisor::start(opened, self, None))
    }
}
