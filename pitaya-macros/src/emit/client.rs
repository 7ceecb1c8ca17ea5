//! The typed stub: one async method a remote, which names types and the route and nothing else.

use super::{allowed, answer, at, codecs, located};
use crate::model::{Kind, Route, Stub, Table};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

pub(super) fn stub(table: &Table) -> Option<TokenStream> {
    let Stub { name, vis, routes } = table.stub.as_ref()?;
    let Table { krate, service, cfg, .. } = table;
    let p = quote!(#krate::__private);
    let about = format!("Calls the remotes of `{service}` on another server.");
    let methods = routes.iter().filter_map(|i| table.routes.get(*i)).map(|route| method(table, &p, route));
    let (codecs, deprecated) = (codecs(table, &p), allowed(table));
    // Whoever serves need not call; and a method of a private type may be `pub`, with private types in it.
    let allowed = quote!(#[allow(dead_code, private_interfaces)] #deprecated);
    Some(quote! {
        #(#cfg)*
        #[doc = #about]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #allowed
        #vis struct #name(#p::Callee<#codecs>);

        #(#cfg)*
        #[doc(hidden)]
        impl #p::Stub for #name {
            type Codecs = #codecs;
        }

        #(#cfg)*
        #allowed
        impl #name {
            /// Calls any server of this type.
            #[must_use]
            #vis fn new(rpc: &#p::Rpc, server_type: impl ::core::convert::Into<#p::Name>) -> Self {
                Self(rpc.any(server_type))
            }
            /// The same on the server with this id.
            #[must_use]
            #vis fn on(&self, server_id: impl ::core::convert::Into<#p::Name>) -> Self {
                Self(self.0.on(server_id))
            }
            /// The same, waiting no longer than this.
            #[must_use]
            #vis fn within(&self, timeout: #p::Duration) -> Self {
                Self(self.0.within(timeout))
            }
            #(#methods)*
        }
    })
}

fn method(table: &Table, p: &TokenStream, route: &Route) -> TokenStream {
    let Route { method, vis, .. } = route;
    let (cfg, ident) = (&method.cfg, &method.ident);
    let path = format!("{}.{}", table.service, route.name);
    let docs = if route.docs.is_empty() { format!("Calls `{path}`.") } else { route.docs.clone() };
    let (argument, send) = match method.payload() {
        Some(ty) => {
            // What the row cannot read is an error of the row, and of the row alone.
            let send = quote_spanned!(at(ty.span())=> send!(self.0, Self, #ty, #path, argument));
            let send = quote!(#p::#send);
            (quote!(, argument: &#ty), send)
        }
        None => (TokenStream::new(), quote!(self.0.empty(#path))),
    };
    // Two statements: an error about the receiver of a call is shown at the receiver, and there are two places for it.
    let (result, wait) = match (&method.output, route.kind) {
        (Some(ty), Kind::Request) => {
            // All of it where the user's type is: an error about the answer underlines the whole.
            let (here, p) = (at(ty.span()), located(p.clone(), ty.span()));
            let result = quote_spanned!(here=> #p::Answered<#ty>);
            let wait = quote_spanned!(answer(method)=> answer!(__sent, Self, #ty));
            (result, quote!(#p::#wait))
        }
        _ => (quote!(#p::Result<()>), quote!(__sent.notify().await)),
    };
    quote! {
        #(#cfg)*
        #[doc = #docs]
        #vis async fn #ident(&self #argument) -> #result {
            let __sent = #send;
            #wait
        }
    }
}
