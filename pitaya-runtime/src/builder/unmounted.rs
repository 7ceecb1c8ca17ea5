//! Components that somebody forgot.

use crate::docs::Docs;
use pitaya_core::describe::{Description, Side};
use pitaya_core::registry::Registry;

/// A component that is linked and never mounted is most often one that was forgotten.
pub(super) fn unmounted(registry: &Registry) -> Vec<String> {
    let optional = Docs::services().map(|service| service.location);
    let forgotten = Description::unmounted(registry).services.into_iter();
    let forgotten = forgotten.filter(|service| !optional.contains(&&*service.location));
    forgotten
        .map(|service| {
            let routes: Vec<_> = service.routes.iter().map(|route| &*route.route).collect();
            let (type_name, location, routes) = (service.type_name, service.location, routes.join(", "));
            let mount = match service.side {
                Side::Handler => ".handlers(..)",
                Side::Remote => ".remotes(..)",
            };
            let lost =
                if routes.is_empty() { "its hooks do not run".to_owned() } else { format!("nobody reaches {routes}") };
            format!("`{type_name}` ({location}) was not mounted: add `{mount}`, or {lost}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_framework_offers_is_not_forgotten() {
        let linked = Description::linked().services;
        assert!(linked.iter().any(|service| service.type_name == "Docs"), "it is linked: {linked:?}");
        assert!(!unmounted(&Registry::default()).iter().any(|warning| warning.contains("Docs")));
    }
}
