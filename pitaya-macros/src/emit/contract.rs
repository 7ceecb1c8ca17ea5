//! A contract carries its table as a hidden constant, which those who implement it find through any name of the trait.

use super::{allowed, at, client, description, rows::rows};
use crate::model::{Server, Table};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{ItemTrait, ReturnType, TraitItem, TypeParamBound, parse_quote, spanned::Spanned};

/// The trait, with its table if it has one, and what goes next to it.
///
/// `async fn` becomes `-> impl Future + Send`, the only signature that is ever rewritten: the table is generic over
/// `Self`, and could not know that the future is `Send`. Whoever implements it writes `async fn` all the same.
pub(crate) fn contract(mut item: ItemTrait, table: Option<&Table>) -> (ItemTrait, Option<TokenStream>) {
    let Some(table) = table else { return (item, None) };
    let krate = &table.krate;
    let p = quote!(#krate::__private);
    for method in &mut item.items {
        let TraitItem::Fn(method) = method else { continue };
        if method.sig.asyncness.take().is_none() {
            continue;
        }
        let output = match &method.sig.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => quote!(#ty),
        };
        method.sig.output = parse_quote!(-> impl #p::Future<Output = #output> + #p::Send);
        if let Some(body) = &method.default {
            method.default = Some(parse_quote!({ async move #body }));
        }
    }
    item.colon_token.get_or_insert_default();
    let supertraits: [TypeParamBound; 4] =
        [parse_quote!(#p::Send), parse_quote!(#p::Sync), parse_quote!(#p::Sized), parse_quote!('static)];
    item.supertraits.extend(supertraits);
    let (description, name) = (description(table), &item.ident);
    let (pieces, rows) = rows(table, &quote!(<__Server: #name>), &quote!(__Server), &TokenStream::new());
    let allowed = allowed(table);
    let typed = quote!(#p::Table<Self, #p::RemoteContext>);
    item.items.push(parse_quote! {
        #[doc(hidden)]
        #allowed
        const __REMOTE_CONTRACT: #typed = {
            #description
            #pieces
            #rows
        };
    });
    (item, client::stub(table))
}

/// Writes the code next to an `impl` of a contract: the contract's table under the server's name.
pub(crate) fn server(server: &Server) -> TokenStream {
    let Server { krate, contract, ty, type_name, generics, cfg } = server;
    let (impl_generics, _, bounds) = generics.split_for_impl();
    // A trait that is no contract has no such constant: that is an error about the trait.
    let table = quote_spanned!(at(contract.span())=> <Self as #contract>::__REMOTE_CONTRACT);
    let submit = generics
        .params
        .is_empty()
        .then(|| quote!(__pitaya::submit! { __pitaya::Declared(<#ty as __pitaya::Remotes>::REMOTES.service) }));
    quote! {
        #(#cfg)*
        const _: () = {
            use #krate::__private as __pitaya;
            #[doc(hidden)]
            impl #impl_generics __pitaya::Remotes for #ty #bounds {
                const REMOTES: __pitaya::Table<Self, __pitaya::RemoteContext> = __pitaya::Table {
                    service: &__pitaya::Service {
                        type_name: #type_name,
                        location: ::core::concat!(::core::file!(), ":", ::core::line!()),
                        contract: ::core::option::Option::Some(#table.service.location),
                        ..*#table.service
                    },
                    ..#table
                };
            }
            #submit
        };
    }
}
