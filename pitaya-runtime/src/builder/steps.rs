//! The steps around methods: those around handlers, and those around remotes.

use super::Builder;
use pitaya_core::RemoteContext;
use pitaya_core::pipeline::{After, Before, BeforeRaw};

/// Messages of clients pass the steps of the server whose handler runs, also when another server forwarded them. Calls of
/// other servers pass those of remotes, and no others. Go has the same two sets: `HandlerHooks` and `RemoteHooks`.
impl Builder {
    /// A step on the bytes of every body of a client, before it is decoded.
    pub fn before_raw(mut self, step: impl BeforeRaw) -> Self {
        self.pipeline.push_raw(step);
        self
    }

    /// A step on every payload of a client, before its handler.
    pub fn before(mut self, step: impl Before) -> Self {
        self.pipeline.push_before(step);
        self
    }

    /// A step on every answer or error of a handler.
    pub fn after(mut self, step: impl After) -> Self {
        self.pipeline.push_after(step);
        self
    }

    /// A step on the bytes of every argument of a remote, before it is decoded.
    ///
    /// As with [`before_remote`](Self::before_remote), its error keeps its code, and one without a code is PIT-500.
    pub fn before_raw_remote(mut self, step: impl BeforeRaw<RemoteContext>) -> Self {
        self.remote_pipeline.push_raw(step);
        self
    }

    /// A step on every argument of a remote, before its method.
    ///
    /// The caller gets its error with the code, text and metadata of its own; one without a code of its own (PIT-000) is
    /// PIT-500. Go has PIT-500 for all of them.
    ///
    /// ```
    /// use pitaya_runtime::prelude::*;
    /// use std::any::Any;
    ///
    /// let friends_only = |cx: &mut RemoteContext, _: &mut (dyn Any + Send)| match cx.caller() {
    ///     Some(peer) if &*peer.kind == "game" => Ok(()),
    ///     _ => Err(Error::new("BANK-1", "the bank talks to games only")),
    /// };
    /// let builder = Builder::new("bank").before_remote(friends_only);
    /// # let _ = builder;
    /// ```
    pub fn before_remote(mut self, step: impl Before<RemoteContext>) -> Self {
        self.remote_pipeline.push_before(step);
        self
    }

    /// A step on every answer or error of a remote. A call that is dropped at its deadline has neither.
    pub fn after_remote(mut self, step: impl After<RemoteContext>) -> Self {
        self.remote_pipeline.push_after(step);
        self
    }
}
