//! From tokens to what was written: the block with its helper attributes taken off, and what they said.

use crate::{
    args::{self, RouteArgs},
    errors::Errors,
    model::Side,
    types,
    variants::{self, Variant},
};
use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprLit, ImplItem, ImplItemFn, Item, ItemImpl, ItemTrait, Lit, Meta, Path, Signature, TraitItem,
    TraitItemFn, Visibility, parse_quote,
};

/// Item that an attribute may stand on, as the compiler gets to see it.
pub(crate) enum Input {
    /// An inherent `impl` block.
    Block(ItemImpl, Vec<Written>),
    /// A trait whose methods other servers may call.
    Contract(ItemTrait, Vec<Written>),
    /// An `impl` of such a trait, named by the path.
    Server(ItemImpl, Path, Vec<Written>),
}

/// One method of the block in one configuration, right or wrong.
pub(crate) struct Written {
    pub(crate) sig: Signature,
    pub(crate) vis: Visibility,
    pub(crate) private: bool,
    pub(crate) route: Option<Helper<RouteArgs>>,
    /// Without a name if the attribute could not be read, which has been reported.
    pub(crate) hook: Option<Helper<Option<Ident>>>,
    pub(crate) docs: String,
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) names_deprecated: bool,
}

/// An attribute that only this macro understands.
pub(crate) struct Helper<T> {
    pub(crate) path: Path,
    pub(crate) args: T,
}

/// The item taken apart, or, when the attribute has no business here, the tokens to give back to the compiler.
pub(crate) fn input(side: Side, tokens: TokenStream, errors: &mut Errors) -> Result<Input, TokenStream> {
    match syn::parse2(tokens.clone()) {
        Ok(Item::Impl(mut item)) => {
            let methods = item.items.iter_mut().flat_map(|item| method(item, errors)).collect();
            match item.trait_.as_ref().map(|(path, _)| path.clone()) {
                None => Ok(Input::Block(item, methods)),
                Some(path) if side == Side::Remote => Ok(Input::Server(item, path, methods)),
                Some(path) => {
                    let (name, ty) = (types::shown(&path), types::shown(&item.self_ty));
                    let message = format!("`#[{side}]` needs an inherent impl; this implements `{name}`");
                    errors.at(path, message, format!("move the routes to `impl {ty} {{ .. }}`"));
                    Err(item.into_token_stream())
                }
            }
        }
        Ok(Item::Trait(mut item)) if side == Side::Remote => {
            let vis = item.vis.clone();
            let methods = item.items.iter_mut().flat_map(|item| promise(item, &vis, errors)).collect();
            Ok(Input::Contract(item, methods))
        }
        Ok(other) => {
            let (what, place) = kind(&other);
            let name = match &other {
                Item::Struct(item) => item.ident.to_string(),
                Item::Enum(item) => item.ident.to_string(),
                _ => "Room".to_owned(),
            };
            let allowed = if side == Side::Remote { "an `impl` block or a trait" } else { "an `impl` block" };
            let message = format!("`#[{side}]` goes on {allowed}, not on {what}");
            errors.at(place, message, format!("write `#[{side}] impl {name} {{ .. }}`"));
            Err(tokens)
        }
        Err(error) => {
            errors.push(error);
            Err(tokens)
        }
    }
}

/// Names the kind of an item, and gives the word that tells it.
fn kind(item: &Item) -> (&'static str, TokenStream) {
    match item {
        Item::Struct(item) => ("a struct", item.struct_token.to_token_stream()),
        Item::Enum(item) => ("an enum", item.enum_token.to_token_stream()),
        Item::Union(item) => ("a union", item.union_token.to_token_stream()),
        Item::Trait(item) => ("a trait", item.trait_token.to_token_stream()),
        Item::Fn(item) => ("a function", item.sig.fn_token.to_token_stream()),
        Item::Mod(item) => ("a module", item.mod_token.to_token_stream()),
        other => ("this", other.to_token_stream()),
    }
}

/// One for each configuration of the method; nothing for what is no method.
fn method(item: &mut ImplItem, errors: &mut Errors) -> Vec<Written> {
    let ImplItem::Fn(ImplItemFn { attrs, vis, sig, .. }) = item else { return Vec::new() };
    written(attrs, vis, is_private(vis), sig, errors)
}

/// A method of a trait is as visible as the trait, and a route.
fn promise(item: &mut TraitItem, vis: &Visibility, errors: &mut Errors) -> Vec<Written> {
    let TraitItem::Fn(TraitItemFn { attrs, sig, .. }) = item else { return Vec::new() };
    written(attrs, vis, false, sig, errors)
}

