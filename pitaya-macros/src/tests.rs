//! Output of the macros, in process: no compiler, no core.

mod expansion;
mod fault;
mod hygiene;
mod mistakes;
mod remote;

use crate::{expand, model::Side};
use proc_macro2::TokenStream;
use syn::{File, ImplItem, Item, ItemImpl};

/// `#[handler(args)] item`, as a file.
fn handler(args: &str, item: &str) -> File {
    file(Side::Handler, tokens(args), tokens(item))
}

/// `#[remote(args)] item`, as a file.
fn remote(args: &str, item: &str) -> File {
    file(Side::Remote, tokens(args), tokens(item))
}

fn file(side: Side, args: TokenStream, item: TokenStream) -> File {
    let output = expand(side, args, item);
    syn::parse2(output.clone()).unwrap_or_else(|error| panic!("{error} in {output}"))
}

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The texts of the errors. A user finds each of them in the guide, too.
fn messages(file: &File) -> Vec<String> {
    let found: Vec<String> = file.items.iter().filter_map(message).collect();
    for text in &found {
        let is_first = !text.ends_with("is first declared here");
        assert!(!is_first || documented(text), "docs/macros.md has no row for {:?}: {text}", claim(text));
    }
    found
}

/// The guide to the macros, which lies beside the crate: a published crate is tested without it.
fn guide() -> Option<String> {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/macros.md")).ok()
}

fn documented(text: &str) -> bool {
    let Some(guide) = guide() else { return true };
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| ["));
    rows.filter_map(|row| row.split_once(".rs) | ")).any(|(_, message)| claim(message) == claim(text))
}

/// Reduces a message to its claim: without names and numbers of the case, without reasons and the kind of method.
fn claim(text: &str) -> String {
    let headline = text.split(['\n', '|']).next().unwrap_or_default().split("<br>").next().unwrap_or_default();
    let headline = headline.replace("hook", "handler").replace("remote", "handler");
    let (mut claim, mut quoted) = (String::new(), false);
    for c in headline.chars() {
        match c {
            '`' => {
                quoted = !quoted;
                claim.push('`');
            }
            _ if quoted || c.is_ascii_digit() => {}
            ',' | ':' | ';' => break,
            _ => claim.push(c),
        }
    }
    claim.trim_end().to_owned()
}

#[test]
fn a_message_is_found_by_what_it_says() {
    assert_eq!(claim("code 7 is taken by `a, b`; so `c`\nhelp: d"), "code  is taken by ``");
    assert!(documented("a handler takes at most one payload; `x` is the second\nhelp: y"));
    assert_eq!(documented("a handler takes at most two payloads; `x` is the third"), guide().is_none());
}

fn message(item: &Item) -> Option<String> {
    match item {
        Item::Macro(item) if item.mac.path.segments.last()?.ident == "compile_error" => {
            Some(item.mac.parse_body::<syn::LitStr>().expect("one string").value())
        }
        _ => None,
    }
}

/// The user's block, which always comes first.
fn users(file: &File) -> &ItemImpl {
    match &file.items[0] {
        Item::Impl(item) => item,
        other => panic!("expected an impl block, found {other:?}"),
    }
}

fn methods(item: &ItemImpl) -> Vec<String> {
    item.items
        .iter()
        .filter_map(|item| if let ImplItem::Fn(f) = item { Some(f.sig.ident.to_string()) } else { None })
        .collect()
}

/// The generated code: whatever is neither the user's nor an error.
fn generated(file: &File) -> Vec<&Item> {
    file.items.iter().skip(1).filter(|item| message(item).is_none()).collect()
}
