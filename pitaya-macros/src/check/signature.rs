//! Rules for the signature of a method: one rule, one function.

use crate::{
    errors::Errors,
    manifest,
    model::{Arg, Method, Side},
    types,
};
use proc_macro2::Ident;
use quote::ToTokens;
use std::fmt::{self, Display};
use syn::{
    Attribute, FnArg, GenericParam, Generics, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type,
    ext::IdentExt,
};

/// `generics` are those of the block; none for a contract, whose methods return no `impl Trait` of their own.
pub(super) fn route(
    side: Side,
    sig: &Signature,
    cfg: Vec<Attribute>,
    generics: Option<&Generics>,
    errors: &mut Errors,
) -> Option<Method> {
    let noun = side.to_string();
    method(&Rules { noun: &noun, ident: &sig.ident, hook: None, generics }, sig, cfg, errors)
}

/// `event` is `None` if the attribute does not say what the hook is for.
pub(super) fn hook(sig: &Signature, event: Option<&Ident>, cfg: Vec<Attribute>, errors: &mut Errors) -> Option<Method> {
    let lent = if event.is_some_and(|event| event.to_string().starts_with("session")) {
        "session: &Session"
    } else {
        "event: &AppEvent"
    };
    method(&Rules { noun: "hook", ident: &sig.ident, hook: Some(lent), generics: None }, sig, cfg, errors)
}

/// Method that is being checked. Displayed as ``handler `join` ``.
struct Rules<'a> {
    noun: &'a str,
    ident: &'a Ident,
    /// For a hook: an argument it could have in place of a payload.
    hook: Option<&'a str>,
    /// Parameters that an `impl Trait` has to name when it borrows nothing.
    generics: Option<&'a Generics>,
}

impl Display for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.noun, self.ident.unraw())
    }
}

fn method(rules: &Rules<'_>, sig: &Signature, cfg: Vec<Attribute>, errors: &mut Errors) -> Option<Method> {
    let before = errors.count();
    rules.qualifiers(sig, errors);
    rules.generics(sig, errors);
    rules.receiver(sig, errors);
    let args = rules.args(sig, errors);
    let output = rules.output(sig, errors);
    let is_async = sig.asyncness.is_some();
    (errors.count() == before).then(|| Method { ident: sig.ident.clone(), cfg, is_async, args, output })
}

