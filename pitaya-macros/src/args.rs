//! The grammar of the attributes: `#[handler(..)]`, `#[remote(..)]`, `#[route(..)]` and `#[on(..)]`.

use crate::{
    duration,
    errors::{Errors, unknown},
    groups::flat,
    model::Side,
    rename::Rule,
    types,
};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, Error, LitBool, LitInt, LitStr, Meta, Path, Result, Token, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

/// `name = ".."`, `rename_all = ".."`, `codec = C` or `codec(A, B)`, `schema`, `crate = path`, and for remotes
/// `client = Name` or `client = false`; any order, each at most once.
#[derive(Default)]
pub(crate) struct BlockArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) rename_all: Option<Rule>,
    pub(crate) codecs: Option<Vec<Type>>,
    pub(crate) schema: Option<Ident>,
    pub(crate) krate: Option<Path>,
    pub(crate) client: Option<Client>,
    /// The keys, as written.
    pub(crate) keys: Vec<Ident>,
    /// `crate` was given and is no path: whatever is emitted would be about the wrong crate.
    pub(crate) crate_is_lost: bool,
}

/// Option `client`: the typed stub.
pub(crate) enum Client {
    None,
    Named(Ident),
}

impl BlockArgs {
    /// The first five are those of a handler.
    pub(crate) const OPTIONS: [&'static str; 6] = ["name", "rename_all", "codec", "schema", "crate", "client"];

    /// Reads the options. Those that are wrong are in `errors`.
    pub(crate) fn read(side: Side, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        entries(tokens, errors, |input| {
            let key = input.call(Ident::parse_any)?;
            args.keys.push(key.clone());
            match key.to_string().as_str() {
                "name" => once(&mut args.name, &key, value(&key, input, NAME)?),
                "rename_all" => {
                    let rule: LitStr = value(&key, input, RENAME_ALL)?;
                    once(&mut args.rename_all, &key, known_rule(&rule)?)
                }
                "codec" => once(&mut args.codecs, &key, codecs(&key, input)?),
                "schema" => flag(&key, input).and_then(|key| once(&mut args.schema, &key, key.clone())),
                "crate" => {
                    args.crate_is_lost = true;
                    let path = value_with(&key, input, CRATE, Path::parse_mod_style)?;
                    args.crate_is_lost = false;
                    once(&mut args.krate, &key, path)
                }
                "client" if side == Side::Remote => {
                    once(&mut args.client, &key, value_with(&key, input, CLIENT, client)?)
                }
                other => {
                    let known = if side == Side::Remote { &Self::OPTIONS } else { &Self::OPTIONS[..5] };
                    Err(Error::new(key.span(), unknown("option", other, known)))
                }
            }
        });
        args
    }
}

/// `#[route("name", notify, concurrent, cancel, internal, code = 7, timeout = "2s")]`; any order, each at most once, all optional.
#[derive(Default)]
pub(crate) struct RouteArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) code: Option<(u16, Span)>,
    /// Milliseconds, and where they were written.
    pub(crate) timeout: Option<(u64, Span)>,
    pub(crate) notify: Option<Ident>,
    /// `concurrent`, `cancel`, `internal`.
    pub(crate) flags: Vec<Ident>,
    /// Something was wrong and has been reported; what is here is the rest.
    pub(crate) broken: bool,
}

impl RouteArgs {
    const OPTIONS: [&'static str; 6] = ["notify", "concurrent", "cancel", "internal", "code", "timeout"];

    pub(crate) fn read(attr: &Attribute, errors: &mut Errors) -> Self {
        let before = errors.count();
        let mut args = Self::default();
        match &attr.meta {
            Meta::Path(_) => {}
            Meta::List(list) => entries(list.tokens.clone(), errors, |input| args.entry(input)),
            Meta::NameValue(pair) => {
                let name = pair.value.to_token_stream();
                errors.at(pair, "`#[route]` takes its options in parentheses", format!("write `#[route({name})]`"));
            }
        }
        args.broken = errors.count() > before;
        args
    }

    fn entry(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            if self.name.is_some() {
                return Err(Error::new(
                    name.span(),
                    "the name of the route was already given\nhelp: keep one of the two",
                ));
            }
            self.name = Some(name);
            return Ok(());
        }
        let at = input.span();
        let Ok(key) = input.call(Ident::parse_any) else {
            return Err(Error::new(
                at,
                "this is no option of `#[route]`\nhelp: write the name as a string, `#[route(\"join\")]`",
            ));
        };
        match key.to_string().as_str() {
            "notify" => flag(&key, input).and_then(|key| once(&mut self.notify, &key, key.clone())),
            "code" => {
                let number: LitInt = value(&key, input, CODE)?;
                match number.base10_parse() {
                    Ok(code @ 1..) => once(&mut self.code, &key, (code, number.span())),
                    _ => Err(Error::new(number.span(), CODE)),
                }
            }
            "timeout" => {
                let text: LitStr = value(&key, input, TIMEOUT)?;
                match duration::millis(&text.value()) {
                    Ok(millis) => once(&mut self.timeout, &key, (millis, text.span())),
                    Err(why) => Err(Error::new(
                        text.span(),
                        format!(
                            "`timeout` takes a duration, and `{}` {why}\nhelp: write `timeout = \"2s\"`, `\"300ms\"` or `\"1m30s\"`",
                            text.value()
                        ),
                    )),
                }
            }
            "concurrent" | "cancel" | "internal" if self.flags.contains(&key) => Err(already_given(&key)),
            "concurrent" | "cancel" | "internal" => {
                self.flags.push(flag(&key, input)?);
                Ok(())
            }
            "name" => Err(Error::new(
                key.span(),
                "the name of a route is written without a key\nhelp: write `#[route(\"join\")]`",
            )),
            other => Err(Error::new(key.span(), unknown("option", other, &Self::OPTIONS))),
        }
    }
}

