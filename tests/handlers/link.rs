//! A session without a connection, and a registry driven by hand.

use pitaya_runtime::codec::{Serializer, serializer};
use pitaya_runtime::handler::Step;
use pitaya_runtime::pipeline::Pipeline;
use pitaya_runtime::registry::Registry;
use pitaya_runtime::session::{Link, Push};
use pitaya_runtime::turn::Place;
use pitaya_runtime::{BoxFuture, CloseReason, Context, Handlers, Json, Result, Session, State};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

struct Nobody;

impl Link for Nobody {
    fn push(&self, _: &str, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn send(&self, _: &Push) -> Result<()> {
        Ok(())
    }
    fn kick(&self, _: Option<&pitaya_core::KickReason>) -> Result<()> {
        Ok(())
    }
    fn close(&self, _: CloseReason) {}
    fn bind<'a>(&'a self, _: &'a Session, _: &'a Arc<str>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn serializer(&self) -> Serializer {
        serializer::<Json>()
    }
}

/// A session with this id.
pub(crate) fn session(id: i64) -> Session {
    Session::new(id, Arc::new(Nobody))
}

/// What a client sees of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The body of the answer; empty for a notify.
    Body(String),
    /// The code and the text of the error.
    Fault(String, String),
}

pub(crate) fn body(text: &str) -> Seen {
    Seen::Body(text.to_owned())
}

pub(crate) fn fault(code: &str, text: &str) -> Seen {
    Seen::Fault(code.to_owned(), text.to_owned())
}

/// Mounted components and a client that calls them.
pub(crate) struct Server {
    registry: Registry,
    context: Context,
}

impl Server {
    /// One component, mounted for a serializer.
    pub(crate) fn of<S: Handlers>(codec: &'static str, component: S) -> Self {
        Self::with(State::default(), Pipeline::default()).and(codec, component)
    }

    pub(crate) fn with(state: State, pipeline: Pipeline) -> Self {
        let context = Context::new(session(3), Arc::new(state), Arc::new(pipeline), Arc::new([]));
        Self { registry: Registry::default(), context }
    }

    pub(crate) fn and<S: Handlers>(mut self, codec: &'static str, component: S) -> Self {
        let problems = self.registry.mount("chat", None, codec, Arc::new(component));
        assert!(problems.is_empty(), "{problems:?}");
        self
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Calls a route, and says how often its future was polled: not at all when the method is not `async`.
    pub(crate) fn polled(&self, route: &str, body: &[u8]) -> (Seen, u32) {
        let number = self.registry.find(route.as_bytes()).unwrap_or_else(|| panic!("no route {route}"));
        let entry = self.registry.entry(number).expect("an entry for the number");
        let (mut cx, mut out, mut place) = (self.context.clone(), Vec::new(), Place::default());
        let mut polls = 0;
        let result = match entry.call(&mut cx, body, &mut out, &mut place) {
            Step::Done(result) => result,
            Step::Later => drive(|waker| {
                polls += 1;
                place.poll(waker, &mut out)
            }),
        };
        let seen = match result {
            Ok(()) => Seen::Body(String::from_utf8(out).expect("text")),
            Err(e) => Seen::Fault(e.code().to_owned(), e.message().to_owned()),
        };
        (seen, polls)
    }

    pub(crate) fn call(&self, route: &str, body: &str) -> Seen {
        self.polled(route, body.as_bytes()).0
    }
}

fn drive<T>(mut poll: impl FnMut(&mut task::Context<'_>) -> Poll<T>) -> T {
    let mut cx = task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return value;
        }
    }
}

/// Runs a future that wakes itself.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    drive(|cx| future.as_mut().poll(cx))
}

/// Pending once.
pub(crate) async fn tick() {
    let mut first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}
