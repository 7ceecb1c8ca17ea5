//! Where a method gets the way to other servers from.

use crate::context::{AppEvent, Context, FromContext, SessionEvent};
use crate::error::Result;
use crate::remote::RemoteContext;
use crate::rpc::Rpc;

#[diagnostic::do_not_recommend]
impl FromContext for Rpc {
    fn from_context(cx: &Context) -> Result<&Self> {
        cx.rpc()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<AppEvent> for Rpc {
    fn from_context(event: &AppEvent) -> Result<&Self> {
        event.state.get()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<SessionEvent> for Rpc {
    fn from_context(event: &SessionEvent) -> Result<&Self> {
        event.state.get()
    }
}

#[diagnostic::do_not_recommend]
impl FromContext<RemoteContext> for Rpc {
    fn from_context(cx: &RemoteContext) -> Result<&Self> {
        Ok(cx.rpc())
    }
}
