//! The certificate of the server: given, or made for a test.

use std::error::Error;
use std::path::PathBuf;
use tempfile::TempDir;

/// A certificate with its chain, and its key, in PEM.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Without files, a certificate for `localhost` that nobody trusts; it is gone when the folder is dropped.
pub fn given_or_made(given: Option<Files>) -> Result<(Files, Option<TempDir>), Box<dyn Error>> {
    if let Some(files) = given {
        return Ok((files, None));
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let folder = tempfile::Builder::new().prefix("pitaya-tls").tempdir()?;
    let files = Files { certificate: folder.path().join("server.crt"), key: folder.path().join("server.key") };
    std::fs::write(&files.certificate, made.cert.pem())?;
    std::fs::write(&files.key, made.signing_key.serialize_pem())?;
    Ok((files, Some(folder)))
}
