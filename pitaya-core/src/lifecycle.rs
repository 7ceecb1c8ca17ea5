//! The methods of a component that no client calls: `#[on(init)]` and its like.

use crate::BoxFuture;
use crate::answer::Answer;
use crate::context::{AppEvent, SessionEvent};
use crate::error::Result;
use std::future::Future;
use std::sync::Arc;

/// A hook that is run with the app: its start and its end.
pub type AppHook<S> = fn(Arc<S>, AppEvent) -> BoxFuture<'static, Result<Answer<()>>>;
/// A hook that is run with a session: its binding and its end.
pub type SessionHook<S> = fn(Arc<S>, SessionEvent) -> BoxFuture<'static, Result<Answer<()>>>;

/// One lifecycle method.
pub enum Hook<S> {
    /// Before the acceptors open, in the order of mounting. An error keeps the app from starting.
    Init(AppHook<S>),
    /// After every `init`, still before the acceptors open.
    AfterInit(AppHook<S>),
    /// When the app has stopped accepting and its sessions are gone, in reverse order. Only of components whose `init` has
    /// completed.
    BeforeShutdown(AppHook<S>),
    /// Last of all, in reverse order, and of the same components.
    Shutdown(AppHook<S>),
    /// After a session was bound to a uid.
    SessionBound(SessionHook<S>),
    /// After a session was closed, once.
    SessionClosed(SessionHook<S>),
}

impl<S> Clone for Hook<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Hook<S> {}

impl<S> std::fmt::Debug for Hook<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Init(_) => "init",
            Self::AfterInit(_) => "after_init",
            Self::BeforeShutdown(_) => "before_shutdown",
            Self::Shutdown(_) => "shutdown",
            Self::SessionBound(_) => "session_bound",
            Self::SessionClosed(_) => "session_closed",
        })
    }
}

/// `#[on(init)]` becomes the path `on::init`: where its arguments come from follows from the types here.
pub mod on {
    use super::{AppHook, Hook, SessionHook};

    /// `#[on(init)]`
    #[must_use]
    pub const fn init<S>(hook: AppHook<S>) -> Hook<S> {
        Hook::Init(hook)
    }
    /// `#[on(after_init)]`
    #[must_use]
    pub const fn after_init<S>(hook: AppHook<S>) -> Hook<S> {
        Hook::AfterInit(hook)
    }
    /// `#[on(before_shutdown)]`
    #[must_use]
    pub const fn before_shutdown<S>(hook: AppHook<S>) -> Hook<S> {
        Hook::BeforeShutdown(hook)
    }
    /// `#[on(shutdown)]`
    #[must_use]
    pub const fn shutdown<S>(hook: AppHook<S>) -> Hook<S> {
        Hook::Shutdown(hook)
    }
    /// `#[on(session_bound)]`
    #[must_use]
    pub const fn session_bound<S>(hook: SessionHook<S>) -> Hook<S> {
        Hook::SessionBound(hook)
    }
    /// `#[on(session_closed)]`
    #[must_use]
    pub const fn session_closed<S>(hook: SessionHook<S>) -> Hook<S> {
        Hook::SessionClosed(hook)
    }
}

/// Boxes the future of a hook.
pub fn boxed<F>(future: F) -> BoxFuture<'static, Result<Answer<()>>>
where
    F: Future<Output = Result<Answer<()>>> + Send + 'static,
{
    Box::pin(future)
}
