//! Rooms of people who talk. Who is where is kept here; who hears what is the groups' work.

use crate::messages::{Change, Join, Joined, Line, Message, Rooms, Say};
use pitaya_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many messages a newcomer is shown.
const HISTORY: usize = 50;

#[derive(Default)]
pub struct Room {
    rooms: Mutex<HashMap<String, State>>,
}

#[derive(Default)]
struct State {
    /// Names, and the uids behind them.
    members: BTreeMap<String, String>,
    history: VecDeque<Line>,
}

/// Where a session sits; kept in its data.
#[derive(Serialize, Deserialize, Clone)]
struct Seat {
    room: String,
    name: String,
}

#[handler]
impl Room {
    /// Takes a seat in a room, leaving the one the session had.
    pub async fn join(&self, session: &Session, groups: &Groups, join: Join) -> Result<Joined> {
        let (name, room) = join.checked()?;
        // Names are free in every room; the uid is the session's own.
        let uid = format!("guest-{}", session.id());
        if session.uid().is_none() {
            session.bind(&uid).await?;
        }
        self.go(session, groups).await?;

        let joined = self.with(|rooms| {
            let state = rooms.entry(room.clone()).or_default();
            if state.members.contains_key(&name) {
                return Err(Error::new("CHAT-TAKEN", format!("somebody in {room} is called {name} already")));
            }
            state.members.insert(name.clone(), uid.clone());
            let members = state.members.keys().cloned().collect();
            Ok(Joined {
                room: room.clone(),
                name: name.clone(),
                members,
                history: state.history.iter().cloned().collect(),
            })
        })?;
        session.data().set("seat", Seat { room: room.clone(), name: name.clone() })?;
        groups.ensure(&room).await?;
        groups.add_member(&room, &uid).await?;
        let change = Change { name: &name, members: joined.members.clone() };
        let push = groups.encode::<(Json,), _>("onJoin", &change)?;
        // The newcomer has the answer; everybody else is told. A member that is just leaving is no error.
        let _ = groups.multicast(&room, &push, |member| member != uid).await;
        Ok(joined)
    }

    /// Says something to everybody in the room, the speaker included. Nobody waits for an answer, so what is wrong with
    /// it comes as a push.
    pub async fn message(&self, session: &Session, groups: &Groups, say: Say) {
        if let Err(e) = self.say(session, groups, &say).await {
            let error = serde_json::json!({ "code": e.code(), "msg": e.message() });
            // The session may be gone by now; then nobody wants to know.
            let _ = session.push("onError", &error);
        }
    }

    /// Leaves the room.
    pub async fn leave(&self, session: &Session, groups: &Groups) -> Result<()> {
        self.go(session, groups).await
    }

    /// Every room with somebody in it.
    pub fn rooms(&self) -> Rooms {
        self.with(|rooms| Rooms::new(rooms.iter().map(|(name, state)| (name.clone(), state.members.len()))))
    }

    #[on(session_closed)]
    async fn gone(&self, session: &Session, groups: &Groups) -> Result<()> {
        self.go(session, groups).await
    }

    async fn say(&self, session: &Session, groups: &Groups, say: &Say) -> Result<()> {
        let Some(Seat { room, name }) = session.data().get("seat")? else {
            return Err(Error::new("CHAT-ROOM", "join a room first"));
        };
        let line = say.line(name)?;
        self.with(|rooms| {
            if let Some(state) = rooms.get_mut(&room) {
                state.history.push_back(line.clone());
                if state.history.len() > HISTORY {
                    state.history.pop_front();
                }
            }
        });
        // Whoever could not be reached is leaving.
        let _ = groups.broadcast(&room, "onMessage", &Message { room: &room, line: &line }).await;
        Ok(())
    }

    /// Takes the session out of its room, if it is in one.
    async fn go(&self, session: &Session, groups: &Groups) -> Result<()> {
        let Some(Seat { room, name }) = session.data().get("seat")? else { return Ok(()) };
        session.data().remove("seat");
        let members = self.with(|rooms| {
            let state = rooms.get_mut(&room)?;
            state.members.remove(&name);
            let members: Vec<String> = state.members.keys().cloned().collect();
            if members.is_empty() {
                rooms.remove(&room);
            }
            Some(members)
        });
        // The session's end may have taken it out of the group already.
        let _ = groups.remove_member(&room, &format!("guest-{}", session.id())).await;
        let _ = groups.broadcast(&room, "onLeave", &Change { name: &name, members: members.unwrap_or_default() }).await;
        Ok(())
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, State>) -> T) -> T {
        // A panic while it was held left nothing half-done that matters to a chat.
        f(&mut self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
