//! Durations in attributes, in the form of the configuration: `300ms`, `2s`, `1m30s`, `1.5h`.

/// The longest accepted duration, 24 h in milliseconds: nobody waits longer for one answer.
const LONGEST: u64 = 24 * 3_600_000;

/// Milliseconds in one unit.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a duration of 1 ms to 24 h, in milliseconds; what is finer than a millisecond is cut off.
///
/// # Errors
/// The reason, for a sentence that begins with the text.
pub(crate) fn millis(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, after) = split(after, |c| c.is_ascii_digit() || c == '.');
        total += part(number, unit)?;
        rest = after;
    }
    match total {
        0 if !text.is_empty() => Err("is shorter than 1ms".to_owned()),
        0 => Err("is no duration".to_owned()),
        total if total > LONGEST => Err("is longer than 24h".to_owned()),
        total => Ok(total),
    }
}

fn split(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// One number and its unit, at most a little over [`LONGEST`], so that sums cannot overflow.
fn part(number: &str, unit: &str) -> Result<u64, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err("is no duration".to_owned());
    }
    if unit.is_empty() {
        return Err(format!("has no unit after `{number}`"));
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has the unknown unit `{unit}`"));
    };
    let long = LONGEST + 1;
    let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(long).min(long) };
    // Nine digits of an hour reach below a millisecond.
    let fraction = &fraction[..fraction.len().min(9)];
    let part = fraction.parse::<u64>().map_or(0, |digits| digits * scale / 10u64.pow(fraction.len() as u32));
    Ok((whole * scale).min(long) + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The same table is in the tests of `pitaya_core::duration`, which reads the durations of the configuration.
    #[test]
    fn durations_are_those_of_the_configuration() {
        for (text, expected) in [
            ("1ms", 1),
            ("300ms", 300),
            ("2s", 2_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("24h", 86_400_000),
            ("0.25m", 15_000),
            ("1.0005s", 1_000),
        ] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        for (text, why) in [
            ("", "is no duration"),
            ("soon", "is no duration"),
            ("-2s", "is no duration"),
            ("1.2.3s", "is no duration"),
            ("2", "has no unit after `2`"),
            ("2 s", "has the unknown unit ` s`"),
            ("2sec", "has the unknown unit `sec`"),
            ("5us", "has the unknown unit `us`"),
            ("0s", "is shorter than 1ms"),
            ("0.1ms", "is shorter than 1ms"),
            ("25h", "is longer than 24h"),
            ("99999999999999999999999h", "is longer than 24h"),
            ("24h1ms", "is longer than 24h"),
        ] {
            assert_eq!(millis(text), Err(why.to_owned()), "{text}");
        }
    }
}
