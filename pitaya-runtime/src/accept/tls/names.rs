//! Which of several certificates a client gets.

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;

/// Chooses a certificate by the name that the client asks for, and among those for this name by what the client can
/// verify: an ECDSA certificate for most, an RSA one for old clients.
pub(super) struct ByName(Vec<Arc<CertifiedKey>>);

impl ByName {
    /// At least one certificate; the first is for clients that ask for a name that none is for, or for none.
    pub(super) fn new(certificates: Vec<CertifiedKey>) -> Self {
        Self(certificates.into_iter().map(Arc::new).collect())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [only] = &self.0[..] {
            return Some(only.clone());
        }
        let usable = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let mut named = self.0.iter().filter(|certified| name.as_ref().is_some_and(|name| is_for(certified, name)));
        let found = match named.clone().next() {
            // One that the client cannot verify is still better than one of another name: the alert says what is wrong.
            Some(first) => Some(named.find(usable).unwrap_or(first)),
            None => self.0.iter().find(usable).or(self.0.first()),
        };
        found.cloned()
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByName({} certificates)", self.0.len())
    }
}
