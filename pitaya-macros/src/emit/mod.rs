//! From the model to code. Whatever a route *does* is a generic function of the core; here are names and types only.

mod client;
mod contract;
mod handler;
mod lifecycle;
mod rows;
mod schema;
mod unique;

pub(crate) use contract::{contract, server};

use crate::model::{Arg, Component, Kind, Method, Route, Side, Table};
use crate::types;
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

/// Writes the code next to the user's block: the stub, if there is one, and one `const _`, so that nothing else has a
/// name outside.
pub(crate) fn component(component: &Component) -> TokenStream {
    let Component { table, ty, generics } = component;
    let Table { side, cfg, .. } = table;
    let (carrier, constant) = side.table();
    let (carrier, constant) = (format_ident!("{carrier}"), format_ident!("{constant}"));
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let (stub, allowed) = (client::stub(table), allowed(table));
    let (description, typed) = (description(table), typed(*side));
    let (pieces, rows) = rows::rows(table, &quote!(#impl_generics), &quote!(#ty), &quote!(#bounds));
    quote! {
        #stub
        #(#cfg)*
        #allowed
        const _: () = {
            #description
            #pieces
            #[doc(hidden)]
            impl #impl_generics __pitaya::#carrier for #ty #bounds {
                const #constant: #typed = #rows;
            }
            __pitaya::submit! { __pitaya::Declared(&__SERVICE) }
        };
    }
}

fn allowed(table: &Table) -> Option<TokenStream> {
    table.names_deprecated.then(|| quote!(#[allow(deprecated)]))
}

/// `__SERVICE`, and the names that it and the rows use.
fn description(table: &Table) -> TokenStream {
    let Table { krate, service, type_name, .. } = table;
    let codecs = codecs(table, &quote!(__pitaya));
    let routes = table.routes.iter().map(route);
    let check = unique::check(&table.routes);
    let side = match table.side {
        Side::Handler => quote!(Handler),
        Side::Remote => quote!(Remote),
    };
    quote! {
        use #krate::__private as __pitaya;
        use __pitaya::Plain as _;
        type __Codecs = #codecs;
        const __ROUTES: &[__pitaya::Route] = &[#(#routes),*];
        #check
        static __SERVICE: __pitaya::Service = __pitaya::Service {
            side: __pitaya::Side::#side,
            name: #service,
            type_name: #type_name,
            codecs: <__Codecs as __pitaya::Codecs>::NAMES,
            routes: __ROUTES,
            location: ::core::concat!(::core::file!(), ":", ::core::line!()),
            contract: ::core::option::Option::None,
        };
    }
}

/// The set of serializers. Of the types that a user wrote it is asked here, once, whether they are serializers at all.
fn codecs(table: &Table, p: &TokenStream) -> TokenStream {
    let codecs = &table.codecs;
    let set = quote!((#(#codecs,)*));
    if table.codecs_given { quote!(#p::Known<#set, { #(<#codecs as #p::Codec>::KNOWN)&&* }>) } else { set }
}

/// The type of the table: what a remote borrows from is not what a handler borrows from.
fn typed(side: Side) -> TokenStream {
    match side {
        Side::Handler => quote!(__pitaya::Table<Self>),
        Side::Remote => quote!(__pitaya::Table<Self, __pitaya::RemoteContext>),
    }
}

/// Description of a route without its component: `Route::request("join", 7).async_fn("Join", "Joined")`.
fn route(route: &Route) -> TokenStream {
    let Route { method, name, kind, docs, code, timeout, flags, .. } = route;
    let cfg = &method.cfg;
    let (kind, answer) = match kind {
        Kind::Request => (quote!(request), method.output.as_ref().map(types::answered).unwrap_or_default()),
        Kind::Notify => (quote!(notify), String::new()),
    };
    let payload = method.payload().map(types::noted).unwrap_or_default();
    // With the user's own span: `line!()` looks for the outermost expansion, which would be the attribute.
    let line = quote_spanned!(method.ident.span()=> ::core::line!());
    let function = if method.is_async { quote!(async_fn) } else { quote!(sync_fn) };
    let docs = (!docs.is_empty()).then(|| quote!(.docs(#docs)));
    let code = code.map(|(code, _)| proc_macro2::Literal::u16_unsuffixed(code)).map(|code| quote!(.code(#code)));
    let timeout = timeout.map(proc_macro2::Literal::u64_unsuffixed).map(|millis| quote!(.timeout(#millis)));
    let flags = flags.iter().map(ours);
    quote! {
        #(#cfg)*
        __pitaya::Route::#kind(#name, #line).#function(#payload, #answer) #docs #code #timeout #(.#flags())*
    }
}

/// The body of a row or a hook: borrow, call, hand over what was returned.
///
/// `Self::join(..)` and not `__this.join(..)`: a route may be named `clone`. What is borrowed has a `let` of its own,
/// for the temporaries of a `?` inside the call would live in the future as long as the call does.
fn body(owner: &TokenStream, method: &Method, this: TokenStream, hand_over: &TokenStream) -> TokenStream {
    let ident = &method.ident;
    let (mut lends, mut args) = (TokenStream::new(), vec![this]);
    for (i, arg) in method.args.iter().enumerate() {
        match arg {
            Arg::Payload(_) => args.push(quote!(__payload)),
            Arg::Borrowed(ty) => {
                let name = format_ident!("__arg{i}");
                lends.extend(quote_spanned!(at(ty.span())=> let #name = __cx.lend::<#ty>()?;));
                args.push(quote!(#name));
            }
        }
    }
    let wait = method.is_async.then(|| quote!(.await));
    let call = quote_spanned!(at(ident.span())=> #owner::#ident(#(#args),*) #wait);
    quote_spanned!(answer(method)=> #lends let __out = #call; __pitaya::Returned(__out).#hand_over)
}

/// Where errors about the answer belong.
fn answer(method: &Method) -> Span {
    at(method.output.as_ref().map_or_else(|| method.ident.span(), Spanned::span))
}

/// The name of the context, if the body needs one.
fn context(method: &Method) -> TokenStream {
    if method.borrows() { quote!(__cx) } else { quote!(_) }
}

/// The user's place with our hygiene. With the user's hygiene too, our names would not see each other inside a block
/// that a `macro_rules!` made.
pub(crate) fn at(place: Span) -> Span {
    Span::call_site().located_at(place)
}

/// Tokens that keep their hygiene and are shown at another place.
fn located(tokens: TokenStream, place: Span) -> TokenStream {
    let each = tokens.into_iter().map(|mut tree| {
        if let TokenTree::Group(group) = &tree {
            tree = Group::new(group.delimiter(), located(group.stream(), place)).into();
        }
        tree.set_span(tree.span().located_at(place));
        tree
    });
    each.collect()
}

/// A word of the user's as a name of ours.
fn ours(word: &Ident) -> Ident {
    Ident::new(&word.to_string(), at(word.span()))
}
