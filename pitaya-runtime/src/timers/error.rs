//! Why a timer cannot be made.

/// Why a timer cannot be made. Nothing was started when one of these comes back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimerError {
    /// The interval, delay or check period is zero.
    #[error("the interval of a timer must be longer than zero, or it would run without a pause")]
    ZeroInterval,
    /// The number of runs is zero.
    #[error("a counted timer must run at least once; its count is zero")]
    ZeroCount,
    /// The text is no cron expression.
    #[error(
        "`{expression}` is not a cron expression: {reason} (write `second minute hour day month weekday`, such as `0 */5 * * * *`)"
    )]
    BadCron {
        /// What was given.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No time zone has this name.
    #[error("there is no time zone `{name}`: write an IANA name, such as `Europe/Berlin`")]
    UnknownZone {
        /// What was given.
        name: String,
    },
    /// The cron expression names no time after now, such as the 30th of February.
    #[error("the cron expression `{expression}` names no time to come")]
    NeverDue {
        /// What was given.
        expression: String,
    },
    /// There is no tokio runtime here to run the timer on.
    #[error("a timer needs a tokio runtime: make it in async code, such as a component's `init`")]
    NoRuntime,
}

crate::readable::debug_as_display!(TimerError);
