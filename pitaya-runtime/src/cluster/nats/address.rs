//! One address of a broker, and the login in it.

use async_nats::ServerAddr;
use pitaya_core::text::redact;
use pitaya_core::{Error, Result};

/// Where a broker is, and who connects there.
#[derive(Clone)]
pub(super) struct Address {
    /// Without the login: the library logs the address.
    pub(super) server: ServerAddr,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Address {
    /// Reads `nats://user:password@host:port`, of which only the host is needed.
    ///
    /// # Errors
    ///
    /// When it is no address. The error does not show the login.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |why: &str| {
            let shown = redact(text);
            Error::internal(format!("pitaya.cluster.rpc.client.nats.connect: `{shown}`: {why}"))
        };
        // The library's own error is not shown: it may quote the password.
        let given: ServerAddr = text.parse().map_err(|_| wrong("no address of NATS; write nats://host:port"))?;
        if given.is_websocket() {
            return Err(wrong("NATS over WebSocket is not supported; write nats:// or tls://"));
        }
        let (user, password) = (given.username().map(decoded), given.password().map(decoded));
        let mut url = given.into_inner();
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| wrong("no address of NATS; write nats://host:port"))?;
        let server = ServerAddr::from_url(url).map_err(|_| wrong("write nats:// or tls://"))?;
        Ok(Self { server, user, password })
    }

    /// The address for logs and errors.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}:{}", self.server.scheme(), self.server.host(), self.server.port())
    }
}

/// A part of a URL with its `%40` as `@` again; an escape that is none stays.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_taken_out_and_decoded() {
        let read = |text: &str| {
            let address = Address::parse(text).expect("an address");
            assert!(!format!("{:?}", address.server).contains("p@ss"), "{:?}", address.server);
            (address.shown(), address.user, address.password)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("nats://u:p%40ss%@a:1"), ("nats://a:1".to_owned(), some("u"), some("p@ss%")));
        assert_eq!(read("tls://token@b"), ("tls://b:4222".to_owned(), some("token"), None));
        assert_eq!(read(" c "), ("nats://c:4222".to_owned(), None, None));
        for wrong in ["ws://u:hush@a", "nats://u:hush@a:port", "x y://u:hush@", "http://u:hush@a"] {
            let error = Address::parse(wrong).map(|_| ()).expect_err(wrong);
            assert!(!error.message().contains("hush"), "{error}");
        }
    }
}
