//! What else lives and ends with an app: a connection to a database, a cache, a child process.

use crate::app::{App, StartError};
use pitaya_core::registry::Moment;
use pitaya_core::{BoxFuture, Error, Result};
use std::any::Any;
use std::collections::HashSet;
use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// A part of an app that has no routes and has to be started and stopped with it.
///
/// Modules start in the order of their registration and before any component, so that components find them ready, and stop
/// in reverse order, after all components:
///
/// 1. every module's [`init`](Self::init), every component's `init`;
/// 2. every module's [`after_init`](Self::after_init), every component's `after_init`; then clients and other servers may
///    come;
/// 3. when the sessions are gone: every component's `before_shutdown`, every module's
///    [`before_shutdown`](Self::before_shutdown);
/// 4. every component's `shutdown`, every module's [`shutdown`](Self::shutdown).
///
/// An error or a panic in step 1 or 2 keeps the app from starting; what had begun is stopped. In step 3 and 4 it is logged,
/// and each module has `pitaya.limits.shutdown.timeout` to itself: none keeps another from stopping.
///
/// ```
/// use parking_lot::Mutex;
/// use pitaya_runtime::prelude::*;
///
/// /// Scores, read at the start and written at the end.
/// #[derive(Default)]
/// struct Scores(Mutex<Vec<u32>>);
///
/// impl Module for Scores {
///     async fn init(&self, _: &App) -> Result<()> {
///         *self.0.lock() = vec![3, 4]; // from a file
///         Ok(())
///     }
///
///     async fn shutdown(&self, _: &App) -> Result<()> {
///         println!("saved {:?}", self.0.lock());
///         Ok(())
///     }
/// }
///
/// struct Table;
/// #[handler]
/// impl Table {
///     pub fn best(&self, app: &App) -> Result<u32> {
///         let scores = app.module::<Scores>("scores").ok_or_else(|| Error::internal("no scores"))?;
///         Ok(scores.0.lock().iter().copied().max().unwrap_or(0))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Builder::new("game")
///     .acceptor(Tcp::bind("127.0.0.1:0"))
///     .module("scores", Scores::default())
///     .handlers(Table)
///     .build()?;
/// app.start().await?;
/// assert_eq!(*app.module::<Scores>("scores").expect("registered").0.lock(), [3, 4]);
/// app.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub trait Module: Send + Sync + 'static {
    /// Gets ready. Other servers can be called already; modules that were registered earlier are ready. A module whose
    /// `init` fails is not stopped: it gives back itself what it had taken.
    ///
    /// # Errors
    /// Keep the app from starting.
    fn init(&self, app: &App) -> impl Future<Output = Result<()>> + Send {
        let _ = app;
        ready(Ok(()))
    }

    /// Goes on when all modules and all components are initialised. No client is here yet.
    ///
    /// # Errors
    /// Keep the app from starting.
    fn after_init(&self, app: &App) -> impl Future<Output = Result<()>> + Send {
        let _ = app;
        ready(Ok(()))
    }

    /// The app begins to drain, which may take hours: what its players are in the middle of may end, nothing new should
    /// begin. It must not wait.
    fn draining(&self, app: &App) {
        let _ = app;
    }

    /// How many things go on here that a drain waits for, such as matches on a server without clients of its own.
    fn in_progress(&self) -> usize {
        0
    }

    /// Prepares for the end. Sessions are gone, other servers can still be called.
    ///
    /// # Errors
    /// Are logged.
    fn before_shutdown(&self, app: &App) -> impl Future<Output = Result<()>> + Send {
        let _ = app;
        ready(Ok(()))
    }

    /// Ends.
    ///
    /// # Errors
    /// Are logged.
    fn shutdown(&self, app: &App) -> impl Future<Output = Result<()>> + Send {
        let _ = app;
        ready(Ok(()))
    }
}

/// A module without its type.
trait Run: Send + Sync {
    fn run<'a>(&'a self, moment: Moment, app: &'a App) -> BoxFuture<'a, Result<()>>;
    fn draining(&self, app: &App);
    fn in_progress(&self) -> usize;
}

