//! `#[on(..)]`: when hooks run, in which order, and what they borrow.

use crate::link::{Server, session, tick, wait};
use pitaya_runtime::State;
use pitaya_runtime::pipeline::Pipeline;
use pitaya_runtime::prelude::*;
use pitaya_runtime::registry::{Moment, SessionMoment};
use std::sync::{Arc, Mutex};

type Diary = Arc<Mutex<Vec<String>>>;

/// Two types, for order; the second is made by a macro, and its hooks are routes of nobody.
macro_rules! component {
    ($name:ident, $word:literal) => {
        pub struct $name(Diary);

        #[handler]
        impl $name {
            pub fn work(&self) {}

            #[on(init)]
            async fn open(&self, event: &AppEvent) -> Result<()> {
                tick().await;
                self.note(&format!("init with {}", event.state.get::<u8>()?))
            }
            #[on(after_init)]
            fn ready(&self) {
                let _ = self.note("after_init");
            }
            #[on(before_shutdown)]
            pub async fn drain(&self) -> Result<()> {
                self.note("before_shutdown")
            }
            #[on(shutdown)]
            fn close(&self) -> Result<()> {
                self.note("shutdown")?;
                Err(Error::new("APP-1", "keeps no other from closing"))
            }
            #[on(session_bound)]
            fn bound(self: &Arc<Self>, session: &Session, event: &SessionEvent) {
                let _ = self.note(&format!("bound {}", session.id() + event.session.id()));
            }
            #[on(session_closed)]
            async fn left(&self, reason: &CloseReason) -> Result<()> {
                self.note(&format!("closed: {reason:?}"))
            }

            fn note(&self, what: &str) -> Result<()> {
                self.0.lock().map_err(|_| Error::internal("poisoned"))?.push(format!("{}: {what}", $word));
                Ok(())
            }
        }
    };
}
component!(First, "first");
component!(Second, "second");

#[test]
fn hooks_run_in_mount_order_and_back() {
    let diary = Diary::default();
    let state = Arc::new(State::default().with(7_u8));
    let server = Server::with(State::default(), Pipeline::default())
        .and("json", First(diary.clone()))
        .and("json", Second(diary.clone()));
    let read = || std::mem::take(&mut *diary.lock().expect("a diary"));
    let event = AppEvent { state: state.clone() };

    for moment in [Moment::Init, Moment::AfterInit] {
        wait(server.registry().app(moment, &event, |_| ())).expect("both start");
    }
    assert_eq!(read(), ["first: init with 7", "second: init with 7", "first: after_init", "second: after_init"]);

    let session = session(4);
    let event = SessionEvent { session: session.clone(), state };
    assert!(server.registry().hears_sessions());
    wait(server.registry().session(SessionMoment::Bound, &event));
    session.finish(CloseReason::Kicked(None));
    wait(server.registry().session(SessionMoment::Closed, &event));
    assert_eq!(
        read(),
        ["first: bound 8", "second: bound 8", "first: closed: Kicked(None)", "second: closed: Kicked(None)"]
    );

    let event = AppEvent { state: Arc::default() };
    for moment in [Moment::BeforeShutdown, Moment::Shutdown] {
        wait(server.registry().app(moment, &event, |_| ())).expect("the end runs to its end");
    }
    assert_eq!(read(), ["second: before_shutdown", "first: before_shutdown", "second: shutdown", "first: shutdown"]);

    assert_eq!(server.registry().entries().len(), 2, "a hook is never a route");
    let error = wait(server.registry().app(Moment::Init, &event, |_| ())).expect_err("no u8 in the state");
    assert!(error.message().contains("Init of First"), "{error}");
    assert_eq!(read().len(), 0, "the first error ends the start");
    for moment in [Moment::BeforeShutdown, Moment::Shutdown] {
        wait(server.registry().app(moment, &event, |_| ())).expect("the end runs to its end");
    }
    assert_eq!(read().len(), 0, "no init has completed: nothing is to be ended");
}
