//! Rooms of people who talk. Who is where is kept here; who hears what is the groups' work.

use crate::messages::{Change, Join, Joined, Line, Message, Person, Rooms, Say};
use pitaya_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// How many messages a newcomer is shown.
const HISTORY: usize = 50;

#[derive(Default)]
pub struct Room {
    rooms: Mutex<HashMap<String, State>>,
}

#[derive(Default)]
struct State {
    /// Names by uid.
    members: BTreeMap<String, String>,
    history: VecDeque<Line>,
}

/// Where a session sits and what it is called; kept in its data.
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
        let uid = guest(session).await?;
        self.go(session, groups).await?;

        session.data().set("seat", Seat { room: room.clone(), name: name.clone() })?;
        let joined = self.with(|rooms| {
            let state = rooms.entry(room.clone()).or_default();
            state.members.insert(uid.clone(), name.clone());
            let (members, history) = (state.people(), state.history.iter().cloned().collect());
            Joined { room: room.clone(), id: uid.clone(), name: name.clone(), members, history }
        });
        // The group comes with its first member and goes with its last.
        if let Err(e) = groups.join_or_create(&room, session).await {
            self.go(session, groups).await?;
            return Err(e.into());
        }
        let change = Change { id: &uid, name: &name, members: joined.members.clone() };
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
        let line = say.line(guest(session).await?, name)?;
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
        let uid = guest(session).await?;
        let members = self.with(|rooms| {
            let state = rooms.get_mut(&room)?;
            state.members.remove(&uid);
            let members = state.people();
            if members.is_empty() {
                rooms.remove(&room);
            }
            Some(members)
        });
        // The session's end may have taken it out of the group already, and the last one the group with it.
        let _ = groups.leave(&room, session).await;
        let change = Change { id: &uid, name: &name, members: members.unwrap_or_default() };
        let _ = groups.broadcast(&room, "onLeave", &change).await;
        Ok(())
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, State>) -> T) -> T {
        // A panic while it was held left nothing half-done that matters to a chat.
        f(&mut self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn people(&self) -> Vec<Person> {
        self.members.iter().map(|(id, name)| Person { id: id.clone(), name: name.clone() }).collect()
    }
}

/// The uid of a session, chosen here. A uid is who the session is to everybody else: were it the client's choice, anybody
/// could take anybody's place. A game with accounts takes it from a token that it has checked; a name is for show.
async fn guest(session: &Session) -> Result<String> {
    if let Some(uid) = session.uid() {
        return Ok(uid.to_string());
    }
    let uid = Uuid::new_v4().to_string();
    session.bind(&uid).await?;
    Ok(uid)
}
