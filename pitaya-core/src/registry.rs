//! Which method is behind a route: the tables of all mounted components, flattened once for each side.

use crate::context::{AppEvent, Context, SessionEvent};
use crate::error::{Error, Result};
use crate::handler::{Handlers, Service};
use crate::lifecycle::Hook;
use crate::remote::{RemoteContext, Remotes};
use crate::route::MAX_ROUTE;
use crate::{BoxFuture, codes};
use routes::{Mount, Place};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

mod routes;

pub use routes::{Entry, Routes};

/// Everything that is mounted: the routes clients call, those other servers call, and the components behind them.
#[derive(Default)]
pub struct Registry {
    handlers: Routes<Context>,
    remotes: Routes<RemoteContext>,
    components: Vec<Arc<dyn Component>>,
    /// Number of components whose `init` has completed: those are stopped, and no others.
    initialised: AtomicUsize,
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
        let mut problems = Vec::new();
        let mounted = self.handlers.mount(
            Place { server: Some(server), name, codec: Some(codec) },
            Mount { component, table: const { &S::HANDLERS } },
            &mut problems,
        );
        self.components.extend(mounted.map(|mount| mount as Arc<dyn Component>));
        problems
    }

    /// Mounts a component for other servers, under the name of its `#[remote]` block: its callers know no other. Reports
    /// every problem, and mounts what has none.
    pub fn mount_remotes<S: Remotes>(&mut self, component: Arc<S>) -> Vec<MountError> {
        let mut problems = Vec::new();
        let mount = Mount { component, table: const { &S::REMOTES } };
        let mounted = self.remotes.mount(Place::default(), mount, &mut problems);
        self.components.extend(mounted.map(|mount| mount as Arc<dyn Component>));
        problems
    }

    /// What other servers may call, by `service.method`.
    #[must_use]
    pub fn remotes(&self) -> &Routes<RemoteContext> {
        &self.remotes
    }

    /// The number of a handler, by its route as a client writes it, with or without the server type.
    #[inline]
    #[must_use]
    pub fn find(&self, route: &[u8]) -> Option<u32> {
        self.handlers.find(route)
    }

    /// The handler of a number that [`find`](Self::find) gave.
    #[inline]
    #[must_use]
    pub fn entry(&self, number: u32) -> Option<&Entry> {
        self.handlers.entry(number)
    }

    /// All handlers, in the order of mounting.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.handlers.entries()
    }

    /// The descriptions of what is mounted, in the order of mounting.
    pub fn services(&self) -> impl Iterator<Item = &'static Service> {
        self.components.iter().map(|component| component.service())
    }

    /// Runs the hooks of one moment of the app's life. At the start the first error ends it. Those of the end run in reverse
    /// order, of each component whose `init` has completed: one that has failed, or was not reached, has nothing to end.
    /// `begins` hears the name of each component that has such a hook, before it runs.
    ///
    /// # Errors
    /// The hook's own, with the component's name and the causes added.
    pub async fn app(&self, moment: Moment, event: &AppEvent, begins: impl Fn(&'static str)) -> Result<()> {
        let ends = matches!(moment, Moment::BeforeShutdown | Moment::Shutdown);
        let mut order: Vec<_> = self.components.iter().collect();
        if ends {
            order.truncate(self.initialised.load(SeqCst));
            order.reverse();
        } else if moment == Moment::Init {
            self.initialised.store(0, SeqCst);
        }
        for component in order {
            let name = component.service().type_name;
            if component.has_hook(moment) {
                begins(name);
            }
            if let Err(e) = guarded(component.app(moment, event.clone())).await {
                if !ends {
                    let code =
                        if e.code() == codes::UNKNOWN { codes::INTERNAL.to_owned() } else { e.code().to_owned() };
                    return Err(Error::new(code, format!("{moment:?} of {name} failed: {}", e.with_causes())));
                }
                tracing::error!(code = e.code(), error = e.with_causes(), "{moment:?} of {name} failed");
            }
            if moment == Moment::Init {
                self.initialised.fetch_add(1, SeqCst);
            }
        }
        Ok(())
    }

    /// Whether any component wants to hear of sessions.
    #[must_use]
    pub fn hears_sessions(&self) -> bool {
        self.components.iter().any(|component| component.hears_sessions())
    }

    /// Tells the components that a session was bound or closed, and gives what failed, named after its component. An error
    /// keeps no other from hearing.
    pub async fn session(&self, moment: SessionMoment, event: &SessionEvent) -> Vec<(&'static str, Error)> {
        let mut failed = Vec::new();
        for component in &self.components {
            if let Err(e) = guarded(component.session(moment, event.clone())).await {
                failed.push((component.service().type_name, e));
            }
        }
        failed
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

/// What a component is besides its routes: its life.
trait Component: Send + Sync {
    fn service(&self) -> &'static Service;
    fn app(&self, moment: Moment, event: AppEvent) -> BoxFuture<'_, Result<()>>;
    fn has_hook(&self, moment: Moment) -> bool;
    fn session(&self, moment: SessionMoment, event: SessionEvent) -> BoxFuture<'_, Result<()>>;
    fn hears_sessions(&self) -> bool;
}

impl<S: Send + Sync + 'static, X: 'static> Component for Mount<S, X> {
    fn service(&self) -> &'static Service {
        self.table.service
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

    fn has_hook(&self, moment: Moment) -> bool {
        self.table.hooks.iter().any(|hook| {
            matches!(
                (moment, hook),
                (Moment::Init, Hook::Init(_))
                    | (Moment::AfterInit, Hook::AfterInit(_))
                    | (Moment::BeforeShutdown, Hook::BeforeShutdown(_))
                    | (Moment::Shutdown, Hook::Shutdown(_))
            )
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

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("handlers", &self.handlers).field("remotes", &self.remotes).finish()
    }
}
