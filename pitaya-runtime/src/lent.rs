//! What an app lends to its components: handlers, remotes and hooks borrow it.

use crate::app::App;
use crate::groups::Groups;
use crate::metrics::Metrics;
use crate::timers::Timers;
use pitaya_core::{AppEvent, Context, FromContext, RemoteContext, Result, SessionEvent};

macro_rules! lent_from_state {
    ($($type:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl FromContext for $type {
            fn from_context(cx: &Context) -> Result<&Self> {
                cx.state()
            }
        }
        #[diagnostic::do_not_recommend]
        impl FromContext<AppEvent> for $type {
            fn from_context(event: &AppEvent) -> Result<&Self> {
                event.state.get()
            }
        }
        #[diagnostic::do_not_recommend]
        impl FromContext<SessionEvent> for $type {
            fn from_context(event: &SessionEvent) -> Result<&Self> {
                event.state.get()
            }
        }
        #[diagnostic::do_not_recommend]
        impl FromContext<RemoteContext> for $type {
            fn from_context(cx: &RemoteContext) -> Result<&Self> {
                cx.state()
            }
        }
    )* };
}
lent_from_state!(App, Groups, Metrics, Timers);
