//! The certificate that a client showed when it connected over TLS.

use std::fmt;

/// A certificate that was checked against the authorities this server trusts. A session has one when its acceptor asks
/// clients for them: see [`Session::certificate`](crate::Session::certificate).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    der: Box<[u8]>,
    subject: Box<[u8]>,
    fingerprint: [u8; 32],
}

impl ClientCertificate {
    /// A certificate in DER, its subject in DER, and the SHA-256 of the former. Acceptors make these.
    #[must_use]
    pub fn new(der: impl Into<Box<[u8]>>, subject: impl Into<Box<[u8]>>, fingerprint: [u8; 32]) -> Self {
        Self { der: der.into(), subject: subject.into(), fingerprint }
    }

    /// All of it, in DER (RFC 5280): for a parser of one's choice.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom it names: its `subject`, a `Name` in DER. Two certificates of one holder have the same.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The SHA-256 of the DER: what `openssl x509 -fingerprint -sha256` prints, and what lists of known clients hold.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(")?;
        self.fingerprint.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
