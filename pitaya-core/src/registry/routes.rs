//! The routes of one side, flattened: by name and by number.

use super::MountError;
use crate::context::Context;
use crate::handler::{Call, Route, Row, Service, Step, Table};
use crate::maps::OwnMap;
use crate::route::{MAX_ROUTE, is_legal_part};
use crate::schema::Schemas;
use crate::turn;
use std::sync::Arc;

/// One mounted route.
pub struct Entry<X: 'static = Context> {
    method: Box<dyn Method<X>>,
    service: &'static Service,
    schemas: Schemas,
    route: &'static Route,
    name: Arc<str>,
}

impl<X> Entry<X> {
    /// Its full name: `server.service.method` of a handler, `service.method` of a remote.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its description.
    #[must_use]
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// The description of its component.
    #[must_use]
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// The schemas of its payload and answer.
    #[must_use]
    pub fn schemas(&self) -> Schemas {
        self.schemas
    }

    /// `file:line` of its method.
    #[must_use]
    pub fn place(&self) -> String {
        self.service().place(self.route)
    }

    /// Calls it: the answer is appended to `out`, or its future lies in `place`.
    #[inline]
    pub fn call(&self, cx: &mut X, body: &[u8], out: &mut Vec<u8>, place: &mut turn::Place) -> Step {
        self.method.call(cx, body, out, place)
    }
}

/// Every mounted route of one side, by name and by number.
pub struct Routes<X: 'static = Context> {
    index: OwnMap<Box<[u8]>, u32>,
    entries: Vec<Entry<X>>,
}

impl<X> Default for Routes<X> {
    fn default() -> Self {
        Self { index: OwnMap::default(), entries: Vec::new() }
    }
}

impl<X: 'static> Routes<X> {
    /// The number of a route; that of a handler is found with and without the server type.
    #[inline]
    #[must_use]
    pub fn find(&self, route: &[u8]) -> Option<u32> {
        self.index.get(route).copied()
    }

    /// The entry of a number that [`find`](Self::find) gave.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> Option<&Entry<X>> {
        self.entries.get(number as usize)
    }

    /// All entries, in the order of mounting.
    #[must_use]
    pub fn entries(&self) -> &[Entry<X>] {
        &self.entries
    }

    /// Adds the routes of a component, and gives it back unless nothing of it can be mounted.
    pub(super) fn mount<S: Send + Sync + 'static>(
        &mut self,
        Place { server, name, codec }: Place<'_>,
        mount: Mount<S, X>,
        problems: &mut Vec<MountError>,
    ) -> Option<Arc<Mount<S, X>>> {
        let service = mount.table.service;
        let Service { type_name, location, codecs, routes, .. } = *service;
        let name = name.unwrap_or(service.name);
        if !is_legal_part(name) || name == "sys" {
            problems.push(MountError::Name { name: name.to_owned(), type_name, location });
            return None;
        }
        let position = codec.map_or(Some(0), |wanted| codecs.iter().position(|known| *known == wanted));
        let Some(position) = position else {
            let wants = codec.unwrap_or_default();
            problems.push(MountError::Codec { type_name, location, has: codecs.join(" and "), wants });
            return None;
        };
        for (number, (route, row)) in routes.iter().zip(mount.table.rows).enumerate() {
            let schemas = mount.table.schemas.get(number).copied().unwrap_or_default();
            let short = format!("{name}.{}", route.name);
            let full = server.map_or_else(|| short.clone(), |server| format!("{server}.{short}"));
            if full.len() > MAX_ROUTE {
                problems.push(MountError::TooLong { route: full, location });
                continue;
            }
            if let Some(first) = self.find(full.as_bytes()) {
                let (first, second) = (self.entries[first as usize].place(), service.place(route));
                problems.push(MountError::Duplicate { route: full, first, second });
                continue;
            }
            // 65,535 codes bound the dictionary, not the table; more routes than u32 holds do not fit into memory.
            let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.index.insert(short.into_bytes().into(), number);
            self.index.insert(full.clone().into_bytes().into(), number);
            let method = Box::new(Bound { component: mount.component.clone(), row: *row, codec: position });
            self.entries.push(Entry { method, service, schemas, route, name: full.into() });
        }
        Some(Arc::new(mount))
    }
}

/// A method without the type of its component. The row is typed and the whole is erased: no downcast that could fail.
trait Method<X>: Send + Sync {
    fn call(&self, cx: &mut X, body: &[u8], out: &mut Vec<u8>, place: &mut turn::Place) -> Step;
}

/// All that a call needs, side by side: what is looked up for each message is likely not in a cache.
struct Bound<S: 'static, X: 'static> {
    row: Row<S, X>,
    component: Arc<S>,
    codec: usize,
}

impl<S: Send + Sync + 'static, X: 'static> Method<X> for Bound<S, X> {
    #[inline]
    fn call(&self, cx: &mut X, body: &[u8], out: &mut Vec<u8>, place: &mut turn::Place) -> Step {
        (self.row)(Call { service: &self.component, cx, codec: self.codec, body, out, place })
    }
}

/// A component beside its table.
pub(super) struct Mount<S: 'static, X: 'static> {
    pub(super) component: Arc<S>,
    pub(super) table: &'static Table<S, X>,
}

/// Where a component goes.
#[derive(Default)]
pub(super) struct Place<'a> {
    /// With a server type the full names begin with it.
    pub(super) server: Option<&'a str>,
    /// In place of the block's.
    pub(super) name: Option<&'a str>,
    /// The name of the codec; `None` for the only one there is.
    pub(super) codec: Option<&'static str>,
}

impl<X> std::fmt::Debug for Entry<X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("route", self.route).finish_non_exhaustive()
    }
}

impl<X> std::fmt::Debug for Routes<X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.name)).finish()
    }
}
