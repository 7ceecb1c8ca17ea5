//! Which method is behind a route: the tables of all mounted components, flattened once.

use crate::context::{AppEvent, Context, SessionEvent};
use crate::error::{Error, Result};
use crate::handler::{Call, Handlers, Route, Service, Step, Table};
use crate::lifecycle::Hook;
use crate::route::{MAX_ROUTE, is_legal_part};
use crate::schema::Schemas;
use crate::turn::Place;
use crate::{BoxFuture, codes};
use rustc_hash::FxHashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

/// One mounted route.
pub struct Entry {
    component: Arc<dyn Mounted>,
    row: usize,
    codec: usize,
    route: &'static Route,
    name: Arc<str>,
}

impl Entry {
    /// Its full name, `server.service.method`.
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
        self.component.service()
    }

    /// The schemas of its payload and answer.
    #[must_use]
    pub fn schemas(&self) -> Schemas {
        self.component.schemas().get(self.row).copied().unwrap_or_default()
    }

    /// `file:line` of its method.
    #[must_use]
    pub fn place(&self) -> String {
        self.service().place(self.route)
    }

    /// Calls it: the answer is appended to `out`, or its future lies in `place`.
    #[inline]
    pub fn call(&self, cx: &mut Context, body: &[u8], out: &mut Vec<u8>, place: &mut Place) -> Step {
        self.component.call(self.row, self.codec, cx, body, out, place)
    }
}

/// Every mounted route, by name and by number.
#[derive(Default)]
pub struct Registry {
    index: FxHashMap<Box<[u8]>, u32>,
    entries: Vec<Entry>,
    components: Vec<Arc<dyn Mounted>>,
}

/// Why a component cannot be mounted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// Two components expose one route.
    #[error("the route `{route}` is exposed twice: at {first} and at {second}")]
    Duplicate {
        /// The full route.
        route: String,
        /// `file:line` of the method that was mounted first.
        first: String,
        /// `file:line` of the other.
        second: String,
    },
    /// The block was not compiled for the app's serializer.
    #[error(
        "`{type_name}` ({location}) speaks {has}, the app speaks {wants}: write `#[handler(codec(..))]` with both, or choose another serializer"
    )]
    Codec {
        /// The component.
        type_name: &'static str,
        /// `file:line` of the block.
        location: &'static str,
        /// Its codecs.
        has: String,
        /// The app's.
        wants: &'static str,
    },
    /// The name cannot be a part of a route.
    #[error(
        "`{name}` cannot be the name of the service `{type_name}` ({location}): letters, digits, `_` and `-` only, and `sys` is taken"
    )]
    Name {
        /// The refused name.
        name: String,
        /// The component.
        type_name: &'static str,
        /// `file:line` of the block.
        location: &'static str,
    },
    /// The full route is longer than the wire can carry.
    #[error("the route `{route}` ({location}) has {} bytes, the wire allows {MAX_ROUTE}", route.len())]
    TooLong {
        /// The full route.
        route: String,
        /// `file:line` of the block.
        location: &'static str,
    },
}

impl Registry {
    /// Mounts a component under `name`, for a server of type `server` that speaks the codec called `codec`. Reports
    /// every problem, and mounts what has none.
    pub fn mount<S: Handlers>(
        &mut self,
        server: &str,
        name: Option<&str>,
        codec: &'static str,
        component: Arc<S>,
    ) -> Vec<MountError> {
        let table: &'static Table<S> = const { &S::HANDLERS };
        let Service { type_name, location, codecs, routes, .. } = *table.service;
        let name = name.unwrap_or(table.service.name);
        if !is_legal_part(name) || name == "sys" {
            return vec![MountError::Name { name: name.to_owned(), type_name, location }];
        }
        let Some(codec) = codecs.iter().position(|known| *known == codec) else {
            return vec![MountError::Codec { type_name, location, has: codecs.join(" and "), wants: codec }];
        };
        let mounted: Arc<dyn Mounted> = Arc::new(Mount { component, table, schemas: S::SCHEMAS });
        self.components.push(mounted.clone());
        let mut problems = Vec::new();
        for (row, route) in routes.iter().enumerate() {
            let short = format!("{name}.{}", route.name);
            let full = format!("{server}.{short}");
            if full.len() > MAX_ROUTE {
                problems.push(MountError::TooLong { route: full, location });
                continue;
            }
            if let Some(first) = self.find(full.as_bytes()) {
                let (first, second) = (self.entries[first as usize].place(), table.service.place(route));
                problems.push(MountError::Duplicate { route: full, first, second });
                continue;
            }
            // 65,535 codes bound the dictionary, not the table; more routes than u32 holds do not fit into memory.
            let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.index.insert(short.into_bytes().into(), number);
            self.index.insert(full.clone().into_bytes().into(), number);
            self.entries.push(Entry { component: mounted.clone(), row, codec, route, name: full.into() });
        }
        problems
    }

    /// The number of a route as a client writes it, with or without the server type.
    #[inline]
    #[must_use]
    pub fn find(&self, route: &[u8]) -> Option<u32> {
        self.index.get(route).copied()
    }

