//! Certificates for a test, made when it runs.

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Pair {
    /// A server's own, for `localhost`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn localhost() -> Self {
        Self::signed_by_itself(&params("localhost"))
    }

    /// One whose time is over.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn expired() -> Self {
        let mut params = params("localhost");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Self::signed_by_itself(&params)
    }

    fn signed_by_itself(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes both into `folder`, as `server.crt` and `server.key`, and tells where.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
        // As tools that renew certificates do: the files are never half there.
        for (path, text) in [(&certificate, &self.certificate), (&key, &self.key)] {
            let new = path.with_extension("new");
            std::fs::write(&new, text).expect("written");
            std::fs::rename(&new, path).expect("renamed");
        }
        (certificate, key)
    }
}

/// Who vouches for clients.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let mut params = params("authority");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate for these names and addresses, signed by it.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names that can be certified");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client's certificate, signed by it; and the DER of that.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn client(&self, name: &str) -> (Pair, Vec<u8>) {
        let mut params = params(name);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (Pair { certificate: certificate.pem(), key: key.serialize_pem() }, certificate.der().to_vec())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name that can be certified")
}

/// The SHA-256 of a certificate, in hexadecimal, as `openssl` sees it in this file.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn fingerprint(file: &Path, der: &[u8]) -> String {
    std::fs::write(file, der).expect("written");
    let command = ["x509", "-inform", "DER", "-noout", "-fingerprint", "-sha256", "-in"];
    let output = std::process::Command::new("openssl").args(command).arg(file).output().expect("openssl is installed");
    let text = String::from_utf8(output.stdout).expect("a text");
    let (_, hex) = text.trim().split_once('=').unwrap_or_else(|| panic!("no fingerprint in {text:?}"));
    hex.replace(':', "").to_lowercase()
}
