//! Addresses as they may be shown.

/// A text without the names and passwords in its addresses: `nats://user:secret@host` is `nats://..@host`.
pub(crate) fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (n, part) in text.split("://").enumerate() {
        if n > 0 {
            shown.push_str("://");
        }
        // A password may hold an `@` and a comma, whatever the rules say.
        match part.rsplit_once('@') {
            Some((_, host)) => shown.extend(["..@", host]),
            None => shown.push_str(part),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn no_password_is_left() {
        for (text, shown) in [
            ("nats://a:1", "nats://a:1"),
            ("nats://u:p@a:1,tls://t@b, c:2", "nats://..@a:1,tls://..@b, c:2"),
            ("nats://u:p,q@r@a", "nats://..@a"),
            ("u:p@a:1", "..@a:1"),
            (r#"["nats://u:p@a"]"#, r#"["nats://..@a"]"#),
            ("", ""),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