    /// The entry of a number that [`find`](Self::find) gave.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    /// All entries, in the order of mounting.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The descriptions of what is mounted, in the order of mounting.
    pub fn services(&self) -> impl Iterator<Item = &'static Service> {
        self.components.iter().map(|component| component.service())
    }

    /// Runs the hooks of one moment of the app's life. Those of the end run in reverse order and all of them; at the
    /// start the first error ends it.
    ///
    /// # Errors
    /// The hook's own, with the component's name added.
    pub async fn app(&self, moment: Moment, event: &AppEvent) -> Result<()> {
        let ends = matches!(moment, Moment::BeforeShutdown | Moment::Shutdown);
        let mut order: Vec<_> = self.components.iter().collect();
        if ends {
            order.reverse();
        }
        for component in order {
            if let Err(e) = guarded(component.app(moment, event.clone())).await {
                let name = component.service().type_name;
                if !ends {
                    let code =
                        if e.code() == codes::UNKNOWN { codes::INTERNAL.to_owned() } else { e.code().to_owned() };
                    return Err(Error::new(code, format!("{moment:?} of {name} failed: {}", e.message())));
                }
                tracing::error!("{moment:?} of {name} failed: {e}");
            }
        }
        Ok(())
    }

    /// Whether any component wants to hear of sessions.
    #[must_use]
    pub fn hears_sessions(&self) -> bool {
        self.components.iter().any(|component| component.hears_sessions())
    }

    /// Tells the components that a session was bound or closed. An error is logged; it keeps no other from hearing.
    pub async fn session(&self, moment: SessionMoment, event: &SessionEvent) {
        for component in &self.components {
            if let Err(e) = guarded(component.session(moment, event.clone())).await {
                let name = component.service().type_name;
                tracing::error!(session = event.session.id(), "session_{moment:?} of {name} failed: {e}");
            }
        }
    }
}

/// A hook that panics has failed, no more: a shutdown goes on, and other components hear what they are to hear.
async fn guarded(mut hook: BoxFuture<'_, Result<()>>) -> Result<()> {
    poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| hook.as_mut().poll(cx)));
        poll.unwrap_or_else(|_| Poll::Ready(Err(Error::internal("it panicked"))))
    })
    .await
}

/// When a component's app hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `#[on(init)]`
    Init,
    /// `#[on(after_init)]`
    AfterInit,
    /// `#[on(before_shutdown)]`
    BeforeShutdown,
    /// `#[on(shutdown)]`
    Shutdown,
}

/// When a component's session hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionMoment {
    /// `#[on(session_bound)]`
    Bound,
    /// `#[on(session_closed)]`
    Closed,
}

/// A component without its type. The table is typed and the mount is erased: no downcast that could fail.
trait Mounted: Send + Sync {
    fn call(
        &self,
        row: usize,
        codec: usize,
        cx: &mut Context,
        body: &[u8],
        out: &mut Vec<u8>,
        place: &mut Place,
    ) -> Step;
    fn service(&self) -> &'static Service;
    fn schemas(&self) -> &'static [Schemas];
    fn app(&self, moment: Moment, event: AppEvent) -> BoxFuture<'_, Result<()>>;
    fn session(&self, moment: SessionMoment, event: SessionEvent) -> BoxFuture<'_, Result<()>>;
    fn hears_sessions(&self) -> bool;
}

struct Mount<S: 'static> {
    component: Arc<S>,
    table: &'static Table<S>,
    schemas: &'static [Schemas],
}

impl<S: Send + Sync + 'static> Mounted for Mount<S> {
    #[inline]
    fn call(
        &self,
        row: usize,
        codec: usize,
        cx: &mut Context,
        body: &[u8],
        out: &mut Vec<u8>,
        place: &mut Place,
    ) -> Step {
        self.table.rows[row](Call { service: &self.component, cx, codec, body, out, place })
    }

    fn service(&self) -> &'static Service {
        self.table.service
    }

    fn schemas(&self) -> &'static [Schemas] {
        self.schemas
    }

    fn app(&self, moment: Moment, event: AppEvent) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            for hook in self.table.hooks {
                match (moment, hook) {
                    (Moment::Init, Hook::Init(f))
                    | (Moment::AfterInit, Hook::AfterInit(f))
                    | (Moment::BeforeShutdown, Hook::BeforeShutdown(f))
                    | (Moment::Shutdown, Hook::Shutdown(f)) => {
                        f(self.component.clone(), event.clone()).await?;
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn session(&self, moment: SessionMoment, event: SessionEvent) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            for hook in self.table.hooks {
                match (moment, hook) {
                    (SessionMoment::Bound, Hook::SessionBound(f)) | (SessionMoment::Closed, Hook::SessionClosed(f)) => {
                        f(self.component.clone(), event.clone()).await?;
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn hears_sessions(&self) -> bool {
        self.table.hooks.iter().any(|hook| matches!(hook, Hook::SessionBound(_) | Hook::SessionClosed(_)))
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("route", self.route).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.name)).finish()
    }
}
