//! A log for programs that have none of their own (feature `logs`).
//!
//! The library writes through the crate `tracing` and sets nothing up: a program with a subscriber of its own needs nothing
//! of this. `docs/logs.md` has the fields.

use crate::config::{Log, level};
use crate::readable::debug_as_display;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Why there is no log.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The key is no list of levels.
    #[error("pitaya.log.level: {0}; write for example info, or warn,pitaya_runtime=debug")]
    Level(#[from] ParseError),
    /// A word of the key is no level.
    #[error("pitaya.log.level: {0}")]
    Word(String),
    /// The program has set up a log before.
    #[error("the program has a log already: it is set up once")]
    Again,
}

debug_as_display!(LogError);

/// What `RUST_LOG` lets through, or without it `pitaya.log.level`. A part of `RUST_LOG` that cannot be read is left out. The
/// levels `debug` and `trace` of the key are those of the program and the framework: the crates below, such as `h2`, stay at
/// `info`, and `async_nats` at `warn`, unless they are named.
///
/// # Errors
/// When `pitaya.log.level` is no list of levels.
///
/// ```
/// use pitaya_runtime::config::Config;
///
/// let mut config = Config::default();
/// config.log.level = "warn,pitaya_runtime=debug".to_owned();
/// let filter = pitaya_runtime::logs::filter(&config.log)?;
/// # let _ = filter;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn filter(log: &Log) -> Result<EnvFilter, LogError> {
    match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(said) if !said.trim().is_empty() => Ok(EnvFilter::new(said)),
        _ => match level::problem(&log.level) {
            Some(why) => Err(LogError::Word(why)),
            None => Ok(directives(&log.level).parse()?),
        },
    }
}

/// Crates below this one whose lines and spans at `debug` are about themselves, not about the game.
const DEPENDENCIES: [&str; 13] = [
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "opentelemetry",
    "opentelemetry-otlp",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "rustls",
    "tokio_rustls",
    "tokio_util",
    "tonic",
    "tower",
];

/// The broker's library says at `info` that it gives a connection up: this one makes another, and says so itself.
const QUIET: &str = "async_nats=warn";

/// The level as a list: `debug` and `trace` without a name mean the program and the framework. Whoever wants to see what is
/// below names it, `debug,h2=debug`.
fn directives(level: &str) -> String {
    let everything = |part: &str| ["debug", "trace"].iter().any(|all| part.trim().eq_ignore_ascii_case(all));
    // What is named later holds.
    if level.split(',').any(everything) {
        let quiet = DEPENDENCIES.map(|name| format!("{name}=info"));
        return format!("{},{QUIET},{level}", quiet.join(","));
    }
    let informs = level.split(',').any(|part| part.trim().eq_ignore_ascii_case("info"));
    if informs { format!("{QUIET},{level}") } else { level.to_owned() }
}

/// Writes the log to standard error from now on: for the `main` of a program, once. Colours are for terminals.
///
/// # Errors
/// When `pitaya.log.level` is no list of levels, or the program has a log already.
pub fn init(log: &Log) -> Result<(), LogError> {
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter(log)?).with_ansi(colours);
    lines.with_writer(std::io::stderr).try_init().map_err(|_| LogError::Again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_that_of_the_program_and_the_framework() {
        for level in ["warn,pitaya_runtime=debug", "off", "h2=trace"] {
            assert_eq!(directives(level), level);
        }
        // The library's word for each outage, `max reconnects reached`, is not true of this one.
        assert_eq!(directives("info"), "async_nats=warn,info");
        let named = directives("info,async_nats=info").parse::<EnvFilter>().expect("a filter").to_string();
        assert!(named.contains("async_nats=info") && !named.contains("async_nats=warn"), "{named}");
        for level in ["debug", "TRACE", "debug,my_game=trace", "warn, debug"] {
            let all = directives(level);
            assert!(all.contains("h2=info,") && all.ends_with(level), "{all}");
            assert!(all.parse::<EnvFilter>().is_ok());
        }
        let shown = directives("debug,h2=debug").parse::<EnvFilter>().expect("a filter").to_string();
        assert!(shown.contains("h2=debug") && !shown.contains("h2=info"), "{shown}");
    }
}
