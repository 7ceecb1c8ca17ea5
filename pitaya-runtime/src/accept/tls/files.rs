//! From files to what a TLS acceptor needs, at the start and again when they change.

use super::error::{TlsError, What};
use super::names::ByName;
use super::x509::Facts;
use crate::accept::{BoxError, Reload};
use crate::config::TlsVersion;
use arc_swap::ArcSwap;
use chrono::Utc;
use parking_lot::Mutex;
use pitaya_core::text::{PemError, key_error, pem};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Which files, and what is asked of clients.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Files of certificates with those of their keys, at least one pair. The first is for clients without a name.
    pub(super) pairs: Vec<(PathBuf, PathBuf)>,
    pub(super) least: TlsVersion,
    pub(super) clients: Option<Clients>,
}

/// Clients are asked for certificates.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) authorities: PathBuf,
    pub(super) required: bool,
}

/// When each file was written, and how long it is; `None` for one that is not there.
type Stamp = Vec<Option<(SystemTime, u64)>>;

/// What is in force.
pub(super) struct Loaded {
    plan: Plan,
    /// Swapped whole: a client that resumes a session of before a change has to shake hands anew.
    config: ArcSwap<ServerConfig>,
    stamp: Mutex<Stamp>,
}

impl Loaded {
    pub(super) fn new(plan: Plan) -> Result<Self, TlsError> {
        let stamp = plan.stamp();
        let config = ArcSwap::from_pointee(plan.load()?);
        Ok(Self { plan, config, stamp: Mutex::new(stamp) })
    }

    pub(super) fn in_force(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

impl Reload for Loaded {
    fn reload(&self, always: bool) -> Result<bool, BoxError> {
        let mut stamp = self.stamp.lock();
        // Taken before the files are read: what changes meanwhile is seen at the next look.
        let now = self.plan.stamp();
        if !always && *stamp == now {
            return Ok(false);
        }
        self.config.store(Arc::new(self.plan.load()?));
        *stamp = now;
        Ok(true)
    }
}

impl Plan {
    fn stamp(&self) -> Stamp {
        let authorities = self.clients.iter().map(|clients| &clients.authorities);
        let stamp = |path: &PathBuf| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        self.pairs.iter().flat_map(|(certificate, key)| [certificate, key]).chain(authorities).map(stamp).collect()
    }

    fn load(&self) -> Result<ServerConfig, TlsError> {
        // The provider is named: another crate of the program may have turned on a second one.
        let provider = Arc::new(ring::default_provider());
        let certified = self.pairs.iter().map(|(certificate, key)| certified(&provider, certificate, key));
        let certified = certified.collect::<Result<Vec<_>, _>>()?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions(self.least))
            .map_err(|e| unusable(What::Certificate, &self.pairs[0].0, &e))?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(&provider)?),
        };
        Ok(builder.with_cert_resolver(Arc::new(ByName::new(certified))))
    }
}

/// A certificate and its key.
fn certified(provider: &CryptoProvider, certificate: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(What::Certificate, certificate)?;
    let key = pem::private_key(&read(What::Key, key_file)?).map_err(|e| wrong(What::Key, key_file, e))?;
    // The library's own error is not shown: it is free to quote the key.
    let signing = provider.key_provider.load_private_key(key.clone_key());
    let key = signing.map_err(|_| unusable(What::Key, key_file, &key_error(&key)))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A kind of key that cannot be compared is for clients to judge.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch { certificates: certificate.to_owned(), key: key_file.to_owned() });
        }
        Err(e) => return Err(unusable(What::Certificate, certificate, &e)),
    }
    look(&certified.cert, certificate);
    Ok(certified)
}

impl Clients {
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let (what, path) = (What::Authorities, &self.authorities);
        let mut roots = RootCertStore::empty();
        let certificates = certificates(what, path)?;
        let strangers =
            certificates.iter().filter(|der| Facts::read(der).is_some_and(|facts| !facts.vouches())).count();
        if strangers == certificates.len() {
            let cause = "there is no authority in it (CA:TRUE), only certificates that one has signed, and no client's \
                         certificate leads to those: name the file of the authority that signs the certificates of clients";
            return Err(unusable(what, path, &cause));
        }
        if strangers > 0 {
            tracing::warn!(
                strangers,
                "{} has certificates that are no authorities (CA:TRUE): no client's certificate leads to those",
                path.display()
            );
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|e| unusable(what, path, &e))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|e| unusable(what, path, &e))
    }
}

static ONLY_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        TlsVersion::V1_2 => rustls::ALL_VERSIONS,
        TlsVersion::V1_3 => ONLY_1_3,
    }
}

/// All certificates of a file, at least one.
fn certificates(what: What, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem::certificates(&read(what, path)?).map_err(|e| wrong(what, path, e))
}

fn read(what: What, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Unreadable { what, path: path.to_owned(), cause })
}

fn unusable(what: What, path: &Path, cause: &dyn Display) -> TlsError {
    TlsError::Unusable { what, path: path.to_owned(), cause: cause.to_string() }
}

fn wrong(what: What, path: &Path, cause: PemError) -> TlsError {
    let path = path.to_owned();
    match cause {
        PemError::Missing { .. } => TlsError::Empty { what, path, cause },
        PemError::Encrypted { .. } => TlsError::Unusable { what, path, cause: cause.to_string() },
        cause => TlsError::NotPem { what, path, cause },
    }
}

/// Says what is no error and still wrong: clients will refuse such a certificate.
fn look(chain: &[CertificateDer<'static>], path: &Path) {
    let (path, now) = (path.display(), Utc::now().timestamp());
    for certificate in chain {
        match Facts::read(certificate) {
            Some(facts) if facts.not_after < now => {
                tracing::warn!("a certificate in {path} has expired {} days ago", (now - facts.not_after) / 86_400);
            }
            Some(facts) if facts.not_before > now => {
                tracing::warn!("a certificate in {path} is not valid before {} s from now", facts.not_before - now);
            }
            Some(facts) if chain.len() == 1 && facts.issuer != facts.subject => {
                tracing::info!(
                    "{path} has a certificate and none of its issuer: clients have to know the issuer itself"
                );
            }
            _ => {}
        }
    }
}

/// The hash that fingerprints of certificates are.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let rustls::SupportedCipherSuite::Tls13(suite) = suite else { return [0; 32] };
    suite.common.hash_provider.hash(bytes).as_ref().try_into().unwrap_or([0; 32])
}
