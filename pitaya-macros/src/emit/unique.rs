//! The check for two routes of one name or code that only the compiler can make: after `#[cfg]`.

use crate::model::Route;
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::HashMap;
use std::hash::Hash;

/// Nothing for most blocks. Names and codes that stand once are unique whatever `#[cfg]` says, and those that stand twice
/// without one have been reported; of the rest equal ones are neighbours, so that the compiler compares each with the next
/// one only.
pub(super) fn check(routes: &[Route]) -> Option<TokenStream> {
    let names = repeated(routes, |route| Some(&route.name));
    let codes = repeated(routes, |route| route.code.map(|(code, _)| code));
    let names = names.iter().map(|Route { method, name, .. }| {
        let cfg = &method.cfg;
        quote!(#(#cfg)* #name)
    });
    let codes = codes.iter().filter_map(|Route { method, name, code, .. }| {
        let (cfg, (code, _)) = (&method.cfg, code.as_ref()?);
        Some(quote!(#(#cfg)* (#code, #name)))
    });
    let (names, codes): (Vec<_>, Vec<_>) = (names.collect(), codes.collect());
    (!names.is_empty() || !codes.is_empty())
        .then(|| quote!(const _: () = __pitaya::check(&[#(#names),*], &[#(#codes),*]);))
}

/// The routes whose key another one has too, sorted by it.
fn repeated<'a, K: Hash + Ord>(routes: &'a [Route], key: impl Fn(&'a Route) -> Option<K>) -> Vec<&'a Route> {
    let mut by_key: HashMap<K, Vec<&Route>> = HashMap::new();
    for route in routes {
        if let Some(key) = key(route) {
            by_key.entry(key).or_default().push(route);
        }
    }
    let mut repeated: Vec<_> = by_key.into_iter().filter(|(_, routes)| routes.len() > 1).collect();
    repeated.sort_by(|(a, _), (b, _)| a.cmp(b));
    repeated.into_iter().flat_map(|(_, routes)| routes).collect()
}