/// `#[on(init)]`: one word. Whether it is the name of a hook is a rule, not grammar.
pub(crate) fn hook(attr: &Attribute) -> Result<Ident> {
    let word = attr.meta.require_list().and_then(|list| Ident::parse_any.parse2(flat(list.tokens.clone())));
    word.map_err(|_| {
        Error::new_spanned(
            &attr.meta,
            "`#[on]` takes the name of one hook\nhelp: write `#[on(init)]`, and one method for each hook",
        )
    })
}

const NAME: &str = "`name` takes a string\nhelp: write `name = \"room\"`";
const RENAME_ALL: &str = "`rename_all` takes a string\nhelp: write `rename_all = \"lowercase\"`";
const CODEC: &str = "`codec` takes a type or a list of types\nhelp: write `codec = Json` or `codec(Json, Protobuf)`";
const CRATE: &str = "`crate` takes a path\nhelp: write `crate = my_game::pitaya`";
const CLIENT: &str = "`client` takes a name for the stub, or `false` for none\nhelp: write `client = Rooms`";
const TIMEOUT: &str = "`timeout` takes a duration, as a string\nhelp: write `timeout = \"2s\"`";
const CODE: &str = "`code` takes a number from 1 to 65535\nhelp: write `code = 7`";

/// Reads `entry, entry, ..`. A broken entry is reported and skipped, so that the next one is still read.
pub(crate) fn entries(tokens: TokenStream, errors: &mut Errors, mut entry: impl FnMut(ParseStream<'_>) -> Result<()>) {
    let all = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let read = entry(input);
            let complete = input.is_empty() || input.peek(Token![,]);
            if let Err(error) = read {
                errors.push(error);
            } else if !complete {
                errors.push(input.error("expected `,` between two options"));
            }
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    if let Err(error) = all.parse2(flat(tokens)) {
        errors.push(error);
    }
}

/// A word that stands alone.
pub(crate) fn flag(key: &Ident, input: ParseStream<'_>) -> Result<Ident> {
    if input.is_empty() || !(input.peek(Token![=]) || input.peek(syn::token::Paren)) {
        return Ok(key.clone());
    }
    Err(Error::new(key.span(), format!("`{key}` takes no value\nhelp: write `{key}` for yes, and nothing for no")))
}

/// `= value`; whatever else stands there is answered with `usage`.
pub(crate) fn value<T: Parse>(key: &Ident, input: ParseStream<'_>, usage: &str) -> Result<T> {
    value_with(key, input, usage, T::parse)
}

pub(crate) fn value_with<T>(
    key: &Ident,
    input: ParseStream<'_>,
    usage: &str,
    parse: fn(ParseStream<'_>) -> Result<T>,
) -> Result<T> {
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() || input.peek(Token![,]) {
        return Err(Error::new(key.span(), usage));
    }
    let at = input.span();
    parse(input).map_err(|_| Error::new(at, usage))
}

fn client(input: ParseStream<'_>) -> Result<Client> {
    if !input.peek(LitBool) {
        return input.parse().map(Client::Named);
    }
    let wanted: LitBool = input.parse()?;
    if wanted.value { Err(input.error("there is a stub unless it says `false`")) } else { Ok(Client::None) }
}

fn codecs(key: &Ident, input: ParseStream<'_>) -> Result<Vec<Type>> {
    if !input.peek(syn::token::Paren) {
        return Ok(vec![value(key, input, CODEC)?]);
    }
    let list: Group = input.parse()?;
    let list = Punctuated::<Type, Token![,]>::parse_terminated
        .parse2(list.stream())
        .map_err(|_| Error::new(list.span(), CODEC))?;
    if list.is_empty() {
        return Err(Error::new(key.span(), CODEC));
    }
    let list: Vec<Type> = list.into_iter().collect();
    let texts: Vec<String> = list.iter().map(types::shown).collect();
    match (1..list.len()).find(|i| texts[..*i].contains(&texts[*i])) {
        Some(twice) => {
            Err(Error::new_spanned(&list[twice], "this codec was already given\nhelp: name each codec once"))
        }
        None => Ok(list),
    }
}

fn known_rule(rule: &LitStr) -> Result<Rule> {
    let names = Rule::ALL.map(|(name, _)| name);
    Rule::named(&rule.value()).ok_or_else(|| Error::new(rule.span(), unknown("rule", &rule.value(), &names)))
}

pub(crate) fn once<T>(slot: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    match slot {
        Some(_) => Err(already_given(key)),
        None => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn already_given(key: &Ident) -> Error {
    Error::new(key.span(), format!("`{key}` was already given\nhelp: keep one of the two"))
}
