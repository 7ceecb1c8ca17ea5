//! The rules of the typed stub: what it is called, who sees it, which remotes it can name.

use crate::{
    args::{Client, RouteArgs},
    errors::Errors,
    model::{Kind, Route, Stub, Table},
    types,
};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident};
use syn::{GenericParam, Generics, Visibility, ext::IdentExt};

/// The stub's own methods, and what a remote of that name could be called instead.
const RESERVED: [(&str, &str); 3] = [("new", "create"), ("on", "turn_on"), ("within", "inside")];

/// `None` when none is wanted, or when it could not call anything.
pub(super) fn stub(table: &Table, client: Option<Client>, generics: &Generics, errors: &mut Errors) -> Option<Stub> {
    let name = match client {
        Some(Client::None) => return None,
        Some(Client::Named(name)) => name,
        None => format_ident!("{}Client", table.type_name),
    };
    let mut unknown = vec!["Self".to_owned()];
    unknown.extend(generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(param.ident.to_string()),
        GenericParam::Const(param) => Some(param.ident.to_string()),
        GenericParam::Lifetime(_) => None,
    }));
    let (all, mut routes) = (&table.routes, Vec::new());
    for (i, route) in all.iter().enumerate() {
        let callable = errors.under(&route.method.cfg, |errors| {
            let (free, known) = (is_free(&name, route, errors), is_known(&unknown, route, errors));
            free && known
        });
        if callable {
            routes.push(i);
        }
    }
    let vis = all.iter().map(|route| &route.vis).max_by_key(|vis| width(vis))?.clone();
    Some(Stub { name, vis, routes })
}

/// A remote's name is what its stub calls; the other options are about clients.
pub(super) fn only_names(args: &RouteArgs, errors: &mut Errors) -> Option<()> {
    let before = errors.count();
    let flags = args.flags.iter().map(|flag| (flag.to_string(), flag.span()));
    let code = args.code.map(|(_, place)| ("code".to_owned(), place));
    let timeout = args.timeout.map(|(_, place)| ("timeout".to_owned(), place));
    for (option, place) in flags.chain(code).chain(timeout) {
        let text = format!("`{option}` has no effect on a remote: it is about the messages of clients");
        errors.at_span(place, text, "remove it");
    }
    (errors.count() == before).then_some(())
}

fn is_free(stub: &Ident, route: &Route, errors: &mut Errors) -> bool {
    let (ident, name) = (&route.method.ident, &route.name);
    let plain = ident.unraw().to_string();
    let Some((_, other)) = RESERVED.iter().find(|(reserved, _)| *reserved == plain) else { return true };
    errors.at(
        ident,
        format!("`{plain}` conflicts with the generated `{stub}::{plain}`"),
        format!("name the method otherwise and keep the route: `#[route(\"{name}\")] fn {other}`"),
    );
    false
}

fn is_known(unknown: &[String], route: &Route, errors: &mut Errors) -> bool {
    let output = route.method.output.as_ref().filter(|_| route.kind == Kind::Request);
    let types = route.method.payload().into_iter().chain(output);
    let Some(name) = types.map(ToTokens::to_token_stream).find_map(|ty: TokenStream| types::mentions(ty, unknown))
    else {
        return true;
    };
    errors.at(
        &name,
        format!("a client stub cannot know `{name}`"),
        "name a concrete type, put the contract in a `#[remote]` trait, or write `#[remote(client = false)]`",
    );
    false
}

/// Of two restricted to modules neither is wider; the last one counts.
fn width(vis: &Visibility) -> u8 {
    match vis {
        Visibility::Public(_) => 3,
        Visibility::Restricted(vis) if vis.path.is_ident("crate") => 2,
        Visibility::Restricted(_) => 1,
        Visibility::Inherited => 0,
    }
}
