//! Calls between servers: the table that `#[remote]` emits, what its methods may borrow, and the caller's side.
//!
//! Nothing here assumes a broker: whatever carries calls is an [`RpcClient`].

mod callee;
mod context;
mod lend;

pub use crate::rpc::{Metadata, Peer, Rpc, RpcCall, RpcClient, Target};
pub use callee::{Callee, Sent};
pub use context::RemoteContext;

use crate::handler::Table;

/// A component with remotes. Implemented by `#[remote]`, never by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exposes no remotes",
    label = "not a component for other servers",
    note = "annotate an `impl {Self}` block, or its `impl` of a `#[remote]` trait, with `#[pitaya_runtime::remote]`"
)]
pub trait Remotes: Send + Sync + Sized + 'static {
    /// The table of the block.
    const REMOTES: Table<Self, RemoteContext>;
}

/// What a remote may return, so that its stub can name the answer: `T` and `Result<T, E>` cannot be told apart where a
/// type is written, so it is a `Result` or nothing.
#[diagnostic::on_unimplemented(
    message = "a remote returns a `Result<T, E>` or nothing, not `{Self}`",
    label = "a call of another server can always fail",
    note = "write `-> Result<{Self}>`; `#[remote(client = false)]` lifts the rule, for then there is no stub"
)]
pub trait Outcome {
    /// What the caller gets.
    type Reply;
}

/// What the method of a stub gives, for a remote that returns `R`.
pub type Answered<R> = crate::error::Result<<R as Outcome>::Reply>;

#[diagnostic::do_not_recommend]
impl<T, E> Outcome for Result<T, E> {
    type Reply = T;
}

#[diagnostic::do_not_recommend]
impl Outcome for () {
    type Reply = ();
}
