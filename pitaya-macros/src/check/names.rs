//! Names of services and routes, within what the wire can carry.

use crate::{errors::Errors, model::Route, rename::Rule};
use proc_macro2::Ident;
use quote::ToTokens;
use syn::{LitStr, ext::IdentExt};

/// A route is `service.method` here and `server.service.method` on the wire, where one byte holds its length.
const LONGEST_ROUTE: usize = 255;

pub(super) fn service(given: Option<&LitStr>, ty: impl ToTokens, type_name: &str, errors: &mut Errors) -> String {
    let name = given.map_or_else(|| Rule::Snake.apply(type_name), LitStr::value);
    if let Some(wrong) = wrong(&name) {
        let help = format!("write `name = \"{}\"`", mended(&name, "room"));
        errors.at(place(given, ty), format!("a service name cannot {wrong}"), help);
    } else if name == "sys" {
        let text = "the service `sys` is the framework's own";
        errors.at(place(given, ty), text, "give it another `name = \"..\"`");
    } else if name.len() >= LONGEST_ROUTE - 1 {
        let text = format!(
            "this service name is {} bytes, the wire allows {LONGEST_ROUTE} for service and method",
            name.len()
        );
        errors.at(place(given, ty), text, "give it a shorter `name = \"..\"`");
    }
    name
}

pub(super) fn route(given: Option<&LitStr>, ident: &Ident, rule: Option<Rule>, errors: &mut Errors) -> Option<String> {
    let plain = ident.unraw().to_string();
    let name = match (given, rule) {
        (Some(given), _) => given.value(),
        (None, Some(rule)) => rule.apply(&plain),
        (None, None) => plain,
    };
    let Some(wrong) = wrong(&name) else { return Some(name) };
    let help = format!("write `#[route(\"{}\")]`", mended(&name, "join"));
    errors.at(place(given, ident), format!("a route name cannot {wrong}"), help);
    None
}

/// Keeps the routes that the wire can carry under the name of this service.
pub(super) fn fitting(service: &str, routes: Vec<Route>, errors: &mut Errors) -> Vec<Route> {
    let is_long = |route: &Route| service.len() + 1 + route.name.len() > LONGEST_ROUTE;
    if service.len() >= LONGEST_ROUTE - 1 {
        return routes; // the name of the service is to blame, and has been
    }
    let (long, fitting): (Vec<_>, Vec<_>) = routes.into_iter().partition(is_long);
    for route in long {
        let shown: String = route.name.chars().take(24).collect();
        let bytes = service.len() + 1 + route.name.len();
        let text = format!("route `{service}.{shown}..` is {bytes} bytes, the wire allows {LONGEST_ROUTE}");
        errors.under(&route.method.cfg, |errors| {
            errors.at_span(route.place, text, "give it a shorter name with `#[route(\"..\")]`");
        });
    }
    fitting
}

fn place(given: Option<&LitStr>, derived_from: impl ToTokens) -> proc_macro2::TokenStream {
    given.map_or_else(|| derived_from.to_token_stream(), ToTokens::to_token_stream)
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn wrong(name: &str) -> Option<String> {
    match name.chars().find(|c| !is_legal(*c)) {
        None if name.is_empty() => Some("be empty".to_owned()),
        None => None,
        Some('.') => Some("contain `.`: it separates `server.service.method`".to_owned()),
        Some(c) if c.is_whitespace() => Some("contain a blank".to_owned()),
        Some(c) => Some(format!("contain `{}`, only letters from A to Z, digits, `_` and `-`", c.escape_debug())),
    }
}

/// The nearest name that is allowed.
fn mended(name: &str, example: &str) -> String {
    let mended: String = name.trim().chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    if mended.chars().any(|c| c.is_ascii_alphanumeric()) { mended } else { example.to_owned() }
}
