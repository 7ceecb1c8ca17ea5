//! The component whose expansion `room.expanded.rs` shows.

use pitaya_runtime::prelude::*;

#[derive(serde::Deserialize)]
struct Join {
    name: String,
}

struct Room;

mod sample {
    use super::{AppEvent, Context, Join, Raw, Result, Room, Session, handler};

    #[handler]
    impl Room {
        /// Joins the room.
        pub(crate) async fn join(&self, session: &Session, msg: Join) -> Result<String> {
            session.data().set("name", &msg.name)?;
            Ok(msg.name)
        }

        /// No answer: a notify.
        #[route(concurrent)]
        pub(crate) fn say(&self, cx: &Context, msg: Join) {
            let _ = (cx, msg.name);
        }

        #[route("ping", code = 7)]
        pub(crate) fn pong(&self, raw: Raw) -> Raw {
            raw
        }

        #[on(init)]
        async fn open(&self, event: &AppEvent) -> Result<()> {
            let _ = event;
            Ok(())
        }
    }
}

#[test]
fn it_works() {
    use pitaya_runtime::Handlers;
    assert_eq!(Room::HANDLERS.rows.len(), 3);
    let _ = (Room::join, Room::say, Room::pong);
}
