//! Rewrites what cron expressions may say, into what the parser understands: ranges around the end of a field
//! (`FRI-MON`), and lists of fixed times.

/// Patterns that one expression may become. One that lists more fixed times than this is a repeated one.
const MOST: usize = 64;

/// One field: its smallest and largest value, and the names of its values from the smallest on.
struct Field {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const SIXTY: Field = Field { least: 0, most: 59, names: &[] };
const HOURS: Field = Field { least: 0, most: 23, names: &[] };
const DAYS: Field = Field { least: 1, most: 31, names: &[] };
const MONTHS: Field = Field {
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAYS: Field = Field { least: 0, most: 6, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
/// In the order of a pattern; before a year, which has no end to go around.
const FIELDS: [Field; 6] = [SIXTY, SIXTY, HOURS, DAYS, MONTHS, WEEKDAYS];
/// Those that say the time of a day.
const TIME: usize = 3;

/// The patterns of an expression. It is several where it lists fixed times (`0 0,30 2 * * *`): each of them has its own, so
/// that it counts as a fixed time. What is not understood is left as it is, for the parser to refuse.
pub(super) fn single(expression: &str) -> Vec<String> {
    let mut fields: Vec<String> = expression.split_whitespace().map(str::to_owned).collect();
    if expression.starts_with('@') || !(5..=7).contains(&fields.len()) {
        return vec![expression.to_owned()];
    }
    if fields.len() == 5 {
        fields.insert(0, "0".to_owned());
    }
    let times: Vec<Vec<String>> = fields[..TIME].iter().filter_map(|field| listed(field)).collect();
    for (field, of) in fields.iter_mut().zip(&FIELDS) {
        *field = field
            .split(',')
            .map(|part| of.around(part).unwrap_or_else(|| part.to_owned()))
            .collect::<Vec<_>>()
            .join(",");
    }
    let [seconds, minutes, hours] = &times[..] else { return vec![fields.join(" ")] };
    if seconds.len() * minutes.len() * hours.len() > MOST {
        return vec![fields.join(" ")];
    }
    let rest = fields[TIME..].join(" ");
    let mut patterns = Vec::new();
    for hour in hours {
        for minute in minutes {
            patterns.extend(seconds.iter().map(|second| format!("{second} {minute} {hour} {rest}")));
        }
    }
    patterns
}

/// The values of a field that is a number, or a list of numbers.
fn listed(field: &str) -> Option<Vec<String>> {
    let number = |part: &str| part.parse::<u32>().ok().map(|number| number.to_string());
    field.split(',').map(number).collect()
}

impl Field {
    fn value(&self, text: &str) -> Option<u32> {
        let name = self.names.iter().zip(self.least..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = name.map(|(_, value)| value).or_else(|| text.parse().ok())?;
        (self.least..=self.most).contains(&value).then_some(value)
    }

    /// The values of a range that goes around the end of the field, `FRI-MON` or `22-2/2`.
    fn around(&self, part: &str) -> Option<String> {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (from, to) = range.split_once('-')?;
        let (from, to, step) = (self.value(from)?, self.value(to)?, step.parse::<usize>().ok()?);
        if from <= to || step == 0 {
            return None;
        }
        let values = (from..=self.most).chain(self.least..=to).step_by(step);
        let texts: Vec<_> = values.map(|value| value.to_string()).collect();
        Some(texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_go_around_the_end_of_their_field() {
        for (expression, pattern) in [
            ("0 4 * * FRI-MON", "0 0 4 * * 5,6,0,1"),
            ("0 */5 * * * fri-sun", "0 */5 * * * 5,6,0"),
            ("0 0 22-2 * * MON-FRI", "0 0 22,23,0,1,2 * * MON-FRI"),
            ("0 50-10/10 * * NOV-FEB/2 *", "0 50,0,10 * * 11,1 *"),
            ("0 0 0 28-2,15 * SAT-SUN,WED", "0 0 0 28,29,30,31,1,2,15 * 6,0,WED"),
            ("@daily", "@daily"),
            ("0 0 0 * * 5#2", "0 0 0 * * 5#2"),
            ("0 0 0 L * 99-1", "0 0 0 L * 99-1"),
            ("now and then", "now and then"),
        ] {
            assert_eq!(single(expression), [pattern], "{expression}");
        }
    }

    #[test]
    fn lists_of_fixed_times_are_patterns_of_their_own() {
        assert_eq!(single("0,30 2 * * *"), ["0 0 2 * * *", "0 30 2 * * *"]);
        assert_eq!(single("0 00 02,3 1 * *"), ["0 0 2 1 * *", "0 0 3 1 * *"]);
        assert_eq!(single("0 0,30 */2 * * *"), ["0 0,30 */2 * * *"]);
        let every = (0..60).map(|minute| minute.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(single(&format!("0 {every} 1,2 * * *")).len(), 1);
    }
}
