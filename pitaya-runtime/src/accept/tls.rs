//! TLS, over any acceptor of streams.

use super::{Acceptor, Established};
use crate::config::Config;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Another acceptor's streams behind TLS 1.2 or 1.3 with a server certificate. Made with [`Tcp::tls`](super::Tcp::tls).
#[derive(Clone)]
pub struct Tls<A> {
    inner: A,
    certificates: PathBuf,
    key: PathBuf,
    acceptor: Option<TlsAcceptor>,
}

impl<A> Tls<A> {
    pub(super) fn new(inner: A, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { inner, certificates: certificates.into(), key: key.into(), acceptor: None }
    }
}

impl<A: Acceptor> Acceptor for Tls<A> {
    type Listener = A::Listener;
    type Raw = A::Raw;
    type Stream = TlsStream<A::Stream>;
    type Framing = A::Framing;

    fn protocol(&self) -> &'static str {
        "tls"
    }

    fn configured(&self) -> String {
        self.inner.configured()
    }

    fn prepare(&mut self, config: &Config) -> Result<(), String> {
        self.inner.prepare(config)?;
        self.acceptor = Some(TlsAcceptor::from(Arc::new(load(&self.certificates, &self.key)?)));
        Ok(())
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
        let acceptor = self.acceptor.as_ref().ok_or_else(|| io::Error::other("the TLS acceptor was not prepared"))?;
        let Some(Established { stream, framing, remote }) = self.inner.establish(raw, remote).await? else {
            return Ok(None);
        };
        let stream = acceptor.accept(stream).await?;
        Ok(Some(Established { stream, framing, remote }))
    }
}

/// Reads the files. Each thing that can be wrong has its own text.
fn load(certificates: &Path, key: &Path) -> Result<ServerConfig, String> {
    let (chain_name, key_name) = (certificates.display(), key.display());
    let chain = CertificateDer::pem_file_iter(certificates)
        .map_err(|e| format!("the certificate file {chain_name} cannot be read: {}", cause(e)))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("the certificate file {chain_name} is not PEM: {}", cause(e)))?;
    if chain.is_empty() {
        return Err(format!("the certificate file {chain_name} has no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| match e {
        rustls::pki_types::pem::Error::NoItemsFound => format!("the key file {key_name} has no private key in it"),
        e => format!("the key file {key_name} cannot be read: {}", cause(e)),
    })?;
    // The provider is named: another crate of the program may have turned on a second one.
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| format!("the certificate {chain_name} and the key {key_name} do not go together: {e}"))
}

fn cause(error: rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(e) => e.to_string(),
        e => e.to_string(),
    }
}

impl<A: std::fmt::Debug> std::fmt::Debug for Tls<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("inner", &self.inner).field("certificates", &self.certificates).finish()
    }
}
