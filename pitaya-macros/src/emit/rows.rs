//! The table itself: one expression for most blocks, joined from pieces for long ones.

use super::{handler, lifecycle, schema};
use crate::model::{Route, Side, Table};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// Rows in one constant. The closures of a constant are type-checked together, and incremental compilation hashes the
/// result of that once for each of them: without a bound its cost grows with the square of the routes.
const PIECE: usize = 64;

/// The items that the table needs beside it, none where its rows fit into one constant; and the table. The three streams
/// are those of `impl #generics .. for #ty #bounds`, the type that has the table.
pub(super) fn rows(
    table: &Table,
    generics: &TokenStream,
    ty: &TokenStream,
    bounds: &TokenStream,
) -> (Option<TokenStream>, TokenStream) {
    let hooks = table.hooks.iter().map(lifecycle::hook);
    let schemas = table.schema.map_or_else(|| quote!(&[]), |option| schema::schemas(option, &table.routes));
    let (pieces, rows) = if table.routes.len() > PIECE {
        let (pieces, joined) = pieces(table, generics, ty, bounds);
        (Some(pieces), joined)
    } else {
        (None, slice(table, &table.routes))
    };
    (pieces, quote!(__pitaya::Table { service: &__SERVICE, rows: #rows, hooks: &[#(#hooks),*], schemas: #schemas }))
}

/// A trait of the block's own, implemented once for each piece: an item has no other way to know the block's `Self`.
fn pieces(table: &Table, generics: &TokenStream, ty: &TokenStream, bounds: &TokenStream) -> (TokenStream, TokenStream) {
    let row = match table.side {
        Side::Handler => quote!(__pitaya::Row<Self>),
        Side::Remote => quote!(__pitaya::Row<Self, __pitaya::RemoteContext>),
    };
    let (mut impls, mut names) = (TokenStream::new(), Vec::new());
    for (number, routes) in table.routes.chunks(PIECE).enumerate() {
        let (number, rows) = (Literal::usize_unsuffixed(number), slice(table, routes));
        impls.extend(quote! {
            impl #generics __Rows<#number> for #ty #bounds {
                const ROWS: &'static [#row] = #rows;
            }
        });
        names.push(quote!(<Self as __Rows<#number>>::ROWS));
    }
    let items = quote! {
        trait __Rows<const PIECE: usize>: __pitaya::Sized + 'static {
            const ROWS: &'static [#row];
        }
        #impls
    };
    (items, quote!(&__pitaya::joined::<_, _, { __ROUTES.len() }>(&[#(#names),*])))
}

fn slice(table: &Table, routes: &[Route]) -> TokenStream {
    let rows = routes.iter().map(|route| handler::row(&table.owner, route));
    quote!(&[#(#rows),*])
}
