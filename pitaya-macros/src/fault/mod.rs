//! `#[derive(Fault)]`: an error type says its code. `args` reads the attributes, `message` the captured fields of a text,
//! `emit` writes the implementations; here are the rules.

mod args;
mod emit;
mod message;

use crate::errors::{Errors, unknown};
use crate::parse;
use args::{FieldArgs, ItemArgs, TypeArgs};
use message::Message;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, Expr, Fields, GenericParam, Generics, Item, Path, ext::IdentExt, spanned::Spanned};

/// An error type with all that is right of it.
pub(crate) struct Fault {
    krate: Path,
    ident: Ident,
    cases: Vec<Case>,
    /// The type or a part of it is deprecated, which is no news where it is declared.
    names_deprecated: bool,
}

/// A variant, or the whole of a struct.
struct Case {
    /// `Self::Full`, or `Self`.
    path: TokenStream,
    /// None where it is missing, which has been reported.
    code: Option<Expr>,
    message: Text,
    metadata: Vec<Metadata>,
}

/// Where the text of a case comes from.
enum Text {
    Own(Message),
    /// `Display` of the type.
    Displayed,
    /// It was written and is wrong, which has been reported.
    Lost,
}

struct Metadata {
    key: String,
    field: Field,
}

/// A field and the name it is bound to.
#[derive(Clone)]
struct Field {
    member: TokenStream,
    binding: Ident,
}

pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let fault = match syn::parse2(input) {
        Ok(item) => fault(item, &mut errors),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let implementations = fault.map(|fault| emit::implementations(&fault));
    quote!(#implementations #errors)
}

/// The fault; `None` if nothing can be emitted for the type.
fn fault(item: Item, errors: &mut Errors) -> Option<Fault> {
    let (ident, args, cases, names_deprecated) = match item {
        Item::Struct(item) => {
            let deprecated = names_deprecated(&item.attrs, &item.fields);
            let args = TypeArgs::read(&item.attrs, &TypeArgs::OF_A_STRUCT, errors);
            concrete(&item.ident, &item.generics, errors)?;
            let name = item.ident.unraw().to_string();
            if args.case.code.is_none() && !args.broken {
                no_code(&item.ident, &format!("`{name}`"), "on it", errors);
            }
            let case = case(quote!(Self), &name, None, &args.case, &item.fields, errors);
            (item.ident, args, vec![case], deprecated)
        }
        Item::Enum(item) => {
            let deprecated = parse::names_deprecated(&item.attrs)
                || item.variants.iter().any(|variant| names_deprecated(&variant.attrs, &variant.fields));
            let args = TypeArgs::read(&item.attrs, &TypeArgs::OF_AN_ENUM, errors);
            concrete(&item.ident, &item.generics, errors)?;
            let mut cases = Vec::new();
            for variant in &item.variants {
                let (ident, name) = (&variant.ident, variant.ident.unraw().to_string());
                let own = ItemArgs::read(&variant.attrs, errors);
                if own.code.is_none() && args.case.code.is_none() && !own.broken && !args.broken {
                    let all = format!("on it, or on `{}` for every variant", item.ident.unraw());
                    no_code(ident, &format!("the variant `{name}`"), &all, errors);
                }
                let path = quote!(Self::#ident);
                cases.push(case(path, &name, args.case.code.as_ref(), &own, &variant.fields, errors));
            }
            (item.ident, args, cases, deprecated)
        }
        other => {
            errors.at(
                other,
                "`#[derive(Fault)]` goes on a struct or an enum",
                "write `#[derive(Fault)] #[fault(code = \"GAME-1\")] struct Full;`",
            );
            return None;
        }
    };
    let krate = args.krate.unwrap_or_else(crate::manifest::runtime);
    (!args.crate_is_lost).then_some(Fault { krate, ident, cases, names_deprecated })
}

fn names_deprecated(attrs: &[Attribute], fields: &Fields) -> bool {
    parse::names_deprecated(attrs) || fields.iter().any(|field| parse::names_deprecated(&field.attrs))
}

/// A row is found by the id of one type; a type parameter or a lifetime would be many.
fn concrete(ident: &Ident, generics: &Generics, errors: &mut Errors) -> Option<()> {
    let Some(param) = generics.params.first() else { return Some(()) };
    let (name, (_, arguments, _)) = (ident.unraw(), generics.split_for_impl());
    let ty = crate::types::shown(quote!(#name #arguments));
    let taken = match param {
        GenericParam::Lifetime(param) => param.lifetime.to_string(),
        GenericParam::Type(param) => param.ident.to_string(),
        GenericParam::Const(param) => param.ident.to_string(),
    };
    errors.at(
        param,
        "a fault cannot be generic: its code is found by its type",
        format!(
            "take `{taken}` out; or drop the derive and write `.map_err(|error: {ty}| Error::new(\"GAME-1\", ..))`"
        ),
    );
    None
}

fn no_code(place: impl ToTokens, who: &str, place_in_words: &str, errors: &mut Errors) {
    errors.at(place, format!("{who} has no code"), format!("write `#[fault(code = \"GAME-1\")]` {place_in_words}"));
}

fn case(
    path: TokenStream,
    name: &str,
    code_of_all: Option<&Expr>,
    args: &ItemArgs,
    fields: &Fields,
    errors: &mut Errors,
) -> Case {
    let members: Vec<Field> = fields.iter().enumerate().map(|(i, field)| bound(i, field)).collect();
    let names: Vec<String> = fields
        .iter()
        .enumerate()
        .map(|(i, field)| field.ident.as_ref().map_or_else(|| i.to_string(), |ident| ident.unraw().to_string()))
        .collect();
    let mut metadata: Vec<Metadata> = Vec::new();
    for ((field, bound), member) in fields.iter().zip(&members).zip(&names) {
        let Some(given) = FieldArgs::read(&field.attrs, errors).metadata else { continue };
        let key = match (given.key, &field.ident) {
            (Some(key), _) => key.value(),
            (None, Some(_)) => member.clone(),
            (None, None) => {
                errors.at(given.place, "a field without a name needs a key", "write `#[fault(metadata = \"key\")]`");
                continue;
            }
        };
        if metadata.iter().any(|other| other.key == key) {
            errors.at(
                given.place,
                format!("the metadata `{key}` was already given"),
                "give each field a key of its own",
            );
            continue;
        }
        metadata.push(Metadata { key, field: bound.clone() });
    }
    let code = args.code.as_ref().or(code_of_all).cloned();
    let message = args.message.as_ref().map(|text| {
        Message::read(text, |capture| match names.iter().position(|name| name == capture) {
            Some(i) => Ok(members[i].clone()),
            None if names.is_empty() => {
                Err(format!("`{name}` has no field `{capture}`\nhelp: write `{{{{` for a brace"))
            }
            None => {
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                Err(unknown("field", capture, &known))
            }
        })
    });
    let message = match message {
        Some(Ok(message)) => Text::Own(message),
        Some(Err(error)) => {
            errors.push(error);
            Text::Lost
        }
        None if args.broken => Text::Lost,
        None => Text::Displayed,
    };
    Case { path, code, message, metadata }
}

/// Bindings have names of ours: a field may be called like a constant that is in scope, which would be a pattern.
fn bound(i: usize, field: &syn::Field) -> Field {
    let index = syn::Index::from(i);
    let member = field.ident.as_ref().map_or_else(|| index.to_token_stream(), ToTokens::to_token_stream);
    Field { member, binding: format_ident!("__field{i}", span = crate::emit::at(field.ty.span())) }
}