fn written(
    attrs: &mut Vec<Attribute>,
    vis: &Visibility,
    private: bool,
    sig: &Signature,
    errors: &mut Errors,
) -> Vec<Written> {
    let own = cfgs(attrs);
    let variants = errors.under(&own, |errors| variants::variants(attrs, sig, errors));
    let (docs, names_deprecated) = (docs(attrs), names_deprecated(attrs));
    let variants = variants.into_iter().map(|Variant { sig, helpers, cfg }| {
        let cfg: Vec<Attribute> = own.iter().cloned().chain(cfg).collect();
        let (route, hook) = errors.under(&cfg, |errors| read(&helpers, errors));
        Written { sig, vis: vis.clone(), private, route, hook, docs: docs.clone(), cfg, names_deprecated }
    });
    variants.collect()
}

type Helpers = (Option<Helper<RouteArgs>>, Option<Helper<Option<Ident>>>);

fn read(helpers: &[Attribute], errors: &mut Errors) -> Helpers {
    let (mut route, mut hook) = (None, None);
    for attr in helpers {
        if attr.path().is_ident("route") {
            let args = RouteArgs::read(attr, errors);
            keep_first(&mut route, attr, args, "write all options in one: `#[route(\"ping\", notify)]`", errors);
        } else {
            let event = args::hook(attr).map_err(|error| errors.push(error)).ok();
            keep_first(&mut hook, attr, event, "write one method for each hook", errors);
        }
    }
    (route, hook)
}

fn keep_first<T>(slot: &mut Option<Helper<T>>, attr: &Attribute, args: T, help: &str, errors: &mut Errors) {
    let path = attr.path().clone();
    match slot {
        Some(_) => errors.at(&path, format!("`#[{}]` was already given", types::shown(&path)), help),
        None => *slot = Some(Helper { path, args }),
    }
}

/// `pub(self)` is a long way to say nothing.
pub(crate) fn is_private(vis: &Visibility) -> bool {
    match vis {
        Visibility::Inherited => true,
        Visibility::Restricted(vis) => vis.path.is_ident("self"),
        _ => false,
    }
}

/// Gives the `#[cfg]` that hold for an item, those inside of `#[cfg_attr]` included: for code about it that stands
/// elsewhere.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    let own = |attr: &Attribute| match attr.path().is_ident("cfg") {
        // As it was written, so that the compiler points at it.
        true => vec![attr.clone()],
        false => variants::predicates([attr]).into_iter().map(|predicate| parse_quote!(#[cfg(#predicate)])).collect(),
    };
    attrs.iter().flat_map(own).collect()
}

/// Whether one of these is `#[deprecated]`, `#[allow(deprecated)]` or `#[expect(deprecated)]`.
pub(crate) fn names_deprecated(attrs: &[Attribute]) -> bool {
    let word = ["deprecated".to_owned()];
    attrs.iter().any(|attr| types::mentions(attr.meta.to_token_stream(), &word).is_some())
}

