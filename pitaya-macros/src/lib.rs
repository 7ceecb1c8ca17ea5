//! How an `impl` block becomes a table of routes.
//!
//! This crate translates: it emits paths and names, and knows nothing of what a route does. Whatever generated code
//! would have to decide is decided by a function of the core. Users get the attributes from `pitaya_runtime`.
//!
//! The path of a block: `parse` takes it apart, `check` applies the rules and builds the `model`, `emit` writes
//! the model down. Mistakes are collected on the way (`errors`) and reported together.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod args;
mod check;
mod duration;
mod emit;
mod errors;
mod fault;
mod groups;
mod manifest;
mod model;
mod parse;
mod rename;
mod types;
mod variants;

#[cfg(test)]
mod tests;

use errors::Errors;
use model::Side;
use parse::Input;
use proc_macro::TokenStream;
use quote::quote;

#[doc = include_str!("handler.md")]
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Side::Handler, args.into(), item.into()).into()
}

#[doc = include_str!("remote.md")]
#[proc_macro_attribute]
pub fn remote(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Side::Remote, args.into(), item.into()).into()
}

#[doc = include_str!("fault.md")]
#[proc_macro_derive(Fault, attributes(fault))]
pub fn fault(item: TokenStream) -> TokenStream {
    fault::derive(item.into()).into()
}

/// The user's item, then the table, then what is wrong. A macro that panics would take the editor's help away together
/// with the program.
fn expand(side: Side, args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let args = args::BlockArgs::read(side, args, &mut errors);
    match parse::input(side, item, &mut errors) {
        Ok(Input::Block(item, methods)) => {
            let component = check::component(side, args, &item, methods, &mut errors);
            let table = component.map(|component| emit::component(&component));
            quote!(#item #table #errors)
        }
        Ok(Input::Contract(item, methods)) => {
            let contract = check::contract(args, &item, methods, &mut errors);
            let (item, stub) = emit::contract(item, contract.as_ref());
            quote!(#item #stub #errors)
        }
        Ok(Input::Server(item, path, methods)) => {
            let server = check::server(args, &item, path, methods, &mut errors);
            let table = server.map(|server| emit::server(&server));
            quote!(#item #table #errors)
        }
        Err(item) => quote!(#item #errors),
    }
}

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
