//! Components that somebody forgot.

use pitaya_core::describe::{Description, Side};
use pitaya_core::registry::Registry;

/// A component that is linked and never mounted is most often one that was forgotten.
pub(super) fn unmounted(registry: &Registry) -> Vec<String> {
    let forgotten = Description::unmounted(registry).services.into_iter();
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
