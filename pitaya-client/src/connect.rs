//! From options to a client: dial, shake hands, start.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::Client;
use crate::error::ConnectError;
use crate::opening::{Opened, dial, handshake};
use crate::options::ConnectOptions;
use crate::supervisor;
use crate::transport::Transport;

impl ConnectOptions {
    /// Connects to a server: `tcp://host:port`, `tls://host:port`, `ws://host[:port][/path]` or
    /// `wss://host[:port][/path]`. Schemes have no case; an IPv6 number stands in brackets. Must be called inside a tokio
    /// runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`ConnectError`], see there.
    pub async fn connect(&self, address: &str) -> Result<Client, ConnectError> {
        let client = supervisor::start(self.open(address).await?, self, Some(address));
        if let Some(reconnect) = &self.reconnect {
            reconnect.log_in(client.clone(), self.connect_timeout).await?;
        }
        Ok(client)
    }

    /// Speaks over a stream that is connected already: a tunnel, a Unix socket, `tokio::io::duplex` in a test. Packets
    /// travel in it as over TCP.
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
        let opened = self.within(handshake(Transport::bytes(Box::new(stream)), self)).await?;
        Ok(supervisor::start(opened, self, None))
    }

    /// Dials and shakes hands.
    pub(crate) async fn open(&self, address: &str) -> Result<Opened, ConnectError> {
        self.within(async { handshake(dial(address, self).await?, self).await }).await
    }

    async fn within(
        &self,
        opening: impl Future<Output = Result<Opened, ConnectError>>,
    ) -> Result<Opened, ConnectError> {
        let opened = tokio::time::timeout(self.connect_timeout, opening).await;
        opened.map_err(|_| ConnectError::Timeout(self.connect_timeout))?
    }
}
