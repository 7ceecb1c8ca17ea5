//! Logins to the broker: a user, a token, an nkey, or a credentials file.

use super::address::Address;
use crate::config::{NatsAuth, Secret};
use crate::files::read_text;
use async_nats::{Auth, AuthError};
use nkeys::KeyPair;
use pitaya_core::text::redact;
use pitaya_core::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// The section of the keys, for errors.
const SECTION: &str = "pitaya.cluster.rpc.client.nats.auth";
/// The line before the token of a user in a credentials file.
const JWT: &str = "-----BEGIN NATS USER JWT-----";
/// The line before the seed of a user in a credentials file.
const SEED: &str = "-----BEGIN USER NKEY SEED-----";

/// What the settings say.
#[derive(Clone)]
pub(super) enum Login {
    /// What stands in the address, if anything does.
    Address,
    User(String, Secret),
    Token(Secret),
    /// The path of a file with a seed.
    Nkey(String),
    /// The path of a credentials file.
    Credentials(String),
}

/// Credentials sent to the broker.
#[derive(Clone)]
pub(super) enum Proof {
    Plain(Auth),
    /// A signature of what the broker sends, with its public key or its token.
    Signed {
        jwt: Option<String>,
        key: Arc<KeyPair>,
    },
}

impl Login {
    pub(super) fn new(auth: &NatsAuth) -> Self {
        if !auth.user.is_empty() {
            Self::User(auth.user.clone(), auth.pass.clone())
        } else if !auth.token.expose().is_empty() {
            Self::Token(auth.token.clone())
        } else if !auth.nkey.is_empty() {
            Self::Nkey(auth.nkey.clone())
        } else if !auth.credentials.is_empty() {
            Self::Credentials(auth.credentials.clone())
        } else {
            Self::Address
        }
    }

    /// Reads what is in files, with each connection: they may have been renewed.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used. Nothing of it is in the error.
    pub(super) fn proof(&self, address: &Address) -> Result<Proof> {
        let mut auth = Auth::new();
        match self {
            Self::Address => match &address.password {
                Some(password) => {
                    auth.username.clone_from(&address.user);
                    auth.password = Some(password.clone());
                }
                // As in Go: a name alone is a token.
                None => auth.token.clone_from(&address.user),
            },
            Self::User(user, pass) => {
                auth.username = Some(user.clone());
                auth.password = Some(pass.expose().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.expose().to_owned()),
            Self::Nkey(path) => {
                let text = read("nkey", path)?;
                let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
                let seed = seed.ok_or_else(|| wrong("nkey", path, "has no line with the seed of a user, `SU..`"))?;
                return Ok(Proof::Signed { jwt: None, key: key("nkey", path, seed)? });
            }
            Self::Credentials(path) => {
                let text = read("credentials", path)?;
                let part = |head: &str, what| {
                    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != head).skip(1);
                    let found = lines.next().filter(|line| !line.is_empty() && !line.starts_with('-'));
                    found.ok_or_else(|| wrong("credentials", path, what))
                };
                let jwt = part(JWT, "has no token below the line `-----BEGIN NATS USER JWT-----`")?;
                let seed = part(SEED, "has no seed below the line `-----BEGIN USER NKEY SEED-----`")?;
                return Ok(Proof::Signed { jwt: Some(jwt.to_owned()), key: key("credentials", path, seed)? });
            }
        }
        Ok(Proof::Plain(auth))
    }
}

impl Proof {
    /// What is sent after the broker has sent these bytes.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        match self {
            Self::Plain(auth) => Ok(auth.clone()),
            Self::Signed { jwt, key } => {
                let mut auth = Auth::new();
                auth.signature = Some(key.sign(nonce).map_err(|_| AuthError::new("the seed cannot sign"))?);
                match jwt {
                    Some(jwt) => auth.jwt = Some(jwt.clone()),
                    None => auth.nkey = Some(key.public_key()),
                }
                Ok(auth)
            }
        }
    }
}

fn read(key: &str, path: &str) -> Result<String> {
    read_text(Path::new(path)).map_err(|error| wrong(key, path, &format!("cannot be read: {error}")))
}

fn key(key: &str, path: &str, seed: &str) -> Result<Arc<KeyPair>> {
    // The library's own error is not shown: it is free to quote the seed.
    let pair = KeyPair::from_seed(seed).map_err(|_| wrong(key, path, "has a seed that is damaged"))?;
    Ok(Arc::new(pair))
}

fn wrong(key: &str, path: &str, why: &str) -> Error {
    Error::internal(format!("{SECTION}.{key}: the file {} {why}", redact(path)))
}
