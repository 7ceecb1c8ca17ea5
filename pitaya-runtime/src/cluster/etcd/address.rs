//! Where etcd is.

use crate::cluster::tls::ClientTls;
use pitaya_core::text::redact;
use std::collections::BTreeSet;
use std::net::IpAddr;
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
#[error("the address `{address}` of etcd cannot be used: {reason}")]
pub struct AddressError {
    /// What was written.
    pub address: String,
    /// What is wrong with it.
    pub reason: String,
}

crate::readable::debug_as_display!(AddressError);

/// Reads `host:port`, with or without `http://` or `https://`. Gives the address as it is shown.
///
/// `https://` is TLS, and so is an address without a scheme where a key of `tls` is set.
pub(super) fn parse(address: &str, dial: Duration, tls: &ClientTls) -> Result<(Arc<str>, Endpoint), AddressError> {
    let error = |reason: &str| AddressError { address: redact(address), reason: reason.to_owned() };
    let trimmed = address.trim().trim_end_matches('/');
    if trimmed.contains('@') {
        return Err(error("a name and a password are the keys `user` and `pass` beside it; write `host:port`"));
    }
    // Schemes have no case.
    let (host, secure) = match trimmed.split_once("://") {
        Some((scheme, host)) if scheme.eq_ignore_ascii_case("https") => (host, true),
        Some((scheme, host)) if scheme.eq_ignore_ascii_case("http") => {
            if tls.is_set() {
                let section = tls.section;
                return Err(error(&format!("`{section}` is set, and this is without TLS; write https://{host}")));
            }
            (host, false)
        }
        _ => (trimmed, tls.is_set()),
    };
    let scheme = if secure { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{host}")).map_err(|e| error(&e.to_string()))?;
    let uri = endpoint.uri();
    if uri.path() != "/" || uri.query().is_some() {
        return Err(error("it has a path; write `host:port`"));
    }
    if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none() {
        return Err(error("host or port is missing; write `host:port`"));
    }
    // Without a stream open there are no pings: etcd takes those for abuse. Calls have their deadlines.
    let endpoint = endpoint
        .connect_timeout(dial)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(false);
    if !secure {
        return Ok((host.into(), endpoint));
    }
    if tls.authorities.is_empty() {
        return Err(error(&format!("TLS needs to know whom to trust; set `{}.authorities`", tls.section)));
    }
    let config = tls.tonic().map_err(|e| error(&e.to_string()))?;
    // The files were read before; what is left is a name that is none.
    let endpoint = endpoint.tls_config(config).map_err(|_| error("its TLS cannot be set up with these files"))?;
    Ok((host.into(), endpoint))
}

/// One name for the members of etcd at these addresses, however they are written: sorted, each once, hosts in lower case, no
/// scheme. It resolves no names.
pub(super) fn normalised(addresses: &[String]) -> String {
    let normal = |address: &String| {
        let trimmed = address.trim().trim_end_matches('/');
        let authority = trimmed.split_once("://").map_or(trimmed, |(_, authority)| authority).to_ascii_lowercase();
        let Some((host, port)) = authority.rsplit_once(':') else { return authority };
        // Other spellings of the same number: `[0:0::1]`, `02379`.
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| ip.to_string());
        let host = ip.as_deref().unwrap_or_else(|_| host.trim_end_matches('.'));
        format!("{host}:{}", port.trim_start_matches('0'))
    };
    addresses.iter().map(normal).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_the_same_addresses_have_one_name() {
        let name = |list: &[&str]| normalised(&list.iter().map(|address| (*address).to_owned()).collect::<Vec<_>>());
        let same: [&[&str]; 5] = [
            &["etcd-0:2379", "etcd-1:2379"],
            &["etcd-1:2379", "etcd-0:2379"],
            &["http://ETCD-1:2379/", " etcd-0:2379 "],
            &["HTTPS://Etcd-0.:02379", "etcd-1:2379", "etcd-0:2379"],
            &["https://etcd-1:2379//", "https://etcd-0:2379"],
        ];
        for list in same {
            assert_eq!(name(list), "etcd-0:2379,etcd-1:2379", "{list:?}");
        }
        assert_eq!(name(&["[::1]:2379"]), name(&["http://[0:0::1]:2379"]));
        for other in [&["etcd-0:2379"][..], &["etcd-0:2379", "etcd-1:2380"], &["etcd-0:2379", "etcd-2:2379"]] {
            assert_ne!(name(other), "etcd-0:2379,etcd-1:2379", "{other:?}");
        }
    }

    fn none() -> ClientTls {
        crate::config::Config::default().cluster.sd.etcd.tls.files()
    }

    #[test]
    fn tls_is_meant_by_the_scheme_or_by_a_key() {
        let mut tls = none();
        let error =
            |address: &str, tls: &ClientTls| parse(address, PONG, tls).map(|_| ()).expect_err(address).to_string();
        let text = error("https://a:1", &tls);
        assert!(text.contains("set `pitaya.cluster.sd.etcd.tls.authorities`"), "{text}");
        tls.authorities = "nowhere.pem".to_owned();
        for address in ["https://a:1", "a:1"] {
            let text = error(address, &tls);
            assert!(
                text.contains("pitaya.cluster.sd.etcd.tls.authorities: the file nowhere.pem cannot be read"),
                "{text}"
            );
        }
        assert!(error("http://a:1", &tls).contains("write https://a:1"));
    }

    #[test]
    fn addresses_are_read() {
        for good in ["localhost:2379", "http://10.0.0.1:2379", "http://etcd-0.etcd:2379/", "[::1]:2379", "HTTP://a:1"] {
            assert!(parse(good, PONG, &none()).is_ok(), "{good}");
        }
        let error = parse("http://root:secret@a:1", PONG, &none()).expect_err("a password").to_string();
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
            let error = parse(bad, PONG, &none()).expect_err(bad).to_string();
            assert!(error.starts_with(&format!("the address `{bad}` of etcd cannot be used: ")), "{error}");
        }
    }
}