impl Rules<'_> {
    fn qualifiers(&self, sig: &Signature, errors: &mut Errors) {
        let mut refuse = |word: &str, token: &dyn ToTokens| {
            let help = format!("remove `{word}`, or make it private and call it from a plain method");
            errors.at(token.to_token_stream(), format!("{self} must not be `{word}`"), help);
        };
        if let Some(token) = &sig.constness {
            refuse("const", token);
        }
        if let Safety::Unsafe(token) = &sig.safety {
            refuse("unsafe", token);
        }
        if let Some(abi) = &sig.abi {
            refuse("extern", abi);
        }
    }

    fn generics(&self, sig: &Signature, errors: &mut Errors) {
        let generic = sig.generics.params.iter().find(|param| !matches!(param, GenericParam::Lifetime(_)));
        if let Some(param) = generic {
            self.cannot_be_generic(param, errors);
        }
    }

    fn cannot_be_generic(&self, place: impl ToTokens, errors: &mut Errors) {
        let why = if self.hook.is_some() { "nobody chooses its types" } else { "a route has one payload type" };
        errors.at(place, format!("{self} cannot be generic: {why}"), "make it private and call it from a concrete one");
    }

    fn receiver(&self, sig: &Signature, errors: &mut Errors) {
        let Some(receiver) = sig.receiver() else {
            let help = if self.hook.is_some() {
                "write `(&self)`"
            } else if self.noun == "remote" {
                "write `(&self)`, or move it to where the attribute is not"
            } else {
                "constructors belong in a plain `impl` block, or make it private"
            };
            return errors.at(&sig.ident, format!("{self} must take `&self`"), help);
        };
        match access(receiver) {
            Access::Shared => {}
            Access::Exclusive => errors.at(
                receiver,
                format!("{self} takes `&mut self`, but components are shared between sessions"),
                "take `&self` and put the state behind a `Mutex`",
            ),
            Access::Owned => errors.at(
                receiver,
                format!("{self} consumes the component, but components are shared between sessions"),
                "take `&self` (or `self: &Arc<Self>`)",
            ),
        }
    }

    /// Borrowed = from the framework, owned = from the wire.
    fn args(&self, sig: &Signature, errors: &mut Errors) -> Vec<Arg> {
        let declared: Vec<String> = sig.generics.lifetimes().map(|param| param.lifetime.ident.to_string()).collect();
        let mut args: Vec<Arg> = Vec::new();
        for arg in &sig.inputs {
            let FnArg::Typed(arg) = arg else { continue };
            let ty = types::peel(&arg.ty);
            if let Some(word) = types::mentions_impl(ty) {
                self.cannot_be_generic(word, errors);
                continue;
            }
            match ty {
                Type::Reference(reference) => {
                    let lent = types::peel(&reference.elem).to_token_stream();
                    if let Some(token) = &reference.mutability {
                        let help = format!("write `&{}`", types::shown(&lent));
                        errors.at(token, format!("{self} can only borrow what the framework shares"), help);
                    }
                    args.push(Arg::Borrowed(types::without_lifetimes(lent, &declared)));
                }
                payload => {
                    let is_second = args.iter().any(|arg| matches!(arg, Arg::Payload(_)));
                    self.payload(&arg.pat, payload, is_second, errors);
                    args.push(Arg::Payload(Box::new(payload.clone())));
                }
            }
        }
        args
    }

    fn payload(&self, name: &syn::Pat, ty: &Type, is_second: bool, errors: &mut Errors) {
        let (noun, name, text) = (self.noun, types::shown(name), ty.to_token_stream());
        if let Some(lent) = self.hook {
            errors.at(
                ty,
                format!("{self} cannot take a payload: there is no message"),
                format!("borrow what it needs, for example `{lent}`"),
            );
        } else if is_second {
            let derive = if noun == "remote" { "prost::Message" } else { "Deserialize" };
            errors.at(
                ty,
                format!("a {noun} takes at most one payload; `{name}` is the second"),
                format!(
                    "put both fields in one struct that derives `{derive}`, or borrow what comes from the framework"
                ),
            );
        } else if let Some(place) = types::borrows(text) {
            errors.at_span(
                place,
                "a payload is owned: the bytes of the message are gone before the answer is",
                "use `String` for `&str`, `Vec<T>` for `&[T]`, or `'static`",
            );
        }
    }

    /// Since the edition of 2024 an `impl Trait` borrows whatever its function does, unless it says otherwise.
    fn captures(&self, ty: &Type, errors: &mut Errors) {
        let Some(generics) = self.generics else { return };
        let Some((word, shown)) = types::capturing_impl(ty.to_token_stream()) else { return };
        if !manifest::impl_trait_borrows() {
            return;
        }
        let named = generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(param.ident.to_string()),
            GenericParam::Const(param) => Some(param.ident.to_string()),
            GenericParam::Lifetime(_) => None,
        });
        let named = named.collect::<Vec<_>>().join(", ");
        errors.at(
            word,
            format!(
                "{self} returns an `impl Trait` that borrows `self`, but its answer is sent after the call has ended"
            ),
            format!("write `{shown} + use<{named}>`"),
        );
    }

    fn output(&self, sig: &Signature, errors: &mut Errors) -> Option<Type> {
        let ReturnType::Type(_, ty) = &sig.output else { return None };
        let ty = types::peel(ty);
        if let Some(place) = types::borrows(ty.to_token_stream()) {
            errors.at_span(
                place,
                format!("{self} returns a borrow, but its answer is sent after the call has ended"),
                "return an owned value, or `&'static`",
            );
        }
        self.captures(ty, errors);
        let is_unit = matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty());
        (!is_unit).then(|| ty.clone())
    }
}

enum Access {
    Shared,
    Exclusive,
    Owned,
}

fn access(receiver: &Receiver) -> Access {
    let mutable = match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
        ReceiverKind::Typed(_, ty) => match types::peel(ty) {
            Type::Reference(reference) => reference.mutability.is_some(),
            _ => return Access::Owned,
        },
        _ => return Access::Owned,
    };
    if mutable { Access::Exclusive } else { Access::Shared }
}
