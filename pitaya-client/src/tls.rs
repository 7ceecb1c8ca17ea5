//! TLS: the trusted certificates, and the client's own.

use std::fmt;
use std::sync::Arc;

use pitaya_core::text::{KeyError, PemError, key_error, pem};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::error::{BoxError, ConnectError};

#[derive(Clone, Default)]
pub(crate) struct TlsOptions {
    /// PEM files, each of one or several certificates.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The client's own certificate chain and its key, in PEM.
    pub(crate) own: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) accept_invalid: bool,
    pub(crate) server_name: Option<String>,
}

/// Says what was given, and nothing of it.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("root_certificates", &self.roots.len())
            .field("client_certificate", &self.own.is_some())
            .field("accept_invalid", &self.accept_invalid)
            .field("server_name", &self.server_name)
            .finish()
    }
}

/// Why there is no TLS with what [`ConnectOptions`](crate::ConnectOptions) were given. Nothing of a key is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A root certificate that is not PEM.
    #[error("root certificate {nth}: {cause}")]
    Root {
        /// Which one, from 1 on.
        nth: usize,
        /// Defect of its text.
        cause: PemError,
    },
    /// A root certificate that is PEM and no certificate of an authority.
    #[error("root certificate {nth}: it is no certificate that can be trusted")]
    Untrustable {
        /// Which one, from 1 on.
        nth: usize,
    },
    /// TLS without a root certificate.
    #[error("no certificate is trusted: name one with ConnectOptions::root_certificate")]
    NoRoot,
    /// The client's own certificate is not PEM.
    #[error("the client's certificate: {0}")]
    Certificate(PemError),
    /// The client's private key is not PEM.
    #[error("the client's private key: {0}")]
    Key(PemError),
    /// The client's private key is of a kind that is not supported.
    #[error("the client's private key: {0}")]
    KeyKind(KeyError),
    /// The client's private key is not that of its certificate.
    #[error("the client's certificate and its private key do not go together")]
    Mismatch,
    /// The server shows the certificate of an authority in place of one of its own.
    #[error(
        "the server shows the certificate of an authority (CA:TRUE), which is no server's: have the authority sign one for the \
         server, or make the self-signed one with `openssl req -x509 -addext basicConstraints=critical,CA:FALSE ..`"
    )]
    AuthorityAsServer,
    /// The server's certificate leads to no root certificate that was given.
    #[error(
        "the server's certificate is signed by none of the root certificates that were given: name its authority, or the \
         certificate itself if it is self-signed, with ConnectOptions::root_certificate"
    )]
    UnknownIssuer,
    /// The server's certificate names one of the root certificates as its issuer, and was signed by another key.
    #[error(
        "a root certificate has the name of the server certificate's issuer and another key, so it is not the one that signed \
         it. If the server has several certificates, such as one with an RSA and one with an ECDSA key, name the root of \
         each with ConnectOptions::root_certificate"
    )]
    OtherKey,
}

impl TlsOptions {
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, ConnectError> {
        let config = self.config().map_err(ConnectError::Tls)?;
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| ConnectError::Tls(error.into()))?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map_err(|error| {
            let known = error.get_ref().and_then(|inner| inner.downcast_ref()).and_then(distrust);
            ConnectError::Tls(known.map_or_else(|| error.into(), Into::into))
        })
    }

    fn config(&self) -> Result<ClientConfig, BoxError> {
        // Named here: what a process installs as its default is not ours to choose or to depend on.
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        if self.accept_invalid {
            let verifier = Arc::new(TrustAll(provider));
            return self.identified(builder.dangerous().with_custom_certificate_verifier(verifier));
        }
        let mut roots = RootCertStore::empty();
        for (root, nth) in self.roots.iter().zip(1..) {
            for certificate in pem::certificates(root).map_err(|cause| TlsSetupError::Root { nth, cause })? {
                roots.add(certificate).map_err(|_| TlsSetupError::Untrustable { nth })?;
            }
        }
        if roots.is_empty() {
            return Err(TlsSetupError::NoRoot.into());
        }
        self.identified(builder.with_root_certificates(roots))
    }

    fn identified(&self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, BoxError> {
        let Some((chain, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let chain = pem::certificates(chain).map_err(TlsSetupError::Certificate)?;
        let key = pem::private_key(key).map_err(TlsSetupError::Key)?;
        // The library's own errors are not shown: they are free to quote the key.
        ring::default_provider()
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| TlsSetupError::KeyKind(key_error(&key)))?;
        Ok(builder.with_client_auth_cert(chain, key).map_err(|_| TlsSetupError::Mismatch)?)
    }
}

/// The sentence for a certificate that is not trusted, where the library has only a name for it.
fn distrust(error: &rustls::Error) -> Option<TlsSetupError> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(TlsSetupError::UnknownIssuer),
        rustls::Error::InvalidCertificate(
            CertificateError::BadSignature | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => Some(TlsSetupError::OtherKey),
        // An error of the crate below: its name is its text.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if other.0.to_string() == "CaUsedAsEndEntity" =>
        {
            Some(TlsSetupError::AuthorityAsServer)
        }
        _ => None,
    }
}

/// Takes any certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