/// The text of the doc comments. Texts that are not written here (`#[doc = include_str!(..)]`) are left out.
fn docs(attrs: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attr in attrs {
        let Meta::NameValue(pair) = &attr.meta else { continue };
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
            && pair.path.is_ident("doc")
        {
            let text = text.value();
            if text.contains('\n') {
                // A `/** .. */`, indented as the code around it is.
                lines.extend(text.lines().map(|line| line.trim().to_owned()));
            } else {
                lines.push(text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned());
            }
        }
    }
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn one(method: &TokenStream) -> (Written, usize) {
        let mut errors = Errors::default();
        let item: ItemImpl = parse_quote!(impl Room { #method });
        let mut items = item.items;
        let written = super::method(&mut items[0], &mut errors).pop().expect("a method");
        assert!(!items[0].to_token_stream().to_string().contains("# [route"), "helper attributes are taken off");
        (written, errors.count())
    }

    #[test]
    fn options_of_a_route_come_in_any_order() {
        for attr in [
            quote!(#[route("ping", notify, concurrent, cancel, internal, code = 7)]),
            quote!(#[route(code = 7, internal, cancel, "ping", concurrent, notify,)]),
        ] {
            let (written, errors) = one(&quote!(#attr pub fn pong(&self) {}));
            let args = written.route.expect("an attribute").args;
            assert_eq!(args.name.map(|name| name.value()).as_deref(), Some("ping"));
            assert_eq!(args.code.map(|(code, _)| code), Some(7));
            assert_eq!((args.notify.is_some(), args.flags.len(), errors), (true, 3, 0));
        }
        let (written, errors) = one(&quote!(
            #[route]
            pub fn pong(&self) {}
        ));
        assert!(written.route.is_some_and(|route| !route.args.broken) && errors == 0);
    }

    #[test]
    fn docs_are_what_a_reader_sees() {
        let (written, _) = one(&quote! {
            /// Joins the room.
            ///
            ///     indented
            #[doc = include_str!("join.md")]
            #[doc(hidden)]
            #[must_use = "no text of ours"]
            /** A block,
             of two lines. */
            fn join(&self) {}
        });
        assert_eq!(written.docs, "Joins the room.\n\n    indented\nA block,\nof two lines.");
        assert_eq!(
            one(&quote!(
                fn quiet(&self) {}
            ))
            .0
            .docs,
            ""
        );
    }

    /// A `$doc:expr` of a `macro_rules!` arrives in an invisible group.
    #[test]
    fn docs_that_a_macro_passed_on_are_read() {
        let text = proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!("Joins."));
        let (written, _) = one(&quote!(
            #[doc = #text]
            fn join(&self) {}
        ));
        assert_eq!(written.docs, "Joins.");
    }

    #[test]
    fn only_cfg_is_copied() {
        let (written, _) = one(&quote!(
            #[cfg(unix)]
            #[cfg_attr(unix, inline)]
            #[deprecated]
            #[cfg(windows)]
            fn both(&self) {}
        ));
        assert_eq!(written.cfg.len(), 2);
    }

    #[test]
    fn a_cfg_inside_of_cfg_attr_holds_for_the_method() {
        let (written, _) = one(&quote!(
            #[cfg_attr(a, inline, cfg(b))]
            #[cfg_attr(a, cfg_attr(b, cfg(c), cfg(d)))]
            fn both(&self) {}
        ));
        let found: Vec<_> = written.cfg.iter().map(|cfg| cfg.to_token_stream().to_string().replace(' ', "")).collect();
        let nested = |word: &str| format!("#[cfg(any(not(all(a,b)),{word}))]");
        assert_eq!(found, ["#[cfg(any(not(a),b))]".to_owned(), nested("c"), nested("d")]);
    }

    /// A `$name:literal`, an `$option:ident` and an `$attribute:meta` of a `macro_rules!` arrive in invisible groups.
    #[test]
    fn attributes_that_a_macro_passed_on_are_read() {
        let group = |tokens| proc_macro2::Group::new(proc_macro2::Delimiter::None, tokens);
        let (name, code, timeout) = (group(quote!("ping")), group(quote!(7)), group(quote!("2s")));
        let option = group(quote!(concurrent));
        let (written, errors) = one(&quote!(
            #[route(#name, code = #code, timeout = #timeout, #option)]
            pub fn pong(&self) {}
        ));
        let args = written.route.expect("an attribute").args;
        assert_eq!(args.name.map(|name| name.value()).as_deref(), Some("ping"));
        assert_eq!((args.code.map(|code| code.0), args.timeout.map(|timeout| timeout.0)), (Some(7), Some(2000)));
        assert_eq!((args.flags.len(), errors), (1, 0));

        let (whole, hook) = (group(quote!(route("ping"))), group(quote!(init)));
        let (written, errors) = one(&quote!(
            #[#whole]
            pub fn pong(&self) {}
        ));
        assert!(written.route.is_some_and(|route| route.args.name.is_some()) && errors == 0);
        let (written, errors) = one(&quote!(
            #[on(#hook)]
            fn pong(&self) {}
        ));
        assert!(written.hook.is_some_and(|hook| hook.args.is_some_and(|event| event == "init")) && errors == 0);
    }

    #[test]
    fn whatever_is_visible_elsewhere_is_not_private() {
        for (vis, private) in [
            (quote!(), true),
            (quote!(pub(self)), true),
            (quote!(pub), false),
            (quote!(pub(crate)), false),
            (quote!(pub(super)), false),
            (quote!(pub(in crate::chat)), false),
        ] {
            assert_eq!(one(&quote!(#vis fn join(&self) {})).0.private, private, "{vis}");
        }
    }

    #[test]
    fn what_is_no_method_is_left_alone() {
        let mut errors = Errors::default();
        let tokens = quote!(impl Room { const SIZE: usize = 4; members!(); pub fn join(&self) {} });
        let Ok(Input::Block(item, methods)) = input(Side::Handler, tokens.clone(), &mut errors) else {
            panic!("a block")
        };
        assert_eq!((methods.len(), errors.count()), (1, 0));
        assert_eq!(item.to_token_stream().to_string(), tokens.to_string());
    }
}
