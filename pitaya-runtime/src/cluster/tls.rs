//! TLS of the connections that this server makes: to etcd and to brokers, by one scheme of keys.
//!
//! Each section `tls` below a service has the keys `authorities`, `certificate`, `key` and `servername`. The files are
//! read when a connection is set up; a text about them holds nothing of what is in them.

use pitaya_core::text::{KeyError, PemError, TextError, key_error, pem, redact};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::{fmt, fs, io};

/// The settings of one section `tls`.
#[derive(Clone)]
pub(crate) struct ClientTls {
    /// The name of the section, for errors.
    pub(crate) section: &'static str,
    pub(crate) authorities: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) servername: String,
}

/// Why TLS to a service cannot be set up.
#[derive(thiserror::Error)]
#[error("{key}: the file {file} {cause}")]
pub(crate) struct ClientTlsError {
    /// The key that names the file.
    key: String,
    /// The file.
    file: String,
    /// What is wrong with it.
    cause: ClientTlsCause,
}

crate::readable::debug_as_display!(ClientTlsError);

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientTlsCause {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is not PEM, or has not what is wanted.
    #[error("cannot be used: {0}")]
    Pem(#[from] PemError),
    /// It is no text.
    #[error("cannot be used: {0}")]
    Text(#[from] TextError),
    /// It holds a key that is not supported.
    #[error("cannot be used: {0}")]
    Key(#[from] KeyError),
    /// A certificate in it is none.
    #[error("cannot be used: a certificate in it is damaged, or no authority's")]
    Certificate,
    /// The certificate belongs to another key.
    #[error("does not go together with the certificate: the key is another certificate's")]
    Mismatch,
}

/// The certificate that this server shows, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl ClientTls {
    /// Whether anything is set, so that TLS is meant.
    pub(crate) fn is_set(&self) -> bool {
        [&self.authorities, &self.certificate, &self.key, &self.servername].iter().any(|text| !text.is_empty())
    }

    fn error(&self, key: &str, file: &str, cause: impl Into<ClientTlsCause>) -> ClientTlsError {
        ClientTlsError { key: format!("{}.{key}", self.section), file: redact(file), cause: cause.into() }
    }

    fn read(&self, key: &str, file: &str) -> Result<Vec<u8>, ClientTlsError> {
        fs::read(Path::new(file)).map_err(|error| self.error(key, file, error))
    }

    /// The certificates of the authorities; none where no file is named.
    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, ClientTlsError> {
        if self.authorities.is_empty() {
            return Ok(Vec::new());
        }
        let file = self.read("authorities", &self.authorities)?;
        pem::certificates(&file).map_err(|error| self.error("authorities", &self.authorities, error))
    }

    fn identity(&self) -> Result<Option<Identity>, ClientTlsError> {
        if self.certificate.is_empty() {
            return Ok(None);
        }
        let file = self.read("certificate", &self.certificate)?;
        let chain = pem::certificates(&file).map_err(|error| self.error("certificate", &self.certificate, error))?;
        let file = self.read("key", &self.key)?;
        let key = pem::private_key(&file).map_err(|error| self.error("key", &self.key, error))?;
        // The library's own errors are not shown: they are free to quote the key.
        let signing = ring::default_provider().key_provider.load_private_key(key.clone_key());
        let signing = signing.map_err(|_| self.error("key", &self.key, key_error(&key)))?;
        match rustls::sign::CertifiedKey::new(chain.clone(), signing).keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(Some((chain, key))),
            Err(rustls::Error::InconsistentKeys(_)) => Err(self.error("key", &self.key, ClientTlsCause::Mismatch)),
            Err(_) => Err(self.error("certificate", &self.certificate, ClientTlsCause::Certificate)),
        }
    }

    fn store(&self) -> Result<RootCertStore, ClientTlsError> {
        let mut store = RootCertStore::empty();
        for root in self.roots()? {
            let wrong = |_| self.error("authorities", &self.authorities, ClientTlsCause::Certificate);
            store.add(root).map_err(wrong)?;
        }
        Ok(store)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientTls({})", self.section)
    }
}

#[cfg(feature = "etcd")]
mod for_etcd {
    use super::*;
    use tonic::transport::{Certificate, ClientTlsConfig, Identity};

    impl ClientTls {
        /// The settings as tonic takes them. The files are checked before: tonic's own errors say too little.
        pub(crate) fn tonic(&self) -> Result<ClientTlsConfig, ClientTlsError> {
            self.store()?;
            let mut config = ClientTlsConfig::new();
            let text = |key, file: &str| {
                let bytes = self.read(key, file)?;
                pitaya_core::text::decode(bytes).map_err(|error| self.error(key, file, error))
            };
            if !self.authorities.is_empty() {
                config = config.ca_certificate(Certificate::from_pem(text("authorities", &self.authorities)?));
            }
            if self.identity()?.is_some() {
                let (certificate, key) = (text("certificate", &self.certificate)?, text("key", &self.key)?);
                config = config.identity(Identity::from_pem(certificate, key));
            }
            if !self.servername.is_empty() {
                config = config.domain_name(self.servername.clone());
            }
            Ok(config)
        }
    }
}

#[cfg(feature = "nats")]
mod for_nats {
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
    use std::sync::Arc;

    impl ClientTls {
        /// A configuration of rustls; `None` where nothing is set, so that the defaults of the library hold.
        ///
        /// Without `authorities` the machine's own are trusted.
        pub(crate) fn rustls(&self) -> Result<Option<ClientConfig>, ClientTlsError> {
            if !self.is_set() {
                return Ok(None);
            }
            let provider = Arc::new(ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider.clone());
            // Fails only for a provider without the default versions, which ring is not.
            let Ok(builder) = builder.with_safe_default_protocol_versions() else { return Ok(None) };
            let mut store = self.store()?;
            if store.is_empty() {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            let unusable = || self.error("authorities", &self.authorities, ClientTlsCause::Certificate);
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
            let inner = inner.map_err(|_| unusable())?;
            let name = ServerName::try_from(self.servername.clone()).ok();
            let verifier = Arc::new(Named { inner, name });
            let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
            Ok(Some(match self.identity()? {
                None => builder.with_no_client_auth(),
                Some((chain, key)) => {
                    let mismatch = |_| self.error("key", &self.key, ClientTlsCause::Mismatch);
                    builder.with_client_auth_cert(chain, key).map_err(mismatch)?
                }
            }))
        }
    }

    /// Verifies certificates as rustls does, for a name that may be another than the one that was connected to.
    #[derive(Debug)]
    struct Named {
        inner: Arc<WebPkiServerVerifier>,
        name: Option<ServerName<'static>>,
    }

    impl ServerCertVerifier for Named {
        fn verify_server_cert(
            &self,
            certificate: &CertificateDer<'_>,
            intermediates: &[CertificateDer<'_>],
            connected: &ServerName<'_>,
            ocsp: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            let name = self.name.as_ref().unwrap_or(connected);
            self.inner.verify_server_cert(certificate, intermediates, name, ocsp, now)
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            self.inner.verify_tls12_signature(message, certificate, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            self.inner.verify_tls13_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.inner.supported_verify_schemes()
        }
    }
}
