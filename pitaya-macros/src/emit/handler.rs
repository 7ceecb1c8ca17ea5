//! One row of the table: a closure that decodes, calls and encodes, and captures nothing.

use super::{answer, at, body, context};
use crate::model::{Kind, Route};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

pub(super) fn row(owner: &TokenStream, route: &Route) -> TokenStream {
    let method = &route.method;
    let cfg = &method.cfg;
    let (read, payload) = match method.payload() {
        Some(ty) => (quote_spanned!(at(ty.span())=> read::<__Codecs, #ty>()), quote!(__payload)),
        None => (quote!(empty()), quote!(_)),
    };
    let hand_over = match route.kind {
        Kind::Request => quote_spanned!(answer(method)=> done::<__Codecs, _>()),
        Kind::Notify => quote_spanned!(answer(method)=> silent()),
    };
    let (name, cx) = (at(method.ident.span()), context(method));
    let run = if method.is_async {
        let body = body(owner, method, quote!(&__this), &hand_over);
        match method.borrows() {
            true => quote_spanned!(name=> later(|__this, #cx, #payload| async move { #body })),
            false => quote_spanned!(name=> alone(|__this, #payload| async move { #body })),
        }
    } else {
        let body = body(owner, method, quote!(__this), &hand_over);
        quote_spanned!(name=> sync(|__this, #cx, #payload| { #body }))
    };
    // Two statements: an error about the payload is shown at the payload, and the row is short to read.
    quote!(#(#cfg)* |__call| { let __in = __call.#read; __in.#run })
}
