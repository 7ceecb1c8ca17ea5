//! Which pages may connect: the `Origin` that a browser names.

use crate::config::redact::redact;

/// The origins whose pages may; all when there is none in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(Vec<Pattern>);

#[derive(Debug, Clone)]
enum Pattern {
    Exact(String),
    /// What a name begins and ends with, whatever is between: `https://`, `.game.example`. A port is part of the end.
    Below(String, String),
}

impl Origins {
    /// Reads `https://game.example`, or `https://*.game.example` for all names below.
    pub(super) fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        origins.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn allow(&self, origin: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(&origin.to_ascii_lowercase()))
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let wrong = || {
        let shown = redact(text);
        let shown = shown.escape_debug();
        format!(
            "`{shown}` is no origin; write for example https://game.example or https://*.game.example, without a path"
        )
    };
    let lower = text.trim().to_ascii_lowercase();
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

impl Pattern {
    fn matches(&self, origin: &str) -> bool {
        match self {
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
            assert!(origins.allow(origin), "{origin}");
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
            assert!(!origins.allow(origin), "{origin}");
        }
        assert!(Origins::default().allow("https://any.example"));
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
