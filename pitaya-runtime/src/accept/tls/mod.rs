//! TLS, over any acceptor of streams.

mod error;
mod files;
mod first;
mod names;
mod x509;

pub use error::TlsError;
pub use first::FirstByte;

use super::{Acceptor, BoxError, Established, Refused, RefusedError, Reload};
use crate::config::{AcceptorTls, Config, TlsVersion};
use error::What;
use files::{Clients, Loaded, Plan};
use pitaya_core::session::ClientCertificate;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Another acceptor's streams behind TLS 1.2 or 1.3 with a server certificate. Made with [`Tcp::tls`](super::Tcp::tls).
///
/// ```
/// use pitaya_runtime::accept::{Tcp, WebSocket};
/// use pitaya_runtime::config::TlsVersion;
///
/// let games = Tcp::bind("0.0.0.0:3252").tls("server.crt", "server.key").min_version(TlsVersion::V1_3);
/// let browsers = WebSocket::over(Tcp::bind("0.0.0.0:3253").tls("server.crt", "server.key"));
/// let staff = Tcp::bind("0.0.0.0:3254").tls("server.crt", "server.key").require_client_certificates("staff.pem");
/// # let _ = (games, browsers, staff);
/// ```
///
/// The files are checked when the app is built: a [`TlsError`] names the one that is wrong. They are read again when they
/// change, on SIGHUP, and by [`App::reload`](crate::App::reload); a file that is wrong then changes nothing.
#[derive(Clone)]
pub struct Tls<A> {
    inner: A,
    /// The certificate and its key, unless the config names them.
    pair: Option<(PathBuf, PathBuf)>,
    further: Vec<(PathBuf, PathBuf)>,
    least: Option<TlsVersion>,
    clients: Option<Clients>,
    loaded: Option<Arc<Loaded>>,
}

impl<A> Tls<A> {
    pub(super) fn new(inner: A, pair: Option<(PathBuf, PathBuf)>) -> Self {
        Self { inner, pair, further: Vec::new(), least: None, clients: None, loaded: None }
    }

    /// Has a further certificate, with its key: for another name, or of another kind for the same name. A client gets the
    /// first certificate that is for the name it asks for (SNI) and of a kind that it can verify.
    #[must_use]
    pub fn with_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.further.push((certificate.into(), key.into()));
        self
    }

    /// Refuses clients that speak no version from this one on, whatever `pitaya.acceptor.tls.minversion` says.
    #[must_use]
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.least = Some(version);
        self
    }

    /// Lets in only clients that show a certificate of one of these authorities: a PEM file with theirs.
    /// [`Session::certificate`](crate::Session::certificate) tells which one it was.
    #[must_use]
    pub fn require_client_certificates(mut self, authorities: impl Into<PathBuf>) -> Self {
        self.clients = Some(Clients { authorities: authorities.into(), required: true });
        self
    }

    /// Asks clients for a certificate of one of these authorities, and also lets in those that have none.
    #[must_use]
    pub fn accept_client_certificates(mut self, authorities: impl Into<PathBuf>) -> Self {
        self.clients = Some(Clients { authorities: authorities.into(), required: false });
        self
    }

    /// What holds: what was said here, then what the config says.
    fn plan(&self, config: &AcceptorTls) -> Result<Plan, TlsError> {
        let mut pairs = Vec::new();
        match &self.pair {
            Some(pair) => pairs.push(pair.clone()),
            None => {
                let certificate = named(&config.certificate, What::Certificate, "pitaya.acceptor.tls.certificate")?;
                pairs.push((certificate, named(&config.key, What::Key, "pitaya.acceptor.tls.key")?));
                pairs.extend(config.further.iter().map(|(certificate, key)| (certificate.into(), key.into())));
            }
        }
        pairs.extend(self.further.iter().cloned());
        let configured = || {
            let client = &config.client;
            let authorities = (!client.authorities.is_empty()).then(|| PathBuf::from(&client.authorities))?;
            Some(Clients { authorities, required: client.required })
        };
        let least = self.least.unwrap_or(config.minversion);
        Ok(Plan { pairs, least, clients: self.clients.clone().or_else(configured) })
    }
}

fn named(path: &str, what: What, key: &'static str) -> Result<PathBuf, TlsError> {
    if path.is_empty() { Err(TlsError::Unnamed { what, key }) } else { Ok(path.into()) }
}

impl<A: Acceptor> Acceptor for Tls<A> {
    type Listener = A::Listener;
    type Raw = A::Raw;
    type Stream = TlsStream<FirstByte<A::Stream>>;
    type Framing = A::Framing;

    fn protocol(&self) -> &'static str {
        "tls"
    }

    fn configured(&self) -> String {
        self.inner.configured()
    }

    fn prepare(&mut self, config: &Config) -> Result<(), BoxError> {
        self.inner.prepare(config)?;
        self.loaded = Some(Arc::new(Loaded::new(self.plan(&config.acceptor.tls)?)?));
        Ok(())
    }

    fn files(&self) -> Option<Arc<dyn Reload>> {
        Some(self.loaded.clone()?)
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
    ) -> io::Result<Option<Established<Self::Stream, A::Framing>>> {
        let loaded = self.loaded.as_ref().ok_or_else(|| io::Error::other("the TLS acceptor was not prepared"))?;
        let Some(Established { stream, framing, remote, .. }) = self.inner.establish(raw, remote).await? else {
            return Ok(None);
        };
        let acceptor = TlsAcceptor::from(loaded.in_force());
        let stream = match acceptor.accept(FirstByte::new(stream)).into_fallible().await {
            Ok(stream) => stream,
            Err((_, stream)) if stream.is_wrong() => return Err(refuse(stream).await),
            // A client that goes away is no failure of TLS; one that does not trust the certificate says so by an alert.
            Err((error, _)) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(RefusedError::new(Refused::Tls, error.to_string()).into());
            }
            Err((error, _)) => return Err(error),
        };
        let certificate = certificate(&stream);
        Ok(Some(Established { stream, framing, remote, certificate }))
    }
}

/// What the client showed; it was checked when it did.
fn certificate<S>(stream: &TlsStream<S>) -> Option<Box<ClientCertificate>> {
    let der = stream.get_ref().1.peer_certificates()?.first()?;
    let subject = x509::Facts::read(der).map(|facts| facts.subject).unwrap_or_default();
    Some(Box::new(ClientCertificate::new(&**der, subject, files::sha256(der))))
}

/// The last words to a client that does not speak TLS. A browser and `curl` show them; others get an end.
async fn refuse<S: AsyncWrite + Unpin>(mut stream: FirstByte<S>) -> io::Error {
    if stream.is_http() {
        let text = "this port speaks TLS: use https or wss\n";
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
    RefusedError::new(Refused::NotTls, "it does not speak TLS, and this port does").into()
}

impl<A: std::fmt::Debug> std::fmt::Debug for Tls<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("inner", &self.inner).finish_non_exhaustive()
    }
}
