//! What an app exposes, as data: for documentation, warnings and generators of client code.

mod descriptors;
mod go;
mod table;
#[cfg(test)]
mod tests;

pub use crate::handler::Side;
pub use descriptors::{DescriptorError, Descriptors};

use crate::handler::{Kind, Route, Service, declared};
use crate::registry::{Entry, Registry};
use crate::wire::Dictionary;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Every handler and remote. Its [`Display`](std::fmt::Display) is a table with one line a route.
///
/// ```
/// use pitaya_core::describe::Description;
///
/// let json = r#"{"server_type": "chat", "services": [{
///     "side": "handler", "name": "room", "type_name": "Room", "codecs": ["json"], "location": "src/room.rs:3",
///     "routes": [{"route": "chat.room.join", "kind": "request", "payload": "Join", "answer": "Joined",
///                 "docs": "Joins the room.", "location": "src/room.rs:5", "is_async": true, "code": 1}]
/// }]}"#;
/// let description: Description = serde_json::from_str(json).unwrap();
/// assert_eq!(
///     description.to_string(),
///     "ROUTE           SIDE     CODE  PAYLOAD  ANSWER  OPTIONS  TYPE  LOCATION       DOCS\n\
///      chat.room.join  handler  1     Join     Joined  async    Room  src/room.rs:5  Joins the room.\n"
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The server type; none when this is about what is linked, not about an app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_type: Option<String>,
    /// Sorted by name.
    pub services: Vec<ServiceDescription>,
}

/// A block of handlers or remotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDescription {
    /// Who may call it.
    pub side: Side,
    /// The component's part of the route: the name it was mounted under.
    pub name: String,
    /// The type, as its author wrote it.
    pub type_name: String,
    /// The codecs the block was compiled for.
    pub codecs: Vec<String>,
    /// `file:line` of the block.
    pub location: String,
    /// Sorted by route.
    pub routes: Vec<RouteDescription>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteDescription {
    /// `server.service.method`; without the server where none is known.
    pub route: String,
    /// Whether it answers.
    pub kind: Kind,
    /// The type of the payload as its author wrote it, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The type of the answer as its author wrote it: see [`Route::answer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The JSON Schema of the payload, where the app is known and the block has the option `schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_schema: Option<Value>,
    /// The JSON Schema of the answer, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_schema: Option<Value>,
    /// The doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// `file:line` of the method.
    pub location: String,
    /// Whether the method is an `async fn`.
    #[serde(default)]
    pub is_async: bool,
    /// Whether later messages of the session may overtake it.
    #[serde(default)]
    pub concurrent: bool,
    /// Whether it is dropped, not finished, when the client goes.
    #[serde(default)]
    pub cancel: bool,
    /// Whether only other servers may call it.
    #[serde(default)]
    pub internal: bool,
    /// Its code in the dictionary of the app; where there is no app, the pinned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// How long a forwarding frontend waits for its answer: see [`Route::timeout`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option")]
    pub timeout: Option<Duration>,
}

impl Description {
    /// What is mounted, with the codes of the app's dictionary.
    #[must_use]
    pub fn mounted(server_type: &str, registry: &Registry, dictionary: &Dictionary) -> Self {
        let (handlers, remotes) = (registry.entries(), registry.remotes().entries());
        let mut services = described(handlers, |entry| {
            let name = entry.name().strip_prefix(server_type).unwrap_or(entry.name());
            (name.trim_start_matches('.'), entry.name().to_string(), dictionary.code(entry.name()))
        });
        services.extend(described(remotes, |entry| (entry.name(), format!("{server_type}.{}", entry.name()), None)));
        Self { server_type: Some(server_type.to_owned()), services }.sorted()
    }

    /// What is linked into this program, mounted or not: see [`declared`].
    #[must_use]
    pub fn linked() -> Self {
        Self::declared(|_| true)
    }

    /// What is linked into this program and not mounted here, which most often was forgotten.
    #[must_use]
    pub fn unmounted(registry: &Registry) -> Self {
        Self::declared(|service| !registry.services().any(|known| known.location == service.location))
    }

    fn declared(wanted: impl Fn(&Service) -> bool) -> Self {
        let services = declared().into_iter().filter(|service| wanted(service)).map(|service| {
            let mut description = ServiceDescription::of(service.side, service.name, service);
            description.routes.extend(service.routes.iter().map(|route| {
                let name = format!("{}.{}", service.name, route.name);
                RouteDescription::of(name, (route.code != 0).then_some(route.code), service, route)
            }));
            description
        });
        Self { server_type: None, services: services.collect() }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.services.sort_by(|a, b| (a.side, &a.name, &a.location).cmp(&(b.side, &b.name, &b.location)));
        for service in &mut self.services {
            service.routes.sort_by(|a, b| a.route.cmp(&b.route));
        }
        self
    }
}

/// The services of one side. `named` gives `service.method`, the full route, and the code of an entry.
fn described<X>(
    entries: &[Entry<X>],
    named: impl Fn(&Entry<X>) -> (&str, String, Option<u16>),
) -> Vec<ServiceDescription> {
    let mut services: Vec<ServiceDescription> = Vec::new();
    for entry in entries {
        let (service, route) = (entry.service(), entry.route());
        let (short, full, code) = named(entry);
        let name = short.strip_suffix(route.name).unwrap_or(short).trim_end_matches('.');
        // The routes of one mount follow each other.
        if services.last().is_none_or(|last| last.name != name) {
            services.push(ServiceDescription::of(service.side, name, service));
        }
        let Some(last) = services.last_mut() else { continue };
        let schemas = entry.schemas();
        last.routes.push(RouteDescription {
            payload_schema: schemas.payload.map(|make| make()),
            answer_schema: schemas.answer.map(|make| make()),
            ..RouteDescription::of(full, code, service, route)
        });
    }
    services
}

impl ServiceDescription {
    fn of(side: Side, name: &str, service: &Service) -> Self {
        Self {
            side,
            name: name.to_owned(),
            type_name: service.type_name.to_owned(),
            codecs: service.codecs.iter().map(|&codec| codec.to_owned()).collect(),
            location: service.location.to_owned(),
            routes: Vec::new(),
        }
    }
}

impl RouteDescription {
    fn of(name: String, code: Option<u16>, service: &Service, route: &Route) -> Self {
        let Route { kind, is_async, concurrent, cancel, internal, timeout, docs, payload, answer, .. } = *route;
        Self {
            route: name,
            kind,
            payload: payload.map(str::to_owned),
            answer: answer.map(str::to_owned),
            payload_schema: None,
            answer_schema: None,
            docs: docs.to_owned(),
            location: service.place(route),
            is_async,
            concurrent,
            cancel,
            internal,
            code,
            timeout,
        }
    }
}
