//! What comes out of the macro, in process: no compiler, no core.

mod expansion;
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

/// The texts of the errors.
fn messages(file: &File) -> Vec<String> {
    file.items.iter().filter_map(message).collect()
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
