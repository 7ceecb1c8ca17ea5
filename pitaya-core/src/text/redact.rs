//! Addresses and other settings as they may be shown.

/// Stands in a text for what is left out of it.
pub const HIDDEN: &str = "..";

/// Where the text of a PEM file begins.
const PEM: &str = "-----BEGIN";

/// A text without the names and passwords in its addresses, and without PEM: `nats://user:secret@host` is
/// `nats://..@host`.
///
/// A text may be a list of addresses. Where it is not clear what belongs to a password, more is left out.
///
/// ```
/// use pitaya_core::text::redact;
///
/// assert_eq!(redact("nats://user:secret@a:4222,nats://b:4222"), "nats://..@a:4222,nats://b:4222");
/// ```
#[must_use]
pub fn redact(text: &str) -> String {
    let (text, is_pem) = match text.find(PEM) {
        // A path that is the file itself: a secret in the variable that should name its place.
        Some(start) => (&text[..start], true),
        None => (text, false),
    };
    let mut shown = String::with_capacity(text.len());
    for (n, part) in text.split("://").enumerate() {
        if n > 0 {
            shown.push_str("://");
        }
        // A password may hold an `@` and a comma, whatever the rules say.
        match part.rsplit_once('@') {
            Some((_, host)) => shown.extend([HIDDEN, "@", host]),
            // `user:pass` before a `://` that belongs to the password.
            None if n > 0 && part.contains(':') && !is_plain(part) && text.contains('@') => shown.push_str(HIDDEN),
            None => shown.push_str(part),
        }
    }
    if is_pem {
        shown.push_str(HIDDEN);
    }
    shown
}

/// Whether each colon in a list of `host:port` is followed by a number, or ends an IPv6 address.
fn is_plain(part: &str) -> bool {
    part.split([',', ' ', '"', ']', '[', '/']).all(|address| match address.rsplit_once(':') {
        Some((_, port)) => port.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn no_password_is_left() {
        for (text, shown) in [
            ("nats://a:1", "nats://a:1"),
            ("nats://u:p@a:1,tls://t@b, c:2", "nats://..@a:1,tls://..@b, c:2"),
            ("nats://a:1,nats://u:p@b", "nats://a:1,nats://..@b"),
            ("nats://u:p,q@r@a", "nats://..@a"),
            ("nats://u:pass://word@a", "nats://..://..@a"),
            ("u:p@a:1", "..@a:1"),
            (r#"["nats://u:p@a"]"#, r#"["nats://..@a"]"#),
            ("", ""),
            ("-----BEGIN PRIVATE KEY-----\nMII", ".."),
            ("/etc/tls.key", "/etc/tls.key"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
