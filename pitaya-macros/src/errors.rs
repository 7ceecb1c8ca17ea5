//! Mistakes in the user's code: collected, worded, reported all at once.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::fmt::Display;
use syn::Attribute;

/// Every mistake of one expansion. A rule adds what it finds and the next rule still runs.
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<(Vec<Attribute>, syn::Error)>,
    /// The `#[cfg]` of what is being looked at: where that is false, there is no mistake.
    cfg: Vec<Attribute>,
}

impl Errors {
    /// Points at `tokens`, which should be the smallest piece of code that has to change. The message says what is, the
    /// help says what to type.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display, help: impl Display) {
        self.push(syn::Error::new_spanned(tokens, format_args!("{message}\nhelp: {help}")));
    }

    pub(crate) fn at_span(&mut self, span: Span, message: impl Display, help: impl Display) {
        self.push(syn::Error::new(span, format_args!("{message}\nhelp: {help}")));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push((self.cfg.clone(), error));
    }

    /// Looks at something that is there under these `#[cfg]` only.
    pub(crate) fn under<T>(&mut self, cfg: &[Attribute], look: impl FnOnce(&mut Self) -> T) -> T {
        let around = self.cfg.len();
        self.cfg.extend_from_slice(cfg);
        let seen = look(self);
        self.cfg.truncate(around);
        seen
    }

    /// How many there are; a rule that compares this before and after knows whether *it* failed.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for (cfg, error) in &self.found {
            let each = error.clone().into_iter().map(|error| error.to_compile_error());
            tokens.extend(each.map(|error| quote!(#(#cfg)* #error)));
        }
    }
}

/// The text for a word that is none of `known`: what there is, and what was probably meant.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let mut text = format!("unknown {what} `{word}`, expected one of `{}`", known.join("`, `"));
    if let Some(near) = nearest(word, known) {
        text.push_str(&format!("\nhelp: did you mean `{near}`?"));
    }
    text
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let cut_short = |candidate: &&str| word.len() > 2 && candidate.starts_with(word);
    let by_distance = || {
        let allowed = (word.chars().count() / 3).max(1);
        known.iter().map(|k| (distance(word, k), k)).filter(|(d, _)| *d <= allowed).min().map(|(_, k)| k)
    };
    known.iter().find(|k| cut_short(k)).or_else(by_distance).copied()
}

/// Edits between two words; two neighbours swapped count as one edit, for that is how people mistype.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_one_edit() {
        for (typed, meant) in [("nmae", "name"), ("initt", "init"), ("nam", "name"), ("neme", "name"), ("name", "name")]
        {
            assert_eq!(distance(typed, meant), usize::from(typed != meant), "{typed}");
        }
        assert_eq!(distance("", "code"), 4);
    }

    #[test]
    fn a_far_word_suggests_nothing() {
        let known = ["init", "shutdown", "kebab-case"];
        assert_eq!(nearest("nit", &known), Some("init"));
        assert_eq!(nearest("kebab", &known), Some("kebab-case"));
        assert_eq!(nearest("banana", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
