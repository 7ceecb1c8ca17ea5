//! The schemas of a block that asked for them: functions of the core, named with the user's types.

use super::{answer, at};
use crate::model::{Kind, Route};
use crate::types;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

/// Inside the `impl`, where `Self` and the block's type parameters mean what they mean to the user.
pub(super) fn schemas(option: Span, routes: &[Route]) -> TokenStream {
    let rows = routes.iter().map(row);
    // Whether the feature is on is the core's to say, in an error about the option.
    let made = quote_spanned!(at(option)=> __pitaya::needs_schema!(););
    quote! {{
        #made
        use __pitaya::schema::Unwrapped as _;
        &[#(#rows),*]
    }}
}

fn row(route: &Route) -> TokenStream {
    let method = &route.method;
    let cfg = &method.cfg;
    let payload = method.payload().map(|ty| {
        let schema = quote_spanned!(at(ty.span())=> __pitaya::schema::payload::<#ty>);
        quote!(.payload(#schema))
    });
    // An `impl Trait` has no name that could be asked.
    let named = method.output.as_ref().filter(|ty| route.kind == Kind::Request && types::mentions_impl(ty).is_none());
    let answer = named.map(|ty| {
        let schema = quote_spanned!(answer(method)=> <__pitaya::Returned<#ty>>::schema);
        quote!(.answer(#schema))
    });
    quote!(#(#cfg)* __pitaya::schema::Schemas::NONE #payload #answer)
}
