//! The generated code means the same whatever the user has in scope.

use super::{expansion::CASES, generated, handler, users};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

/// Names of the prelude and of crates, which a user may have redefined.
const AMBIGUOUS: [&str; 18] = [
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

/// Identifiers that no `::` stands before, at any depth. `crate::core` is a path of the user's own.
fn bare(tokens: TokenStream, found: &mut Vec<String>) {
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

#[test]
fn no_name_depends_on_what_is_in_scope() {
    for (case, args, item) in CASES {
        let file = handler(args, item);
        let mut names = Vec::new();
        generated(&file).into_iter().for_each(|item| bare(item.to_token_stream(), &mut names));
        let found: Vec<_> = names.iter().filter(|name| AMBIGUOUS.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{case}: {found:?}");
    }
}

#[test]
fn another_crate_path_replaces_every_trace_of_the_default() {
    for (case, args, item) in CASES.iter().filter(|(_, args, _)| !args.contains("crate =")) {
        let args = format!("crate = foo, {args}");
        let file = handler(&args, item);
        let text: String = generated(&file).iter().map(|item| item.to_token_stream().to_string()).collect();
        assert!(!text.contains("pitaya_runtime"), "{case}: {text}");
        assert!(text.is_empty() || text.contains("use foo :: __private as __pitaya"), "{case}: {text}");
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
    for (case, args, item) in CASES.iter().filter(|(_, _, item)| item.contains("impl")) {
        let text = users(&handler(args, item)).to_token_stream().to_string();
        assert!(!text.contains("# [route") && !text.contains("# [on"), "{case}: {text}");
    }
}
