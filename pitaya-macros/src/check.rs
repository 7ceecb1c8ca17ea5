//! The rules. Each looks at what was written and either adds an error or contributes to the model.

mod client;
mod contract;
mod names;
mod signature;

pub(crate) use contract::{contract, server};

use crate::{
    args::BlockArgs,
    errors::{Errors, unknown},
    manifest,
    model::{Component, HOOKS, Hook, Kind, Route, Side, Table},
    parse::{self, Helper, Written},
    rename::Rule,
    types,
};
use proc_macro2::Ident;
use quote::{ToTokens, format_ident, quote};
use std::collections::HashMap;
use syn::{Error, GenericParam, Generics, ImplItem, ItemImpl, Path, Type, ext::IdentExt, parse_quote};

/// The core has sets of up to three.
const MOST_CODECS: usize = 3;

/// The component with all methods that are right; `None` if nothing can be emitted for the block as a whole.
pub(crate) fn component(
    side: Side,
    args: BlockArgs,
    item: &ItemImpl,
    methods: Vec<Written>,
    errors: &mut Errors,
) -> Option<Component> {
    let ty = &*item.self_ty;
    let exposed = item.items.iter().any(|item| matches!(item, ImplItem::Fn(method) if !parse::is_private(&method.vis)));
    if !exposed && methods.iter().all(Written::is_helper) {
        let name = types::shown(ty);
        errors.at(
            ty,
            format!("`#[{side}] impl {name}` exposes no routes"),
            "mark methods `pub` (or `pub(crate)`), or remove the attribute",
        );
    }
    let names_deprecated = parse::names_deprecated(&item.attrs) || methods.iter().any(|m| m.names_deprecated);
    let (mut routes, mut hooks) = (Vec::new(), Vec::new());
    for method in methods {
        let cfg = method.cfg.clone();
        errors.under(&cfg, |errors| match method {
            Written { hook: Some(_), .. } => hooks.extend(hook(method, errors)),
            Written { private: false, .. } => {
                routes.extend(route(side, args.rename_all, method, Some(&item.generics), errors));
            }
            Written { route: Some(route), sig, .. } => unexposed(&route, &sig.ident, errors),
            _ => {}
        });
    }
    let type_name = type_name(side, ty, errors);
    let owned = owns_itself(item, errors);
    let krate = args.krate.unwrap_or_else(manifest::runtime);
    let codecs_given = args.codecs.is_some();
    let codecs = codecs(side, args.codecs, &krate, &item.generics, errors);
    let type_name = type_name?;
    let service = names::service(args.name.as_ref(), ty, &type_name, errors);
    let routes = unique(side, names::fitting(&service, routes, errors), errors);
    let mut table = Table {
        side,
        krate,
        codecs: codecs?,
        codecs_given,
        schema: args.schema.map(|option| option.span()),
        service,
        type_name,
        routes,
        hooks,
        owner: quote!(Self),
        cfg: parse::cfgs(&item.attrs),
        names_deprecated,
        stub: None,
    };
    if side == Side::Remote {
        table.stub = client::stub(&table, args.client, &item.generics, errors);
    }
    let component = Component { table, ty: ty.clone(), generics: item.generics.clone() };
    (owned && !args.crate_is_lost).then_some(component)
}

impl Written {
    /// Nothing of the framework's business.
    fn is_helper(&self) -> bool {
        self.private && self.route.is_none() && self.hook.is_none()
    }
}

fn route(
    side: Side,
    rule: Option<Rule>,
    written: Written,
    generics: Option<&Generics>,
    errors: &mut Errors,
) -> Option<Route> {
    let Written { sig, vis, route, docs, cfg, .. } = written;
    let method = signature::route(side, &sig, cfg, generics, errors);
    let args = route.map(|route| route.args).unwrap_or_default();
    let name = names::route(args.name.as_ref(), &sig.ident, rule, errors);
    let method = method.filter(|_| !args.broken)?;
    if side == Side::Remote {
        client::only_names(&args, errors)?;
    }
    if args.notify.is_some() {
        nobody_listens(&method.output, "a notify", "drop the return type or `notify`", errors)?;
    }
    let place = args.name.as_ref().map_or_else(|| sig.ident.span(), syn::LitStr::span);
    let kind = if args.notify.is_some() || method.output.is_none() { Kind::Notify } else { Kind::Request };
    if let Some((_, place)) = args.timeout.filter(|_| kind == Kind::Notify) {
        errors.at_span(place, "a notify has no answer to wait for", "drop `timeout`");
        return None;
    }
    let timeout = args.timeout.map(|(millis, _)| millis);
    Some(Route { method, vis, name: name?, place, kind, docs, code: args.code, timeout, flags: args.flags })
}

