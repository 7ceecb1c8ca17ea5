//! Why a private key that can be read cannot be used.

use super::der::{Der, IDENTIFIER, INTEGER, OCTET_STRING, SEQUENCE};
use rustls_pki_types::PrivateKeyDer;

/// The first field of SEC 1 keys that names a curve (RFC 5915, section 3).
const PARAMETERS: u8 = 0xa0;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Identifiers of other algorithms, and their names.
const ALGORITHMS: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a], "RSA-PSS"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "DSA"),
    (&[0x2b, 0x65, 0x6e], "X25519"),
    (&[0x2b, 0x65, 0x6f], "X448"),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
    (&[0x2b, 0x65, 0x71], "Ed448"),
];

/// Identifiers of elliptic curves, and their names.
const CURVES: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x21], "P-224"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
];

/// The curves of ECDSA keys that are supported.
const USABLE_CURVES: [&str; 2] = ["P-256", "P-384"];
/// The sizes of RSA keys that are supported, in bits of the modulus.
const USABLE_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// What a key is that is not supported. Nothing of the key itself is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An RSA key that is too short or too long.
    #[error(
        "the key is an RSA key of {0} bits: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, and Ed25519 are supported"
    )]
    Size(usize),
    /// A key on another elliptic curve.
    #[error(
        "the key is on the curve {0}: ECDSA on P-256 or P-384, Ed25519, and RSA of 2048 to 4096 bits are supported"
    )]
    Curve(&'static str),
    /// A key of another algorithm.
    #[error("the key is a key for {0}: ECDSA on P-256 or P-384, Ed25519, and RSA of 2048 to 4096 bits are supported")]
    Algorithm(&'static str),
    /// A kind that is supported, but what is in it is damaged.
    #[error("what is in its private key block is no private key: is the file damaged?")]
    Damaged,
}

/// Says what is wrong with a key that the TLS library has refused.
#[must_use]
pub fn key_error(key: &PrivateKeyDer<'_>) -> KeyError {
    let found = match key {
        PrivateKeyDer::Pkcs1(der) => rsa(der.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(der) => sec1(der.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
        _ => None,
    };
    found.unwrap_or(KeyError::Damaged)
}

/// RFC 5208, section 5: version, algorithm, key.
fn pkcs8(der: &[u8]) -> Option<KeyError> {
    let mut key = Der(Der(der).expect(SEQUENCE)?);
    key.expect(INTEGER)?;
    let mut algorithm = Der(key.expect(SEQUENCE)?);
    match algorithm.expect(IDENTIFIER)? {
        RSA => rsa(key.expect(OCTET_STRING)?),
        EC => curve(algorithm),
        // A supported algorithm whose key the library refused is damaged.
        other => match name(ALGORITHMS, other).unwrap_or("an unknown algorithm") {
            "Ed25519" => None,
            algorithm => Some(KeyError::Algorithm(algorithm)),
        },
    }
}

/// RFC 8017, appendix A.1.2: version, modulus, and more.
fn rsa(der: &[u8]) -> Option<KeyError> {
    let mut key = Der(Der(der).expect(SEQUENCE)?);
    key.expect(INTEGER)?;
    let modulus = key.expect(INTEGER)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let bits = (modulus.len() - first) * 8 - modulus[first].leading_zeros() as usize;
    (!USABLE_BITS.contains(&bits)).then_some(KeyError::Size(bits))
}

/// RFC 5915, section 3: version, key, parameters.
fn sec1(der: &[u8]) -> Option<KeyError> {
    let mut key = Der(Der(der).expect(SEQUENCE)?);
    key.expect(INTEGER)?;
    key.expect(OCTET_STRING)?;
    curve(Der(key.expect(PARAMETERS)?))
}

/// A curve by its identifier; the curves that are written out are not named.
fn curve(mut parameters: Der<'_>) -> Option<KeyError> {
    let name = match parameters.expect(IDENTIFIER) {
        Some(identifier) => name(CURVES, identifier).unwrap_or("with an identifier that is not known"),
        None => "that its parameters describe, in place of a name",
    };
    (!USABLE_CURVES.contains(&name)).then_some(KeyError::Curve(name))
}

fn name(list: &[(&[u8], &'static str)], identifier: &[u8]) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == identifier).map(|(_, name)| *name)
}
