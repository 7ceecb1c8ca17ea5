//! The keys that servers sign with: where they come from, and which of them does what.

use super::SECTION;
use crate::config::{Authentication, Secret};
use crate::files::read_text;
use pitaya_core::text::redact;
use pitaya_core::{Error, Result};
use ring::hmac;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

/// Shortest key, in bytes: as long as the code.
const SHORTEST: usize = 32;
/// The most keys: a few are enough to replace one by another.
const MOST: usize = 16;
/// The text whose code is a key's name.
const NAME: &[u8] = b"pitaya.seal.key";

/// Where keys come from.
#[derive(Clone)]
pub(crate) struct Source {
    keys: Secret,
    /// The path of a file, or nothing.
    pub(super) file: String,
}

impl Source {
    pub(crate) fn new(section: &Authentication) -> Self {
        Self { keys: section.keys.clone(), file: section.file.clone() }
    }

    /// When the file was written last, as far as the system says.
    pub(super) fn written(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.file).and_then(|file| file.modified()).ok()
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// When the file cannot be read, or a key is too short. Nothing of a key is in the error.
    pub(super) fn read(&self) -> Result<Keyring> {
        if self.file.is_empty() {
            return Keyring::parse(self.keys.expose()).map_err(|why| Error::internal(format!("{SECTION}.keys: {why}")));
        }
        let wrong = |why: String| Error::internal(format!("{SECTION}.file: the file {} {why}", redact(&self.file)));
        let text = read_text(Path::new(&self.file)).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        Keyring::parse(&text).map_err(|why| wrong(format!("cannot be used: {why}")))
    }
}

/// One key.
struct Key {
    /// Its name in seals, made from the key itself.
    name: [u8; 4],
    key: hmac::Key,
}

/// The keys in force: the first signs, and each verifies.
pub(crate) struct Keyring(Vec<Key>);

impl Keyring {
    /// Keys with commas or line ends between. A line that begins with `#` is a comment.
    ///
    /// # Errors
    /// Why they cannot be used, without a byte of them.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let texts = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|text| !text.is_empty());
        let mut keys = Vec::new();
        for (place, text) in (1..).zip(texts) {
            if text.len() < SHORTEST {
                return Err(format!(
                    "key {place} has {} bytes, and at least {SHORTEST} are needed; write for example what \
                     `openssl rand -hex 32` prints",
                    text.len()
                ));
            }
            if text.split(char::is_whitespace).skip(1).any(|word| word.starts_with('#')) {
                return Err(format!("key {place} has a comment behind it; write comments in lines of their own"));
            }
            if place > MOST {
                return Err(format!("there are more than {MOST} keys"));
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
            let name = hmac::sign(&key, NAME);
            keys.push(Key { name: *name.as_ref().first_chunk().unwrap_or(&[0; 4]), key });
        }
        if keys.is_empty() { Err("there is no key in it".to_owned()) } else { Ok(Self(keys)) }
    }

    /// The key that signs: its name and itself.
    pub(super) fn signing(&self) -> Option<([u8; 4], &hmac::Key)> {
        self.0.first().map(|key| (key.name, &key.key))
    }

    /// The keys of this name.
    pub(super) fn named(&self, name: [u8; 4]) -> impl Iterator<Item = &hmac::Key> {
        self.0.iter().filter(move |key| key.name == name).map(|key| &key.key)
    }
}

/// The names of the keys, the one that signs first.
impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, key) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { " " };
            write!(f, "{between}{:08x}", u32::from_be_bytes(key.name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_lines_or_between_commas() {
        let [one, two] = ["1".repeat(32), "2".repeat(40)];
        let in_lines = Keyring::parse(&format!("# the new one\n{one}\r\n\n  {two}\n")).expect("two keys");
        let in_one = Keyring::parse(&format!("{one}, {two}")).expect("two keys");
        let commented = Keyring::parse(&format!("{one} # the old one")).map(drop);
        assert_eq!(commented, Err("key 1 has a comment behind it; write comments in lines of their own".to_owned()));
        assert_eq!((in_lines.0.len(), in_lines.to_string()), (2, in_one.to_string()));
        let (name, _) = in_one.signing().expect("the first");
        assert_eq!((name, in_one.named(name).count()), (in_one.0[0].name, 1));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_key() {
        let error = |text: &str| Keyring::parse(text).err().expect("an error");
        assert_eq!(error("# nothing\n"), "there is no key in it");
        let short = error(&format!("{},hunter2", "x".repeat(32)));
        assert!(short.contains("key 2 has 7 bytes") && !short.contains("hunter2"), "{short}");
        assert_eq!(error(&vec!["k".repeat(32); 17].join("\n")), "there are more than 16 keys");
    }
}
