//! The configurations of one method: `#[cfg]` on its arguments, and `#[cfg_attr]` around its helper attributes.
//!
//! A macro sees the code before `#[cfg]`. A method with `n` conditions of that kind is looked at `2^n` times, once for each
//! way in which they hold or not, and everything that comes of one time (rows, errors) stands under just that condition.

use crate::errors::Errors;
use crate::groups::flat;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, Meta, Signature, Token, parse::Parser, parse_quote, punctuated::Punctuated};

/// 16 configurations of a method: nobody reads more.
const MOST: usize = 4;

/// A method as it is in one configuration.
pub(crate) struct Variant {
    pub(crate) sig: Signature,
    /// `#[route]` and `#[on]`.
    pub(crate) helpers: Vec<Attribute>,
    /// When it is so; none where nothing depends on a condition.
    pub(crate) cfg: Option<Attribute>,
}

/// Takes the helper attributes off, and gives the method in each of its configurations.
pub(crate) fn variants(attrs: &mut Vec<Attribute>, sig: &Signature, errors: &mut Errors) -> Vec<Variant> {
    let mut helpers: Vec<(Option<TokenStream>, Attribute)> = Vec::new();
    attrs.retain_mut(|attr| {
        if is_helper(&attr.meta) {
            helpers.push((None, attr.clone()));
            return false;
        }
        let mut found = Vec::new();
        let rest = without_helpers(&attr.meta, None, &mut found);
        if found.is_empty() {
            return true;
        }
        helpers.extend(found.into_iter().map(|(when, meta)| (Some(when), parse_quote!(#[#meta]))));
        rest.map(|meta| attr.meta = meta).is_some()
    });
    let mut conditions = Conditions::default();
    let helpers: Vec<_> =
        helpers.into_iter().map(|(when, helper)| (when.map(|when| conditions.add(when)), helper)).collect();
    let mut wanted: Vec<Vec<Wanted>> = Vec::new();
    for arg in &sig.inputs {
        wanted.push(predicates(arg_attrs(arg)).into_iter().map(|predicate| conditions.add(predicate)).collect());
    }
    if conditions.0.len() > MOST {
        let text = format!("`{}` depends on more than {MOST} conditions", sig.ident);
        errors.at(&sig.ident, text, "write one method for each configuration, with `#[cfg]` on the method");
        return Vec::new();
    }
    let holds = |mask: usize, wanted: &Wanted| (mask >> wanted.condition & 1 == 1) == wanted.holds;
    let variant = |mask: usize| {
        let mut sig = sig.clone();
        let args = sig.inputs.into_iter().zip(&wanted).filter(|(_, wanted)| wanted.iter().all(|one| holds(mask, one)));
        sig.inputs = args.map(|(arg, _)| arg).collect();
        let own = helpers.iter().filter(|(when, _)| when.as_ref().is_none_or(|one| holds(mask, one)));
        Variant { sig, helpers: own.map(|(_, helper)| helper.clone()).collect(), cfg: conditions.cfg(mask) }
    };
    (0..1 << conditions.0.len()).map(variant).collect()
}

/// Gives the conditions under which something with these attributes is there. `#[cfg_attr(a, cfg(b))]` asks for `b` where
/// `a` holds, so it is `any(not(a), b)`.
pub(crate) fn predicates<'a>(attrs: impl IntoIterator<Item = &'a Attribute>) -> Vec<TokenStream> {
    let mut found = Vec::new();
    for attr in attrs {
        conditions_in(&attr.meta, None, &mut found);
    }
    found
}

fn conditions_in(meta: &Meta, around: Option<&TokenStream>, found: &mut Vec<TokenStream>) {
    let Meta::List(list) = meta else { return };
    if list.path.is_ident("cfg") {
        let own = flat(list.tokens.clone());
        found.push(around.map_or_else(|| own.clone(), |when| quote!(any(not(#when), #own))));
    } else if list.path.is_ident("cfg_attr")
        && let Some((predicate, attributes)) = taken_apart(list.tokens.clone())
    {
        let when = both(around, &predicate);
        attributes.iter().for_each(|attribute| conditions_in(attribute, Some(&when), found));
    }
}

/// The condition of a `cfg_attr` inside of another one.
fn both(around: Option<&TokenStream>, predicate: &TokenStream) -> TokenStream {
    around.map_or_else(|| predicate.clone(), |around| quote!(all(#around, #predicate)))
}

fn is_helper(meta: &Meta) -> bool {
    meta.path().is_ident("route") || meta.path().is_ident("on")
}

/// The `cfg_attr` without our attributes, which go to `found` with their condition; `None` if it was about nothing else.
fn without_helpers(meta: &Meta, around: Option<&TokenStream>, found: &mut Vec<(TokenStream, Meta)>) -> Option<Meta> {
    let keep = || Some(meta.clone());
    let Meta::List(list) = meta else { return keep() };
    if !list.path.is_ident("cfg_attr") {
        return keep();
    }
    let Some((predicate, attributes)) = taken_apart(list.tokens.clone()) else { return keep() };
    let when = both(around, &predicate);
    let mut rest = Vec::new();
    for attribute in &attributes {
        if is_helper(attribute) {
            found.push((when.clone(), attribute.clone()));
        } else {
            rest.extend(without_helpers(attribute, Some(&when), found));
        }
    }
    (!rest.is_empty()).then(|| parse_quote!(cfg_attr(#predicate, #(#rest),*)))
}

/// The predicate of a `cfg_attr`, and its attributes.
fn taken_apart(tokens: TokenStream) -> Option<(TokenStream, Punctuated<Meta, Token![,]>)> {
    let mut tokens = flat(tokens).into_iter();
    let is_comma = |tree: &TokenTree| matches!(tree, TokenTree::Punct(p) if p.as_char() == ',');
    let predicate: TokenStream = tokens.by_ref().take_while(|tree| !is_comma(tree)).collect();
    let attributes = Punctuated::parse_terminated.parse2(tokens.collect()).ok()?;
    Some((predicate, attributes))
}

fn arg_attrs(arg: &FnArg) -> &[Attribute] {
    match arg {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(arg) => &arg.attrs,
    }
}

/// The predicates that a method depends on, each once: `not(unix)` is `unix` that does not hold.
#[derive(Default)]
struct Conditions(Vec<TokenStream>);

/// That a condition holds, or that it does not.
struct Wanted {
    condition: usize,
    holds: bool,
}

impl Conditions {
    fn add(&mut self, predicate: TokenStream) -> Wanted {
        let (predicate, holds) = match negated(&predicate) {
            Some(inner) => (inner, false),
            None => (predicate, true),
        };
        let text = predicate.to_string();
        let known = self.0.iter().position(|known| known.to_string() == text);
        let condition = known.unwrap_or_else(|| {
            self.0.push(predicate);
            self.0.len() - 1
        });
        Wanted { condition, holds }
    }

    /// `#[cfg(all(unix, not(windows)))]`
    fn cfg(&self, mask: usize) -> Option<Attribute> {
        let each = self.0.iter().enumerate().map(|(i, predicate)| match (mask >> i) & 1 {
            1 => predicate.to_token_stream(),
            _ => quote!(not(#predicate)),
        });
        match self.0.len() {
            0 => None,
            1 => Some(parse_quote!(#[cfg(#(#each)*)])),
            _ => Some(parse_quote!(#[cfg(all(#(#each),*))])),
        }
    }
}

/// The `unix` of `not(unix)`.
fn negated(predicate: &TokenStream) -> Option<TokenStream> {
    let mut trees = predicate.clone().into_iter();
    match (trees.next(), trees.next(), trees.next()) {
        (Some(TokenTree::Ident(word)), Some(TokenTree::Group(group)), None) if word == "not" => {
            let mut inner = group.stream().into_iter().collect::<Vec<_>>();
            inner.pop_if(|last| matches!(last, TokenTree::Punct(p) if p.as_char() == ','));
            Some(inner.into_iter().collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{ImplItemFn, parse_quote};

    /// Each configuration: its condition, the arguments, the helper attributes; and what is left on the method.
    fn seen(method: ImplItemFn) -> (Vec<(String, String, String)>, String) {
        let (mut attrs, mut errors) = (method.attrs, Errors::default());
        let text = |tokens: TokenStream| tokens.to_string().replace(' ', "");
        let all = variants(&mut attrs, &method.sig, &mut errors).into_iter().map(|variant| {
            let args = variant.sig.inputs.iter().map(|arg| match arg {
                FnArg::Typed(arg) => arg.pat.to_token_stream().to_string(),
                FnArg::Receiver(_) => "self".to_owned(),
            });
            let helpers = variant.helpers.iter().map(ToTokens::to_token_stream).collect();
            (text(variant.cfg.to_token_stream()), args.collect::<Vec<_>>().join(","), text(helpers))
        });
        let all = all.collect();
        assert_eq!(errors.count(), 0);
        (all, text(quote!(#(#attrs)*)))
    }

    fn row(cfg: &str, args: &str, helpers: &str) -> (String, String, String) {
        (cfg.to_owned(), args.to_owned(), helpers.to_owned())
    }

    #[test]
    fn a_method_without_conditions_is_one() {
        let (all, left) = seen(parse_quote!(
            #[route(notify)]
            #[cfg(unix)]
            #[inline]
            pub fn join(&self, msg: Join) {}
        ));
        assert_eq!(all, [row("", "self,msg", "#[route(notify)]")]);
        assert_eq!(left, "#[cfg(unix)]#[inline]");
    }

    #[test]
    fn a_condition_and_its_negation_are_one_condition() {
        let (all, _) = seen(parse_quote!(
            pub fn join(&self, #[cfg(unix)] a: A, #[cfg(not(unix))] b: B, c: &C) {}
        ));
        assert_eq!(all, [row("#[cfg(not(unix))]", "self,b,c", ""), row("#[cfg(unix)]", "self,a,c", "")]);
    }

    #[test]
    fn a_cfg_inside_of_cfg_attr_is_a_condition_of_the_argument() {
        let (all, _) = seen(parse_quote!(
            pub fn join(&self, #[cfg_attr(unix, cfg(test))] a: A, #[cfg_attr(unix, cfg_attr(test, cfg(b)))] b: B) {}
        ));
        let args: Vec<_> = all.iter().map(|(_, args, _)| args.as_str()).collect();
        assert_eq!(args, ["self", "self,a", "self,b", "self,a,b"]);
        assert_eq!(all[1].0, "#[cfg(all(any(not(unix),test),not(any(not(all(unix,test)),b))))]");
    }

    /// A `$condition:meta` of a `macro_rules!` arrives in an invisible group.
    #[test]
    fn conditions_that_a_macro_passed_on_are_the_same_ones() {
        let group = |tokens| proc_macro2::Group::new(proc_macro2::Delimiter::None, tokens);
        let (unix, windows) = (group(quote!(unix)), group(quote!(not(unix))));
        let (all, _) = seen(parse_quote!(
            #[cfg_attr(#unix, route("x"))]
            pub fn join(&self, #[cfg(#unix)] a: A, #[cfg(#windows)] b: B) {}
        ));
        assert_eq!(all, [row("#[cfg(not(unix))]", "self,b", ""), row("#[cfg(unix)]", "self,a", "#[route(\"x\")]")]);
    }

    #[test]
    fn conditions_multiply() {
        let (all, _) = seen(parse_quote!(
            pub fn join(
                &self,
                #[cfg(unix)] a: A,
                #[cfg(windows)]
                #[cfg(test)]
                b: B,
            ) {
            }
        ));
        let args: Vec<_> = all.iter().map(|(_, args, _)| args.as_str()).collect();
        assert_eq!(args, ["self", "self,a", "self", "self,a", "self", "self,a", "self,b", "self,a,b"]);
        assert_eq!(all[6].0, "#[cfg(all(not(unix),windows,test))]");
    }

    #[test]
    fn helpers_are_taken_out_of_cfg_attr() {
        let (all, left) = seen(parse_quote!(
            #[cfg_attr(test, inline, route("x"))]
            #[cfg_attr(unix, cfg_attr(test, on(init)))]
            #[cfg_attr(test, must_use)]
            fn join(&self) {}
        ));
        assert_eq!(left, "#[cfg_attr(test,inline)]#[cfg_attr(test,must_use)]");
        let helpers: Vec<_> = all.iter().map(|(_, _, helpers)| helpers.as_str()).collect();
        assert_eq!(helpers, ["", "#[route(\"x\")]", "#[on(init)]", "#[route(\"x\")]#[on(init)]"]);
        assert_eq!(all[2].0, "#[cfg(all(not(test),all(unix,test)))]");
    }

    #[test]
    fn too_many_conditions_are_refused() {
        let method: ImplItemFn = parse_quote!(
            fn join(&self, #[cfg(a)] a: A, #[cfg(b)] b: A, #[cfg(c)] c: A, #[cfg(d)] d: A, #[cfg(e)] e: A) {}
        );
        let mut errors = Errors::default();
        assert!(variants(&mut Vec::new(), &method.sig, &mut errors).is_empty());
        assert_eq!(errors.count(), 1);
    }
}