fn hook(written: Written, errors: &mut Errors) -> Option<Hook> {
    let Written { sig, route, hook, cfg, .. } = written;
    let name = sig.ident.unraw();
    if let Some(route) = route {
        errors.at(
            route.path,
            format!("`{name}` is a hook and cannot be a route too"),
            "remove `#[route]`, or expose a second method",
        );
    }
    let event = hook.and_then(|hook| hook.args).and_then(|event| known_hook(event, errors));
    let method = signature::hook(&sig, event.as_ref(), cfg, errors)?;
    let what = format!("hook `{name}`");
    nobody_listens(&method.output, &what, "return nothing, or a `Result<()>`", errors)?;
    Some(Hook { method, event: event? })
}

fn known_hook(event: Ident, errors: &mut Errors) -> Option<Ident> {
    let word = event.to_string();
    if HOOKS.contains(&word.as_str()) {
        return Some(event);
    }
    errors.push(Error::new(event.span(), unknown("hook", &word, &HOOKS)));
    None
}

/// Only what is certain from the syntax: a path may be an alias of `Result<(), E>`, so types decide about paths.
fn nobody_listens(output: &Option<Type>, who: &str, help: &str, errors: &mut Errors) -> Option<()> {
    match output {
        Some(ty) if types::is_plain_value(ty) => {
            errors.at(ty, format!("{who} has nobody to send `{}` to", types::shown(ty)), help);
            None
        }
        _ => Some(()),
    }
}

fn unexposed<T>(route: &Helper<T>, method: &Ident, errors: &mut Errors) {
    let path: &Path = &route.path;
    errors.at(
        path,
        "`#[route]` has no effect on a private method",
        format!("make `{method}` `pub` (or `pub(crate)`) to expose it"),
    );
}

/// Keeps the routes whose name and code are new. Routes that `#[cfg]` may keep apart are left to the check after `#[cfg]`.
fn unique(side: Side, routes: Vec<Route>, errors: &mut Errors) -> Vec<Route> {
    let (mut names, mut codes) = (HashMap::new(), HashMap::new());
    let mut unique = Vec::new();
    for route in routes {
        if route.method.cfg.is_empty() {
            let name = &route.name;
            if let Some(first) = names.get(name) {
                errors.at_span(
                    route.place,
                    format!("route `{name}` is declared twice in this impl"),
                    "rename one with `#[route(\"..\")]`",
                );
                errors.push(Error::new(*first, format!("{side} `{name}` is first declared here")));
                continue;
            }
            if let Some((code, place)) = route.code {
                if let Some(owner) = codes.get(&code) {
                    errors.at_span(
                        place,
                        format!("code {code} is already taken by route `{owner}`"),
                        "give each route a code of its own",
                    );
                    continue;
                }
                codes.insert(code, route.name.clone());
            }
            names.insert(route.name.clone(), route.place);
        }
        unique.push(route);
    }
    unique
}

fn type_name(side: Side, ty: &Type, errors: &mut Errors) -> Option<String> {
    let name = types::name(ty).map(|ident| ident.unraw().to_string());
    if name.is_none() {
        errors.at(
            ty,
            format!("`#[{side}]` needs a type that has a name"),
            "write `impl Room { .. }` with a struct or an enum",
        );
    }
    name
}

/// A component is shared by all sessions for as long as the app lives.
fn owns_itself(item: &ItemImpl, errors: &mut Errors) -> bool {
    let text = "a component cannot borrow: it lives as long as the app";
    let help = "own the data, or share it in an `Arc`";
    if let Some(lifetime) = item.generics.params.iter().find(|param| matches!(param, GenericParam::Lifetime(_))) {
        errors.at(lifetime, text, help);
    } else if let Some(place) = types::borrows(item.self_ty.to_token_stream()) {
        errors.at_span(place, text, help);
    } else {
        return true;
    }
    false
}

fn codecs(
    side: Side,
    given: Option<Vec<Type>>,
    krate: &Path,
    generics: &Generics,
    errors: &mut Errors,
) -> Option<Vec<Type>> {
    let Some(codecs) = given else {
        let codec = format_ident!("{}", side.codec());
        return Some(vec![parse_quote!(#krate::#codec)]);
    };
    let most = if side == Side::Remote { 1 } else { MOST_CODECS };
    match codecs.get(most) {
        Some(second) if side == Side::Remote => {
            let text = "remotes speak one serializer: a caller has no way to choose";
            errors.at(second, text, "write `codec = Protobuf`, or expose the others with a second component");
        }
        Some(fourth) => {
            let text = format!("a block speaks at most {most} serializers");
            errors.at(fourth, text, "take one out, or expose the routes with a second component");
        }
        None => {}
    }
    let codecs: Vec<Type> = codecs.into_iter().take(most).collect();
    let mut names: Vec<String> = generics.type_params().map(|param| param.ident.to_string()).collect();
    names.push("Self".to_owned());
    let generic = codecs.iter().find_map(|codec| types::mentions(codec.to_token_stream(), &names));
    if let Some(name) = generic {
        errors.at(
            &name,
            format!("the codec of a block must be a concrete type, not `{name}`"),
            "write `codec = Json`, or the name of your codec",
        );
        return None;
    }
    Some(codecs)
}
