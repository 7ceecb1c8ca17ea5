//! Questions about the user's types that their tokens can answer.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// The type itself: a `$t:ty` of a `macro_rules!` arrives in an invisible group, `&(dyn A + B)` in parentheses.
pub(crate) fn peel(mut ty: &Type) -> &Type {
    loop {
        match ty {
            Type::Group(group) => ty = &group.elem,
            Type::Paren(paren) => ty = &paren.elem,
            _ => return ty,
        }
    }
}

/// The last name of a path: `Room` of `crate::chat::Room<S>`.
pub(crate) fn name(ty: &Type) -> Option<&Ident> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// The tokens as a person would write them, for messages.
pub(crate) fn shown(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in [
        (" ::", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" ;", ";"),
        (" (", "("),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

/// A type as the description of a route names it: on one line, and the same however its author spaced it.
pub(crate) fn noted(ty: &Type) -> String {
    if matches!(name(ty), Some(ident) if ident == "Raw") {
        return "Raw".to_owned();
    }
    let line = shown(ty).split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace(',', ", ").replace(",  ", ", ").replace(", >", ">").replace(", )", ",)")
}

/// The type of an answer: the `T` of what is spelled `Result<T, ..>`. An alias is named as it stands: only types could
/// tell what is behind it.
pub(crate) fn answered(output: &Type) -> String {
    let Type::Path(path) = peel(output) else { return noted(output) };
    let result = path.path.segments.last().filter(|last| last.ident == "Result");
    let value = result.and_then(|result| match &result.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.first(),
        _ => None,
    });
    match value {
        Some(GenericArgument::Type(value)) => noted(peel(value)),
        _ => noted(output),
    }
}

/// The first of `names` in these tokens.
pub(crate) fn mentions(tokens: TokenStream, names: &[String]) -> Option<Ident> {
    tokens.into_iter().find_map(|tree| match tree {
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Ident(ident) if names.contains(&ident.to_string()) => Some(ident),
        _ => None,
    })
}

pub(crate) fn mentions_impl(ty: &Type) -> Option<Ident> {
    mentions(ty.to_token_stream(), &["impl".into()])
}

/// An `impl Trait` without `use<..>` in these tokens: the word, and all of it as written.
pub(crate) fn capturing_impl(tokens: TokenStream) -> Option<(Ident, String)> {
    let mut tokens = tokens.into_iter();
    while let Some(tree) = tokens.next() {
        match tree {
            TokenTree::Group(group) => {
                if let Some(found) = capturing_impl(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(word) if word == "impl" => {
                let mut depth = 0;
                let mut ends = |tree: &TokenTree| match tree {
                    TokenTree::Punct(p) if p.as_char() == '<' => {
                        depth += 1;
                        false
                    }
                    TokenTree::Punct(p) if p.as_char() == '>' => {
                        depth -= 1;
                        depth < 0
                    }
                    TokenTree::Punct(p) => p.as_char() == ',' && depth == 0,
                    _ => false,
                };
                let bounds: TokenStream = tokens.by_ref().take_while(|tree| !ends(tree)).collect();
                if mentions(bounds.clone(), &["use".to_owned()]).is_none() {
                    return Some((word, format!("impl {}", shown(bounds))));
                }
            }
            _ => {}
        }
    }
    None
}

/// Certainly a value, whatever names are in scope: not a path that could be an alias of `Result`.
pub(crate) fn is_plain_value(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 17] = [
        "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64",
    ];
    match peel(ty) {
        Type::Path(path) => PRIMITIVES.iter().any(|name| path.path.is_ident(name)),
        Type::Tuple(tuple) => !tuple.elems.is_empty(),
        Type::Array(_) | Type::Reference(_) | Type::Slice(_) | Type::FnPtr(_) => true,
        _ => false,
    }
}

/// Where this type says that it borrows: at a lifetime other than `'static`, or at a `&` without one.
pub(crate) fn borrows(tokens: TokenStream) -> Option<Span> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(tree) = tokens.next() {
        let found = match &tree {
            TokenTree::Group(group) => borrows(group.stream()),
            TokenTree::Punct(p) if p.as_char() == '&' => {
                let named = matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '\'');
                (!named).then(|| p.span())
            }
            TokenTree::Punct(p) if p.as_char() == '\'' => {
                let forever = matches!(tokens.peek(), Some(TokenTree::Ident(i)) if i == "static");
                (!forever).then(|| p.span())
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// `Cursor<'a>` as `Cursor<'_>`: a lifetime that the method declares has no name outside of it.
pub(crate) fn without_lifetimes(tokens: TokenStream, declared: &[String]) -> TokenStream {
    let mut after_quote = false;
    tokens
        .into_iter()
        .map(|tree| {
            let is_name =
                std::mem::replace(&mut after_quote, matches!(&tree, TokenTree::Punct(p) if p.as_char() == '\''));
            match tree {
                TokenTree::Ident(ident) if is_name && declared.contains(&ident.to_string()) => {
                    Ident::new("_", ident.span()).into()
                }
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), without_lifetimes(group.stream(), declared));
                    inner.set_span(group.span());
                    inner.into()
                }
                other => other,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn borrowing_is_seen_at_any_depth() {
        for owned in [quote!(Join), quote!(Vec<Cow<'static, str>>), quote!(&'static str), quote!([u8; 4])] {
            assert!(borrows(owned.clone()).is_none(), "{owned}");
        }
        for borrowed in [quote!(&str), quote!(Option<&'a str>), quote!(Cow<'_, str>), quote!((u8, [&u8; 2]))] {
            assert!(borrows(borrowed.clone()).is_some(), "{borrowed}");
        }
    }

    #[test]
    fn an_impl_trait_says_what_it_captures() {
        let found = |ty: &str| capturing_impl(ty.parse().expect("tokens")).map(|(_, shown)| shown);
        assert_eq!(found("impl Serialize").as_deref(), Some("impl Serialize"));
        assert_eq!(
            found("Result<impl Iterator<Item = u8> + Send, Error>").as_deref(),
            Some("impl Iterator<Item = u8> + Send")
        );
        assert_eq!(found("(u8, impl Serialize)").as_deref(), Some("impl Serialize"));
        assert_eq!(found("impl Serialize + use<>"), None);
        assert_eq!(found("Result<Joined, Error>"), None);
    }

    #[test]
    fn only_declared_lifetimes_lose_their_name() {
        let tokens = quote!(Pair<'a, 'static, (Cell<'b>, a)>);
        let expected = quote!(Pair<'_, 'static, (Cell<'b>, a)>);
        assert_eq!(without_lifetimes(tokens, &["a".into()]).to_string(), expected.to_string());
    }

    #[test]
    fn messages_show_types_without_stray_blanks() {
        for text in
            ["Shelf<S, crate::Key>", "&'static str", "Option<(u8, [u8; 4])>", "dyn Clock + 'static", "Raw(bytes)"]
        {
            let tokens: TokenStream = text.parse().expect("tokens");
            assert_eq!(shown(tokens), text);
        }
    }

    #[test]
    fn descriptions_name_a_type_the_same_however_it_is_spaced() {
        for (ty, text) in [
            ("HashMap<u8,Vec<Join>>", "HashMap<u8, Vec<Join>>"),
            ("HashMap < u8 , Vec\n< Join >, >", "HashMap<u8, Vec<Join>>"),
            ("(u8,)", "(u8,)"),
            ("[u8;4]", "[u8; 4]"),
            ("::pitaya::Raw", "Raw"),
        ] {
            assert_eq!(noted(&syn::parse_str(ty).expect("a type")), text);
        }
    }

    #[test]
    fn the_answer_is_what_a_visible_result_holds() {
        for (ty, text) in [
            ("Result<Joined, Error>", "Joined"),
            ("std::io::Result<Vec<u8>>", "Vec<u8>"),
            ("Result<()>", "()"),
            ("Reply<Joined>", "Reply<Joined>"),
            ("Result", "Result"),
            ("(u8, Result<Joined>)", "(u8, Result<Joined>)"),
        ] {
            assert_eq!(answered(&syn::parse_str(ty).expect("a type")), text);
        }
    }

    #[test]
    fn groups_and_parentheses_are_peeled() {
        let inner: Type = syn::parse_quote!(Room<S>);
        let group = Type::Group(syn::TypeGroup {
            attrs: vec![],
            group_token: Default::default(),
            elem: Box::new(syn::parse_quote!((#inner))),
        });
        assert_eq!(peel(&group), &inner);
        assert_eq!(name(&group).map(ToString::to_string).as_deref(), Some("Room"));
        assert_eq!(name(&syn::parse_quote!(&Room)), None);
    }
}
