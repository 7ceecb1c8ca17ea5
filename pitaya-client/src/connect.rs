//! From options to a client: dial, shake hands, start.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::Client;
use crate::connection;
use crate::error::ConnectError;
use crate::opening::{Opened, dial, handshake};
use crate::options::ConnectOptions;
use crate::transport::Transport;

impl ConnectOptions {
    /// Connects to a server: `tcp://host:port`, `tls://host:port`, `ws://host[:port][/path]` or
    /// `wss://host[:port][/path]`. Must be called inside a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`ConnectError`], see there.
    pub async fn connect(&self, address: &str) -> Result<Client, ConnectError> {
        self.within(async { handshake(dial(address, self).await?, self).await }).await
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
        self.within(handshake(Transport::bytes(Box::new(stream)), self)).await
    }

    async fn within(
        &self,
        opening: impl Future<Output = Result<Opened, ConnectError>>,
    ) -> Result<Client, ConnectError> {
        let opened = tokio::time::timeout(self.connect_timeout, opening).await;
        Ok(connection::start(opened.map_err(|_| ConnectError::Timeout(self.connect_timeout))??, self))
    }
}
