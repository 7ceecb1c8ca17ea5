//! Levels of the log, as `pitaya.log.level` has them.

use super::nearest::nearest;
use super::problem::guess;
use tracing::level_filters::LevelFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Describes the fault of a list of levels, if it has one. A word alone that is no level would be the name of a target: the log would show that
/// target, which most often does not exist, and nothing else. A path (`my_game::rooms`) is a target for certain.
pub(crate) fn problem(level: &str) -> Option<String> {
    let wrong = parts(level).find(|part| {
        let is_target = part.contains(['=', '[', ']', '{', '}']) || part.contains("::");
        !part.is_empty() && !is_target && part.parse::<LevelFilter>().is_err()
    })?;
    let near = nearest(&wrong.to_lowercase(), LEVELS.into_iter()).map(str::to_owned);
    let (shown, levels) = (wrong.escape_debug(), LEVELS.join(", "));
    Some(format!("`{shown}` is none of the levels {levels}; a target is written `{shown}=debug`{}", guess(&near)))
}

/// The parts between commas, less commas in brackets.
fn parts(level: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let parts = level.split(move |c| {
        depth += i32::from(matches!(c, '[' | '{')) - i32::from(matches!(c, ']' | '}'));
        c == ',' && depth <= 0
    });
    parts.map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_has_to_be_a_level() {
        let legal = [
            "",
            "info",
            "WARN",
            "off",
            "warn,pitaya_runtime=debug",
            "debug, h2=trace",
            "my_game::rooms",
            "mycrate=debug",
            "[handler{route,uid}]=trace",
            "info,mine[span{a,b}]=debug",
            "info,",
            "3",
        ];
        for level in legal {
            assert_eq!(problem(level), None, "{level}");
        }
        let levels = "is none of the levels off, error, warn, info, debug, trace";
        for (level, text) in [
            ("loud", format!("`loud` {levels}; a target is written `loud=debug`")),
            ("wran", format!("`wran` {levels}; a target is written `wran=debug`; did you mean `warn`?")),
            ("Debgu", format!("`Debgu` {levels}; a target is written `Debgu=debug`; did you mean `debug`?")),
            ("info, loud", format!("`loud` {levels}; a target is written `loud=debug`")),
            ("pitaya_runtime", format!("`pitaya_runtime` {levels}; a target is written `pitaya_runtime=debug`")),
        ] {
            assert_eq!(problem(level).as_deref(), Some(&*text));
        }
    }
}
