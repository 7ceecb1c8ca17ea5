//! The generated code means the same whatever the user has in scope.

use super::{expansion, generated, handler, remote};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{File, Item};

/// Names of the prelude and of crates, which a user may have redefined.
pub(super) const AMBIGUOUS: [&str; 18] = [
    "Result",
    "Option",
    "Box",
    "Vec",
    "String",
    "Some",
    "None",
    "Ok",
    "Err",
    "Fn",
    "FnOnce",
    "Into",
    "From",
    "Future",
    "std",
    "core",
    "alloc",
    "pitaya_runtime",
];

/// Every case of both attributes with what it becomes, `more` added to its arguments.
fn cases(more: &str) -> impl Iterator<Item = (&'static str, &'static str, File)> {
    let handlers =
        expansion::CASES.iter().map(move |(case, args, item)| (*case, *args, handler(&format!("{more}{args}"), item)));
    let remotes = super::remote::CASES
        .iter()
        .map(move |(case, args, item)| (*case, *args, remote(&format!("{more}{args}"), item)));
    handlers.chain(remotes)
}

/// Identifiers that no `::` stands before, at any depth. `crate::core` is a path of the user's own.
pub(super) fn bare(tokens: TokenStream, found: &mut Vec<String>) {
    let mut qualified = false;
    for tree in tokens {
        match &tree {
            TokenTree::Group(group) => bare(group.stream(), found),
            TokenTree::Ident(ident) if !qualified => found.push(ident.to_string()),
            _ => {}
        }
        qualified = matches!(&tree, TokenTree::Punct(p) if p.as_char() == ':');
    }
}

/// Generated code, and the trait of a contract: its table is inside.
fn made(file: &File) -> TokenStream {
    let contract = file.items.first().filter(|item| matches!(item, Item::Trait(_)));
    contract.into_iter().chain(generated(file)).map(ToTokens::to_token_stream).collect()
}

#[test]
fn no_name_depends_on_what_is_in_scope() {
    for (case, _, file) in cases("") {
        let mut names = Vec::new();
        bare(made(&file), &mut names);
        let found: Vec<_> = names.iter().filter(|name| AMBIGUOUS.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{case}: {found:?}");
    }
}

#[test]
fn another_crate_path_replaces_every_trace_of_the_default() {
    for (case, _, file) in cases("crate = foo, ").filter(|(_, args, _)| !args.contains("crate =")) {
        let text = made(&file).to_string();
        assert!(!text.contains("pitaya_runtime"), "{case}: {text}");
        assert!(!text.contains("__") || text.contains("use foo :: __private as __pitaya"), "{case}: {text}");
    }
}

#[test]
fn the_finder_of_bare_names_finds() {
    let mut names = Vec::new();
    bare("use ::core::fmt; fn f() -> (Result<core::X>, ::std::Y) {}".parse().expect("tokens"), &mut names);
    assert!(names.contains(&"Result".to_owned()) && names.contains(&"core".to_owned()), "{names:?}");
    assert!(!names.contains(&"std".to_owned()), "{names:?}");
}

/// The compiler knows neither `#[route]` nor `#[on]`.
#[test]
fn helper_attributes_never_reach_the_compiler() {
    for (case, _, file) in cases("").filter(|(.., file)| matches!(file.items[0], Item::Impl(_) | Item::Trait(_))) {
        let text = file.items[0].to_token_stream().to_string();
        assert!(!text.contains("# [route") && !text.contains("# [on"), "{case}: {text}");
        assert!(!text.contains("route (") && !text.contains("on (init"), "{case}: {text}");
    }
}
