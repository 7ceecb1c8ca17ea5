//! TLS: whom to trust.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::error::{BoxError, ConnectError};

#[derive(Debug, Clone, Default)]
pub(crate) struct TlsOptions {
    /// PEM files, each of one or several certificates.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The client's own certificate chain and its key, in PEM.
    pub(crate) own: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) accept_invalid: bool,
    pub(crate) server_name: Option<String>,
}

impl TlsOptions {
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, ConnectError> {
        let config = self.config().map_err(ConnectError::Tls)?;
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| ConnectError::Tls(error.into()))?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map_err(|error| ConnectError::Tls(error.into()))
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
        for pem in &self.roots {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate?)?;
            }
            if roots.len() == before {
                return Err("a root certificate was given that holds no PEM certificate".into());
            }
        }
        if roots.is_empty() {
            return Err("no certificate is trusted: name one with ConnectOptions::root_certificate".into());
        }
        self.identified(builder.with_root_certificates(roots))
    }

    fn identified(&self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, BoxError> {
        let Some((chain, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        Ok(builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key)?)?)
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
