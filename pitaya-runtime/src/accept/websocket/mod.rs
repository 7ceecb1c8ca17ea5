//! WebSocket: one HTTP upgrade, then frames.
//!
//! Browsers and their clients come in here. The upgrade is taken on any path, text and binary frames alike are bytes,
//! and what goes out is one binary frame a packet: the oldest clients expect it. Pages can be served on the same port,
//! which is what the examples do.

mod frame;
mod origin;
mod upgrade;

pub use frame::WebSocketFraming;

use super::forwarded::ClientHeader;
use super::{Acceptor, BoxError, Established, Plain, Reload, Tcp};
use crate::config::Config;
use origin::Origins;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use upgrade::{Door, Upgraded};

/// Packets in WebSocket messages, over another acceptor.
#[derive(Debug, Clone)]
pub struct WebSocket<A = Tcp> {
    inner: A,
    /// As the program says; without it, the config.
    origins: Option<Vec<String>>,
    door: Door,
}

/// A file that a browser gets from the WebSocket's port.
#[derive(Debug, Clone)]
pub struct Page {
    /// The path of the URL, such as `/app.js`.
    pub path: String,
    /// Its media type, such as `text/javascript`.
    pub media_type: String,
    /// What is in it.
    pub content: bytes::Bytes,
}

impl Page {
    /// A page whose media type follows from the path's ending: `.html` (and `/`), `.css`, `.js`, `.svg`, `.png`, `.json`.
    pub fn new(path: impl Into<String>, content: impl Into<bytes::Bytes>) -> Self {
        let path = path.into();
        let media_type = match path.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("json") => "application/json",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            _ => "text/html; charset=utf-8",
        };
        Self { path, media_type: media_type.to_owned(), content: content.into() }
    }
}

impl WebSocket<Tcp> {
    /// Listens on `host:port`; port 0 takes a free one, which [`App::addresses`](crate::App::addresses) tells.
    pub fn bind(address: impl Into<String>) -> Self {
        Self::over(Tcp::bind(address))
    }
}

impl<A> WebSocket<A> {
    /// WebSockets in the streams of another acceptor: with [`Tcp::tls`] that is `wss`.
    pub fn over(inner: A) -> Self {
        Self { inner, origins: None, door: Door::default() }
    }

    /// Serves these pages to plain `GET` requests.
    #[must_use]
    pub fn pages(mut self, pages: impl IntoIterator<Item = Page>) -> Self {
        self.door.pages = pages.into_iter().collect();
        self
    }

    /// Refuses upgrades whose `Origin` is not in the list, whatever `pitaya.acceptor.origins` says:
    /// `https://game.example`, `https://*.game.example` for all names below, or `same-host` for pages of the host that the
    /// request names. All of them pass when it is empty. A request without one is no browser's and passes.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }
}

impl<A: Acceptor<Framing = Plain>> Acceptor for WebSocket<A> {
    type Listener = A::Listener;
    type Raw = A::Raw;
    type Stream = A::Stream;
    type Framing = WebSocketFraming;

    fn protocol(&self) -> &'static str {
        if self.inner.protocol() == "tls" { "wss" } else { "ws" }
    }

    fn configured(&self) -> String {
        self.inner.configured()
    }

    fn prepare(&mut self, config: &Config) -> Result<(), BoxError> {
        self.inner.prepare(config)?;
        let settings = &config.acceptor;
        let (key, origins) = match &self.origins {
            Some(origins) => ("", origins),
            None => ("pitaya.acceptor.origins: ", &settings.origins),
        };
        self.door.origins = Origins::new(origins.iter().map(String::as_str)).map_err(|e| format!("{key}{e}"))?;
        self.door.limits = upgrade::Limits::from(&settings.upgrade);
        self.door.client = ClientHeader::new(&settings.clientheader, &settings.trustedproxies)?;
        Ok(())
    }

    fn files(&self) -> Option<Arc<dyn Reload>> {
        self.inner.files()
    }

    async fn bind(&self) -> io::Result<(A::Listener, SocketAddr)> {
        self.inner.bind().await
    }

    fn listen(&self, listener: &mut A::Listener) -> io::Result<()> {
        self.inner.listen(listener)
    }

    async fn accept(&self, listener: &mut A::Listener) -> io::Result<(A::Raw, SocketAddr)> {
        self.inner.accept(listener).await
    }

    async fn identify(&self, raw: &mut A::Raw, remote: SocketAddr) -> io::Result<SocketAddr> {
        self.inner.identify(raw, remote).await
    }

    async fn establish(
        &self,
        raw: A::Raw,
        remote: SocketAddr,
    ) -> io::Result<Option<Established<A::Stream, WebSocketFraming>>> {
        let Some(Established { mut stream, remote, certificate, .. }) = self.inner.establish(raw, remote).await? else {
            return Ok(None);
        };
        let upgraded = upgrade::upgrade(&mut stream, &self.door, remote).await?;
        Ok(upgraded.map(|Upgraded { early, client, wants_subprotocol }| Established {
            stream,
            framing: WebSocketFraming::new(early).asked_for_subprotocol(wants_subprotocol),
            remote: client,
            certificate,
        }))
    }
}
