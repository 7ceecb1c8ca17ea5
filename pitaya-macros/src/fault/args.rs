//! The grammar of `#[fault(..)]` on a type, a variant and a field.

use crate::args::{entries, flag, once, value, value_with};
use crate::errors::{Errors, unknown};
use proc_macro2::Ident;
use syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Meta, Path, Result, Token, ext::IdentExt, parse::ParseStream};

/// `code = ".."`, `message = ".."` of a variant.
#[derive(Default)]
pub(super) struct ItemArgs {
    pub(super) code: Option<Expr>,
    pub(super) message: Option<LitStr>,
    /// Something was wrong and has been reported.
    pub(super) broken: bool,
}

/// Options on the type: those of its only case or of all cases, and `crate = path`.
#[derive(Default)]
pub(super) struct TypeArgs {
    pub(super) case: ItemArgs,
    pub(super) krate: Option<Path>,
    pub(super) crate_is_lost: bool,
    pub(super) broken: bool,
}

/// `metadata`, `metadata = "key"` of a field.
#[derive(Default)]
pub(super) struct FieldArgs {
    pub(super) metadata: Option<Given>,
}

pub(super) struct Given {
    pub(super) place: Ident,
    pub(super) key: Option<LitStr>,
}

const CODE: &str = "`code` takes a string or a constant\nhelp: write `code = \"GAME-1\"`";
const MESSAGE: &str = "`message` takes a string\nhelp: write `message = \"the room is full\"`";
const CRATE: &str = "`crate` takes a path\nhelp: write `crate = my_game::pitaya`";
const METADATA: &str =
    "`metadata` takes the key as a string, or nothing for the field's name\nhelp: write `metadata = \"key\"`";

impl ItemArgs {
    const OPTIONS: [&'static str; 2] = ["code", "message"];

    pub(super) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let (before, mut args) = (errors.count(), Self::default());
        each(attrs, errors, |input| {
            let key = input.call(Ident::parse_any)?;
            args.entry(&key, input, &Self::OPTIONS)
        });
        args.broken = errors.count() > before;
        args
    }

    fn entry(&mut self, key: &Ident, input: ParseStream<'_>, known: &[&str]) -> Result<()> {
        match key.to_string().as_str() {
            "code" if known.contains(&"code") => once(&mut self.code, key, value_with(key, input, CODE, code)?),
            "message" if known.contains(&"message") => once(&mut self.message, key, value(key, input, MESSAGE)?),
            other => Err(Error::new(key.span(), unknown("option", other, known))),
        }
        .and_then(|()| self.check())
    }

    fn check(&self) -> Result<()> {
        match &self.code {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) if text.value().is_empty() => {
                Err(Error::new(text.span(), "a code cannot be empty\nhelp: write `code = \"GAME-1\"`"))
            }
            _ => Ok(()),
        }
    }
}

impl TypeArgs {
    pub(super) const OF_A_STRUCT: [&'static str; 3] = ["code", "message", "crate"];
    /// A text for every variant would say nothing.
    pub(super) const OF_AN_ENUM: [&'static str; 2] = ["code", "crate"];

    pub(super) fn read(attrs: &[Attribute], known: &[&str], errors: &mut Errors) -> Self {
        let (before, mut args) = (errors.count(), Self::default());
        each(attrs, errors, |input| {
            let key = input.call(Ident::parse_any)?;
            if key != "crate" {
                return args.case.entry(&key, input, known);
            }
            args.crate_is_lost = true;
            let path = value_with(&key, input, CRATE, Path::parse_mod_style)?;
            args.crate_is_lost = false;
            once(&mut args.krate, &key, path)
        });
        args.broken = errors.count() > before;
        args.case.broken = args.broken;
        args
    }
}

impl FieldArgs {
    pub(super) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut args = Self::default();
        each(attrs, errors, |input| {
            let key = input.call(Ident::parse_any)?;
            if key != "metadata" {
                return Err(Error::new(key.span(), unknown("option", &key.to_string(), &["metadata"])));
            }
            let text = if input.peek(Token![=]) {
                Some(value(&key, input, METADATA)?)
            } else {
                flag(&key, input).map_err(|_| Error::new(key.span(), METADATA))?;
                None
            };
            once(&mut args.metadata, &key, Given { place: key.clone(), key: text })
        });
        args
    }
}

/// The entries of all `#[fault(..)]` of one place; several attributes are as good as one.
fn each(attrs: &[Attribute], errors: &mut Errors, mut entry: impl FnMut(ParseStream<'_>) -> Result<()>) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("fault")) {
        match &attr.meta {
            Meta::List(list) => entries(list.tokens.clone(), errors, &mut entry),
            other => {
                let help = "write `#[fault(code = \"GAME-1\")]`";
                errors.at(other, "`#[fault]` takes its options in parentheses", help);
            }
        }
    }
}

/// A string, or the path of a constant.
fn code(input: ParseStream<'_>) -> Result<Expr> {
    match input.parse()? {
        code @ (Expr::Path(_) | Expr::Lit(ExprLit { lit: Lit::Str(_), .. })) => Ok(code),
        other => Err(Error::new_spanned(other, CODE)),
    }
}
