//! The tables that `#[handler]` and `#[remote]` emit, and the few functions its rows are made of.
//!
//! A row is one closure of three statements: read the payload, call the method, hand over what it returned. Everything
//! such a row *does* is a generic function here; generated code only names types and methods.

mod call;
mod check;
mod rows;

pub use crate::answer::{Answer, Nothing, Plain, Returned};
pub use call::{Call, Read, Row, Step};
pub use check::{assert_unique, check};
pub use rows::joined;

use crate::context::Context;
use crate::lifecycle::Hook;
use crate::schema::Schemas;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The client waits for an answer.
    Request,
    /// Nobody waits: whatever the method returns or fails with stays on the server.
    Notify,
}

/// What is known of a route without an instance of its component.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method's part of the route.
    pub name: &'static str,
    /// Whether it answers.
    pub kind: Kind,
    /// Whether the method is an `async fn`.
    pub is_async: bool,
    /// Whether later messages of the session may overtake it.
    pub concurrent: bool,
    /// Whether it is dropped, not finished, when the client goes.
    pub cancel: bool,
    /// Whether only other servers may call it, never a client.
    pub internal: bool,
    /// The pinned dictionary code, 0 when none is.
    pub code: u16,
    /// How long a frontend that forwards this route waits for the answer, where its configuration names no other time;
    /// none for the general timeout. A message that the server's own clients send is not affected.
    pub timeout: Option<Duration>,
    /// The doc comment.
    pub docs: &'static str,
    /// The type of the payload as its author wrote it, when there is one.
    pub payload: Option<&'static str>,
    /// The type of the answer as its author wrote it: the `T` of a `Result<T, E>`, or the whole type where the `Result`
    /// hides behind an alias. None for a notify.
    pub answer: Option<&'static str>,
    /// The line of the method, in the file of the block; 0 when it is not known.
    pub line: u32,
}

impl Route {
    /// A route that answers; the line is 0 where it is not known.
    #[must_use]
    pub const fn request(name: &'static str, line: u32) -> Self {
        Self {
            name,
            kind: Kind::Request,
            is_async: false,
            concurrent: false,
            cancel: false,
            internal: false,
            code: 0,
            timeout: None,
            docs: "",
            payload: None,
            answer: None,
            line,
        }
    }

    /// A route that does not answer.
    #[must_use]
    pub const fn notify(name: &'static str, line: u32) -> Self {
        Self { kind: Kind::Notify, ..Self::request(name, line) }
    }

    /// The types of the method, an `fn`; `""` where there is none. No type is spelled like that.
    #[must_use]
    pub const fn sync_fn(mut self, payload: &'static str, answer: &'static str) -> Self {
        self.payload = some(payload);
        self.answer = some(answer);
        self
    }

    /// The types of the method, an `async fn`; `""` where there is none.
    #[must_use]
    pub const fn async_fn(mut self, payload: &'static str, answer: &'static str) -> Self {
        self.is_async = true;
        self.sync_fn(payload, answer)
    }

    /// The doc comment.
    #[must_use]
    pub const fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }

    /// The dictionary code is pinned.
    #[must_use]
    pub const fn code(mut self, code: u16) -> Self {
        self.code = code;
        self
    }

    /// A frontend that forwards this route waits for the answer for `millis` milliseconds.
    #[must_use]
    pub const fn timeout(mut self, millis: u64) -> Self {
        self.timeout = Some(Duration::from_millis(millis));
        self
    }

    /// Later messages of the session may overtake it.
    #[must_use]
    pub const fn concurrent(mut self) -> Self {
        self.concurrent = true;
        self
    }

    /// Dropped when the client goes.
    #[must_use]
    pub const fn cancel(mut self) -> Self {
        self.cancel = true;
        self
    }

    /// Whether its answer is [`Raw`](crate::Raw), by the name of the type: bytes that are sent as they are.
    #[must_use]
    pub fn answers_raw(&self) -> bool {
        self.answer.is_some_and(|answer| answer.rsplit("::").next().is_some_and(|name| name.trim() == "Raw"))
    }

    /// Not for clients.
    #[must_use]
    pub const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }
}

const fn some(name: &'static str) -> Option<&'static str> {
    if name.is_empty() { None } else { Some(name) }
}

/// Who may call a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Clients.
    Handler,
    /// Other servers.
    Remote,
}

/// What is known of a block of handlers or remotes without an instance: it does not depend on type parameters, so generic
/// components have one too.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Who may call it.
    pub side: Side,
    /// The component's part of the route.
    pub name: &'static str,
    /// The type, as its author wrote it.
    pub type_name: &'static str,
    /// The codecs the block was compiled for.
    pub codecs: &'static [&'static str],
    /// The routes, in the order of the methods.
    pub routes: &'static [Route],
    /// `file:line` of the attribute.
    pub location: &'static str,
    /// `file:line` of the contract, where this is a server of one: its routes are written there.
    pub contract: Option<&'static str>,
}

impl Service {
    /// `file:line` of the method behind one of its routes; of the block, for the server of a contract.
    #[must_use]
    pub fn place(&self, route: &Route) -> String {
        match (route.line, self.location.rsplit_once(':')) {
            (line @ 1.., Some((file, _))) if self.contract.is_none() => format!("{file}:{line}"),
            _ => self.location.to_owned(),
        }
    }
}

/// The rows and hooks of a component, beside its description. `X` is what its methods borrow from.
pub struct Table<S: 'static, X: 'static = Context> {
    /// The description.
    pub service: &'static Service,
    /// One row a route, in the same order.
    pub rows: &'static [Row<S, X>],
    /// The lifecycle methods.
    pub hooks: &'static [Hook<S>],
    /// The schemas of the routes, in the same order; empty without the option `schema`.
    pub schemas: &'static [Schemas],
}

impl<S, X> std::fmt::Debug for Table<S, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("service", self.service).finish_non_exhaustive()
    }
}

/// A component with handlers. Implemented by `#[handler]`, never by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exposes no handlers",
    label = "not a component",
    note = "annotate an `impl {Self}` block with `#[pitaya_runtime::handler]`"
)]
pub trait Handlers: Send + Sync + Sized + 'static {
    /// The table of the block.
    const HANDLERS: Table<Self>;
}

/// A service that is linked into the program, mounted or not. Submitted by the macros.
#[derive(Debug)]
pub struct Declared(pub &'static Service);

inventory::collect!(Declared);

/// Every service that is linked into this program, sorted by name and location.
///
/// It serves discovery (warnings, documentation) only: nothing is mounted by being here, and a crate that no code
/// names is never linked.
#[must_use]
pub fn declared() -> Vec<&'static Service> {
    let mut all: Vec<_> = inventory::iter::<Declared>.into_iter().map(|declared| declared.0).collect();
    all.sort_by_key(|service| (service.name, service.location));
    all
}
