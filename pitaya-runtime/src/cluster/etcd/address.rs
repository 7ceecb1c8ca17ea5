//! Where etcd is.

use pitaya_core::text::redact;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Endpoint;

/// A connection with a stream open is asked this often whether it lives. Not more often: a member of etcd that is asked
/// within 5 s (`--grpc-keepalive-min-time`) closes the connection.
const PING: Duration = Duration::from_secs(6);
/// How long it may take to answer.
const PONG: Duration = Duration::from_secs(3);

/// An address of etcd that is none.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not an address of etcd: {reason}; write `host:port`")]
pub struct AddressError {
    /// What was written.
    pub address: String,
    /// What is wrong with it.
    pub reason: String,
}

crate::readable::debug_as_display!(AddressError);

/// Reads `host:port`, with or without `http://`. Gives the address as it is shown.
pub(super) fn parse(address: &str, dial: Duration) -> Result<(Arc<str>, Endpoint), AddressError> {
    let error = |reason: &str| AddressError { address: redact(address), reason: reason.to_owned() };
    let trimmed = address.trim().trim_end_matches('/');
    if trimmed.contains('@') {
        return Err(error("a name and a password are the keys `user` and `pass` beside it"));
    }
    // Schemes have no case.
    let host = match trimmed.split_once("://") {
        Some((scheme, host)) if scheme.eq_ignore_ascii_case("http") => host,
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            return Err(error("TLS to etcd is not spoken here"));
        }
        _ => trimmed,
    };
    let endpoint = Endpoint::from_shared(format!("http://{host}")).map_err(|e| error(&e.to_string()))?;
    let uri = endpoint.uri();
    if uri.path() != "/" || uri.query().is_some() {
        return Err(error("it has a path"));
    }
    if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none() {
        return Err(error("host or port is missing"));
    }
    // Without a stream open there are no pings: etcd takes those for abuse. Calls have their deadlines.
    let endpoint = endpoint
        .connect_timeout(dial)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(false);
    Ok((host.into(), endpoint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for good in ["localhost:2379", "http://10.0.0.1:2379", "http://etcd-0.etcd:2379/", "[::1]:2379", "HTTP://a:1"] {
            assert!(parse(good, PONG).is_ok(), "{good}");
        }
        let error = parse("http://root:secret@a:1", PONG).expect_err("a password").to_string();
        assert!(error.contains("`http://..@a:1`") && error.contains("`pass`"), "{error}");
        for bad in [
            "",
            "localhost",
            ":2379",
            "localhost:port",
            "https://a:1",
            "HTTPS://a:1",
            "http://a:1/path",
            "a b:1",
            "unix:///x",
        ] {
            let error = parse(bad, PONG).expect_err(bad).to_string();
            assert!(error.starts_with(&format!("`{bad}` is not an address of etcd: ")), "{error}");
        }
    }
}
