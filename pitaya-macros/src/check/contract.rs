//! The rules of a contract, a trait with `#[remote]`, and of those who serve it.

use super::{client, codecs, names, owns_itself, route, type_name, unique};
use crate::{
    args::BlockArgs,
    errors::Errors,
    manifest,
    model::{Server, Side, Table},
    parse::{self, Written},
    types,
};
use quote::{ToTokens, quote};
use syn::{Generics, ItemImpl, ItemTrait, Path, ext::IdentExt};

/// The table with all methods that are right; `None` if nothing can be emitted for the trait as a whole.
pub(crate) fn contract(args: BlockArgs, item: &ItemTrait, methods: Vec<Written>, errors: &mut Errors) -> Option<Table> {
    let (side, ident, before) = (Side::Remote, &item.ident, errors.count());
    if methods.is_empty() {
        let help = "declare methods in it, or remove the attribute";
        errors.at(ident, format!("`#[remote] trait {ident}` exposes no routes"), help);
    }
    if let Some(param) = item.generics.params.first() {
        errors.at(
            param,
            "a contract cannot be generic: its callers would have to know the server's types",
            "name concrete types; the type that implements the trait may be generic",
        );
    }
    let whole = errors.count() == before;
    let names_deprecated = parse::names_deprecated(&item.attrs) || methods.iter().any(|m| m.names_deprecated);
    let mut routes = Vec::new();
    for mut method in methods {
        let cfg = method.cfg.clone();
        errors.under(&cfg, |errors| {
            no_hook(&mut method, errors);
            routes.extend(route(side, args.rename_all, method, None, errors));
        });
    }
    let krate = args.krate.unwrap_or_else(manifest::runtime);
    let codecs_given = args.codecs.is_some();
    let codecs = codecs(side, args.codecs, &krate, &Generics::default(), errors)?;
    let type_name = ident.unraw().to_string();
    let service = names::service(args.name.as_ref(), ident, &type_name, errors);
    let routes = unique(side, names::fitting(&service, routes, errors), errors);
    let mut table = Table {
        side,
        krate,
        codecs,
        codecs_given,
        schema: args.schema.map(|option| option.span()),
        service,
        type_name,
        routes,
        hooks: Vec::new(),
        owner: quote!(<Self as #ident>),
        cfg: parse::cfgs(&item.attrs),
        names_deprecated,
        stub: None,
    };
    table.stub = client::stub(&table, args.client, &Generics::default(), errors);
    (whole && !args.crate_is_lost).then_some(table)
}

/// The server of a contract adds nothing to it.
pub(crate) fn server(
    args: BlockArgs,
    item: &ItemImpl,
    contract: Path,
    methods: Vec<Written>,
    errors: &mut Errors,
) -> Option<Server> {
    let trait_name = types::shown(&contract);
    for key in args.keys.iter().filter(|key| *key != "crate") {
        let known = BlockArgs::OPTIONS.iter().any(|known| key == known);
        if known {
            let help = format!("write it where `{trait_name}` is declared");
            errors.at(key, format!("`{key}` belongs to the contract, not to its server"), help);
        }
    }
    for mut method in methods {
        let cfg = method.cfg.clone();
        errors.under(&cfg, |errors| {
            no_hook(&mut method, errors);
            if let Some(route) = method.route {
                let help = format!("move it to the method in `{trait_name}`");
                errors.at(route.path, "`#[route]` belongs to the contract, not to its server", help);
            }
        });
    }
    let type_name = type_name(Side::Remote, &item.self_ty, errors)?;
    let owned = owns_itself(item, errors);
    (owned && !args.crate_is_lost).then(|| Server {
        krate: args.krate.unwrap_or_else(manifest::runtime),
        contract,
        ty: (*item.self_ty).clone(),
        type_name,
        generics: item.generics.clone(),
        cfg: parse::cfgs(&item.attrs),
    })
}

fn no_hook(method: &mut Written, errors: &mut Errors) {
    if let Some(hook) = method.hook.take() {
        let text = "a contract has no hooks: they are the server's own business";
        errors.at(hook.path.to_token_stream(), text, "put the hook into a `#[handler]` block of the server's type");
    }
}
