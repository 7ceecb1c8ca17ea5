//! Invisible groups: `macro_rules!` passes on what it matched (`$code:literal`, `$codec:ty`) between delimiters that are
//! not written.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Takes invisible groups out of the tokens of an attribute, at every depth. An attribute has no operators whose order a
/// group would keep.
pub(crate) fn flat(tokens: TokenStream) -> TokenStream {
    let mut all = TokenStream::new();
    for tree in tokens {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => all.extend(flat(group.stream())),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), flat(group.stream()));
                inner.set_span(group.span());
                all.extend([TokenTree::Group(inner)]);
            }
            other => all.extend([other]),
        }
    }
    all
}