impl<M: Module> Run for M {
    fn run<'a>(&'a self, moment: Moment, app: &'a App) -> BoxFuture<'a, Result<()>> {
        match moment {
            Moment::Init => Box::pin(self.init(app)),
            Moment::AfterInit => Box::pin(self.after_init(app)),
            Moment::BeforeShutdown => Box::pin(self.before_shutdown(app)),
            Moment::Shutdown => Box::pin(self.shutdown(app)),
        }
    }

    fn draining(&self, app: &App) {
        Module::draining(self, app);
    }

    fn in_progress(&self) -> usize {
        Module::in_progress(self)
    }
}

struct Entry {
    name: Arc<str>,
    module: Arc<dyn Run>,
    /// The same, for who knows its type.
    typed: Arc<dyn Any + Send + Sync>,
}

/// The modules of one app, in the order of their registration.
#[derive(Default)]
pub(crate) struct Modules {
    all: Vec<Entry>,
    /// So many of them are initialised: those are stopped.
    ready: AtomicUsize,
}

impl Modules {
    pub(crate) fn push(&mut self, name: String, module: impl Module) {
        let module = Arc::new(module);
        self.all.push(Entry { name: name.into(), module: module.clone(), typed: module });
    }

    /// Names that stand for more than one.
    pub(crate) fn ambiguous(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let again = self.all.iter().filter(|entry| !seen.insert(&entry.name));
        again.map(|entry| entry.name.to_string()).collect()
    }

    pub(crate) fn find<M: Module>(&self, name: &str) -> Option<Arc<M>> {
        let entry = self.all.iter().find(|entry| *entry.name == *name)?;
        entry.typed.clone().downcast().ok()
    }

    /// `Init` or `AfterInit` of all, in order, up to the first error.
    /// `begins` hears the name of each before it runs.
    pub(crate) async fn start(&self, moment: Moment, app: &App, begins: impl Fn(&str)) -> Result<(), StartError> {
        for entry in &self.all {
            begins(&entry.name);
            let failed = |cause| StartError::Module { name: entry.name.clone(), moment, cause };
            entry.run(moment, app).await.map_err(failed)?;
            if moment == Moment::Init {
                self.ready.fetch_add(1, SeqCst);
            }
        }
        Ok(())
    }

    /// `BeforeShutdown` or `Shutdown` of those that are initialised, in reverse order.
    /// `begins` hears the name of each before it runs.
    pub(crate) async fn stop(&self, moment: Moment, app: &App, limit: Duration, begins: impl Fn(&str)) {
        for entry in self.all[..self.ready.load(SeqCst)].iter().rev() {
            let name = &entry.name;
            begins(name);
            match tokio::time::timeout(limit, entry.run(moment, app)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::error!(
                        code = e.code(),
                        error = e.with_causes(),
                        "{moment:?} of the module `{name}` failed"
                    );
                }
                Err(_) => tracing::error!(
                    "{moment:?} of the module `{name}` was not done after {limit:?}: not waiting any longer"
                ),
            }
        }
    }

    pub(crate) fn draining(&self, app: &App) {
        for entry in &self.all {
            entry.guarded(|module| module.draining(app));
        }
    }

    /// The most that goes on in one of them.
    pub(crate) fn in_progress(&self) -> usize {
        self.all.iter().filter_map(|entry| entry.guarded(|module| module.in_progress())).max().unwrap_or(0)
    }
}

impl Entry {
    /// In a task of its own: a panic is an error, and whoever blocks its thread can be left behind.
    async fn run(&self, moment: Moment, app: &App) -> Result<()> {
        let (module, app) = (self.module.clone(), app.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move { module.run(moment, &app).await }));
        task.await.unwrap_or_else(|_| Err(Error::internal("it panicked")))
    }

    fn guarded<T>(&self, ask: impl FnOnce(&dyn Run) -> T) -> Option<T> {
        let outcome = catch_unwind(AssertUnwindSafe(|| ask(&*self.module)));
        outcome.inspect_err(|_| tracing::error!("the module `{}` panicked during a drain", self.name)).ok()
    }
}
