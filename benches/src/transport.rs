//! How do bytes travel between generator and server?

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Transport {
    /// A TCP stream.
    #[default]
    Tcp,
    /// Binary WebSocket messages.
    WebSocket,
    /// A TCP stream behind TLS.
    Tls,
}

/// One connection of the generator.
#[derive(Debug)]
pub enum Socket {
    /// As it is.
    Plain(TcpStream),
    /// Behind TLS.
    Tls(TcpStream, Box<ClientConnection>),
}

impl Socket {
    /// The socket itself.
    pub fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) | Self::Tls(stream, _) => stream,
        }
    }

    /// Whether a read that did not fill the buffer has emptied the socket.
    #[must_use]
    pub fn short_read_is_last(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream, tls) => rustls::Stream::new(tls.as_mut(), stream).read(buffer),
        }
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream, tls) => rustls::Stream::new(tls.as_mut(), stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp().flush()
    }
}

/// The client's side of TLS. It trusts any certificate: the servers of a benchmark have one that was made for it.
///
/// # Errors
/// The provider knows no version that is asked for.
pub fn tls_client() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let trust = Arc::new(Anyone(provider.signature_verification_algorithms));
    let config = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider));
    let config = config.with_safe_default_protocol_versions()?.dangerous().with_custom_certificate_verifier(trust);
    Ok(Arc::new(config.with_no_client_auth()))
}

/// The name the certificate of a benchmark is made for.
#[must_use]
pub fn tls_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a host name")
}

#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
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
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
