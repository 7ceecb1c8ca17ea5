//! What can be wrong with the files of a TLS acceptor.

use crate::readable::debug_as_display;
use pitaya_core::text::{PemError, redact};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why certificates cannot be used: each cause by itself, with the file. Nothing of a file's content is in it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The acceptor takes its files from the config, which names none.
    #[error("no {what} file is named: set `{key}`, or name the files in the program with `.tls(..)`")]
    Unnamed {
        /// Which file.
        what: What,
        /// The key that names it.
        key: &'static str,
    },
    /// It is not there, or this process may not read it.
    #[error("the {what} file {} cannot be read: {cause}", shown(path))]
    Unreadable {
        /// Which file.
        what: What,
        /// Where it should be.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// What is in it is not PEM.
    #[error("the {what} file {} is not PEM: {cause}", shown(path))]
    NotPem {
        /// Which file.
        what: What,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: PemError,
    },
    /// It holds nothing of what it should.
    #[error("the {what} file {} {cause}", shown(path))]
    Empty {
        /// Which file.
        what: What,
        /// The file.
        path: PathBuf,
        /// What is there in its place.
        cause: PemError,
    },
    /// What is in it cannot be used: a kind of key that is not known, a certificate that is not one.
    #[error("the {what} file {} cannot be used: {cause}", shown(path))]
    Unusable {
        /// Which file.
        what: What,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The key is another certificate's.
    #[error(
        "the certificate {} and the key {} do not go together: the key is another certificate's, or the first \
         certificate in the file is not the server's own",
        shown(certificates),
        shown(key)
    )]
    Mismatch {
        /// The certificate file.
        certificates: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

debug_as_display!(TlsError);

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The server's certificate and its chain.
    Certificate,
    /// Its private key.
    Key,
    /// The certificates of those who may vouch for clients.
    Authorities,
}

/// The path of a file, or nothing of what was given in place of one: the text of a key, for instance.
fn shown(path: &Path) -> String {
    redact(&path.display().to_string())
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Authorities => "client authorities",
        })
    }
}
