//! A log for programs that have none of their own (feature `logs`).
//!
//! The library writes through the crate `tracing` and sets nothing up: a program with a subscriber of its own needs nothing
//! of this. `docs/logs.md` has the fields.

use crate::config::Log;
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
    /// The program has set up a log before.
    #[error("the program has a log already: it is set up once")]
    Again,
}

debug_as_display!(LogError);

/// What `RUST_LOG` lets through, or without it `pitaya.log.level`. A part of `RUST_LOG` that cannot be read is left out.
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
        _ => Ok(log.level.parse()?),
    }
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
