//! Which pages may connect: the `Origin` that a browser names.

use pitaya_core::text::redact;

/// Entry of a list for pages of the host that the request names.
pub(crate) const SAME_HOST: &str = "same-host";

/// The origins whose pages may; all when there is none in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(Vec<Pattern>);

#[derive(Debug, Clone)]
enum Pattern {
    Exact(String),
    /// What a name begins and ends with, whatever is between: `https://`, `.game.example`. A port is part of the end.
    Below(String, String),
    /// The host of the request itself, on any port and by any scheme.
    SameHost,
}

impl Origins {
    /// Reads `https://game.example`, or `https://*.game.example` for all names below.
    pub(super) fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        origins.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a page of this origin may connect to `host`, the `Host` of its request. An origin that is no text is on no
    /// list.
    pub(super) fn allow(&self, origin: &[u8], host: Option<&str>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        let origin = origin.trim().to_ascii_lowercase();
        self.0.iter().any(|pattern| pattern.matches(&origin, host))
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let wrong = || {
        let shown = redact(text);
        let shown = shown.escape_debug();
        format!(
            "`{shown}` is no origin; write for example https://game.example or https://*.game.example, without a path, or {SAME_HOST}"
        )
    };
    let lower = text.trim().to_ascii_lowercase();
    if lower == SAME_HOST {
        return Ok(Pattern::SameHost);
    }
    let (scheme, host) = lower.split_once("://").ok_or_else(wrong)?;
    let host = host.strip_prefix("*.").unwrap_or(host);
    if scheme.is_empty() || scheme.contains('*') || host.is_empty() || host.contains(['*', '/', ' ', '@']) {
        return Err(wrong());
    }
    match lower.split_once('*') {
        Some((before, after)) => Ok(Pattern::Below(before.to_owned(), after.to_owned())),
        None => Ok(Pattern::Exact(lower)),
    }
}

/// Name in an authority, `name:port` or `[address]:port`.
fn name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

impl Pattern {
    fn matches(&self, origin: &str, host: Option<&str>) -> bool {
        match self {
            Self::SameHost => {
                let page = origin.split_once("://").map(|(_, authority)| name(authority));
                page.zip(host).is_some_and(|(page, host)| !page.is_empty() && page.eq_ignore_ascii_case(name(host)))
            }
            Self::Exact(exact) => exact == origin,
            Self::Below(before, after) => {
                let name = origin.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**after));
                // Of a host's name, and of nothing else: no user, no port.
                name.is_some_and(|name| {
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_and_below() {
        let list = ["https://Game.example", "https://*.play.example:8443", "capacitor://localhost"];
        let origins = Origins::new(list).unwrap();
        for origin in
            ["https://game.example", "HTTPS://GAME.EXAMPLE", "https://a.b.play.example:8443", "capacitor://localhost"]
        {
            assert!(origins.allow(origin.as_bytes(), None), "{origin}");
        }
        for origin in [
            "http://game.example",
            "https://game.example:444",
            "https://x.game.example",
            "https://game.example.evil.example",
            "https://play.example:8443",
            "https://.play.example:8443",
            "https://evil.example/.play.example:8443",
            "https://evil.example:1@x.play.example:8443",
            "https://x.play.example",
            "null",
            "",
        ] {
            assert!(!origins.allow(origin.as_bytes(), None), "{origin}");
        }
        assert!(Origins::default().allow(b"https://any.example", None));
        assert!(!origins.allow(b"https://game.example\xff", None));
    }

    #[test]
    fn the_same_host() {
        let origins = Origins::new(["same-host", "https://other.example"]).unwrap();
        for (origin, host) in [
            ("https://game.example", "game.example"),
            ("http://GAME.example:8080", "Game.Example:3250"),
            ("http://[::1]:1", "[::1]:2"),
            ("http://[::1]", "[::1]:2"),
            ("https://other.example", "game.example"),
        ] {
            assert!(origins.allow(origin.as_bytes(), Some(host)), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "game.example"),
            ("https://game.example.evil", "game.example"),
            ("https://game.example@evil", "game.example"),
            ("null", "null"),
            ("", ""),
            ("https://", ""),
        ] {
            assert!(!origins.allow(origin.as_bytes(), Some(host)), "{origin} {host}");
        }
        assert!(!origins.allow(b"https://game.example", None));
    }

    #[test]
    fn what_is_no_origin() {
        for wrong in ["", "*", "game.example", "https://", "https://*", "https://a.*.example", "https://a/b", "://a"] {
            assert!(Origins::new([wrong]).is_err(), "{wrong}");
        }
        let error = Origins::new(["https://user:secret@a"]).unwrap_err();
        assert!(error.contains("`https://..@a` is no origin") && !error.contains("secret"), "{error}");
    }
}
