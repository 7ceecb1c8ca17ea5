//! What did the command line say?

use std::collections::BTreeMap;
use std::str::FromStr;

/// A parsed command line: `--name value`, `--name=value`, `--switch` and plain words.
#[derive(Debug, Default)]
pub struct Args {
    words: Vec<String>,
    options: BTreeMap<String, String>,
}

impl Args {
    /// Parses `args` (without the program's name). `options` take a value, `switches` do not; names are given without
    /// the dashes.
    ///
    /// # Errors
    /// A text that names the unknown option, or the option whose value is missing.
    pub fn parse(args: impl IntoIterator<Item = String>, options: &[&str], switches: &[&str]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix("--") else {
                parsed.words.push(arg);
                continue;
            };
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let value = match (options.contains(&name), switches.contains(&name), inline) {
                (true, _, Some(value)) => value,
                (true, _, None) => args.next().ok_or_else(|| format!("--{name} needs a value"))?,
                (_, true, None) => String::new(),
                (_, true, Some(_)) => return Err(format!("--{name} takes no value")),
                _ => return Err(format!("unknown option --{name}; known: {}", known(options, switches))),
            };
            parsed.options.insert(name.to_owned(), value);
        }
        Ok(parsed)
    }

    /// The words that are not options, in order.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether the switch or option was given.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// The text of an option.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The value of an option, or `default` when it was not given.
    ///
    /// # Errors
    /// A text that quotes the value that could not be read.
    pub fn value<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.text(name) {
            Some(text) => text.parse().map_err(|_| format!("--{name}: cannot read {text:?}")),
            None => Ok(default),
        }
    }

    /// The values of an option that stand with commas between them; none when it was not given.
    ///
    /// # Errors
    /// A text that quotes the values that could not be read.
    pub fn list<T: FromStr>(&self, name: &str) -> Result<Vec<T>, String> {
        let values = self.text(name).into_iter().flat_map(|text| text.split(','));
        let values: Result<_, _> = values.map(str::parse).collect();
        values.map_err(|_| format!("--{name}: cannot read {:?}", self.text(name).unwrap_or_default()))
    }
}

fn known(options: &[&str], switches: &[&str]) -> String {
    options.iter().chain(switches).map(|name| format!("--{name}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned), &["secs", "only"], &["check"])
    }

    #[test]
    fn reads_words_options_and_switches() {
        let args = parse("echo --secs 0.5 --only=a,b --check").expect("valid");
        assert_eq!(args.words(), ["echo"]);
        assert_eq!(args.value("secs", 2.0), Ok(0.5));
        assert_eq!(args.text("only"), Some("a,b"));
        assert!(args.given("check"));
        assert_eq!(parse("").expect("valid").value("secs", 2.0), Ok(2.0));
        assert_eq!(parse("--only 1,20").expect("valid").list("only"), Ok(vec![1, 20]));
        assert_eq!(parse("").expect("valid").list::<u32>("only"), Ok(vec![]));
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(parse("--seconds 1").unwrap_err(), "unknown option --seconds; known: --secs --only --check");
        assert_eq!(parse("--secs").unwrap_err(), "--secs needs a value");
        assert_eq!(parse("--check=1").unwrap_err(), "--check takes no value");
        assert_eq!(parse("--secs x").expect("parsed").value("secs", 1.0).unwrap_err(), "--secs: cannot read \"x\"");
        assert_eq!(parse("--only 1,").expect("parsed").list::<u32>("only").unwrap_err(), "--only: cannot read \"1,\"");
    }
}
