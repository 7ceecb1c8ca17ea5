//! Rooms of people whose connections other servers have. A uid is all that is known of them here, and all it takes to
//! reach them.

use crate::CONNECTOR;
use crate::messages::{Change, Join, Joined, Line, Message, Person, Rooms, Say};
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use pitaya_runtime::{PushError, Users};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// How many messages a newcomer is shown.
const HISTORY: usize = 50;

#[derive(Default)]
pub struct Room {
    house: Mutex<House>,
}

#[derive(Default)]
struct House {
    rooms: HashMap<String, State>,
    /// Who sits where, by uid.
    seats: HashMap<String, Seat>,
}

#[derive(Default)]
struct State {
    /// Names by uid.
    members: BTreeMap<String, String>,
    history: VecDeque<Line>,
}

#[derive(Clone)]
struct Seat {
    room: String,
    name: String,
}

#[handler]
impl Room {
    /// Takes a seat in a room, leaving the one this user had.
    pub async fn join(&self, app: &App, session: &Session, groups: &Groups, join: Join) -> Result<Joined> {
        let (name, room) = join.checked()?;
        let uid = match session.uid() {
            Some(uid) => uid.to_string(),
            None => {
                // Chosen here: were it the client's choice, anybody could take anybody's place. It is bound at the frontend,
                // so that everybody can reach it.
                let uid = Uuid::new_v4().to_string();
                session.bind(&uid).await?;
                uid
            }
        };
        let users = app.users(CONNECTOR);
        self.leave(app, session, groups).await?;
        let seat = Seat { room, name };
        let joined = self.with(|house| house.sit(&uid, &seat));
        // The player may have gone, and `gone` may have come, while this was on its way: then the session cannot join a group
        // any more. If it can, `gone` is still to come, and finds the seat.
        if let Err(error) = groups.join_or_create(&seat.room, session).await {
            self.with(|house| house.stand_up(&uid));
            return Err(error.into());
        }
        let change = Change { id: &uid, name: &seat.name, members: joined.members.clone() };
        let push = users.encode::<(Json,), _>("onJoin", &change)?;
        // The newcomer has the answer; everybody else is told.
        self.tell(&users, &seat.room, push, Some(&uid)).await?;
        Ok(joined)
    }

    /// Says something to everybody in the room, the speaker included. Nobody waits for an answer, so what is wrong with it
    /// comes as a push.
    pub async fn message(&self, app: &App, session: &Session, say: Say) {
        if let Err(e) = self.say(&app.users(CONNECTOR), session, &say).await {
            let error = serde_json::json!({ "code": e.code(), "msg": e.message() });
            // The session may be gone by now; then nobody wants to know.
            let _ = session.push("onError", &error);
        }
    }

    /// Leaves the room.
    pub async fn leave(&self, app: &App, session: &Session, groups: &Groups) -> Result<()> {
        let Some(uid) = session.uid() else { return Ok(()) };
        if let Some(Seat { room, .. }) = self.with(|house| house.seats.get(&*uid).cloned()) {
            groups.leave(&room, session).await?;
        }
        self.leave_room(&app.users(CONNECTOR), &uid).await
    }

    /// Every room with somebody in it.
    pub fn rooms(&self) -> Rooms {
        self.with(|house| Rooms::new(house.rooms.iter().map(|(name, state)| (name.clone(), state.members.len()))))
    }

    async fn say(&self, users: &Users, session: &Session, say: &Say) -> Result<()> {
        let uid = session.uid().unwrap_or_default();
        let Some(Seat { room, name }) = self.with(|house| house.seats.get(&*uid).cloned()) else {
            return Err(Error::new("CHAT-ROOM", "join a room first"));
        };
        let line = say.line(uid.to_string(), name)?;
        self.with(|house| house.remember(&room, line.clone()));
        let push = users.encode::<(Json,), _>("onMessage", &Message { room: &room, line: &line })?;
        self.tell(users, &room, push, None).await
    }

    /// Takes a user out of their room, if they are in one.
    async fn leave_room(&self, users: &Users, uid: &str) -> Result<()> {
        let Some((seat, members)) = self.with(|house| house.stand_up(uid)) else { return Ok(()) };
        let push = users.encode::<(Json,), _>("onLeave", &Change { id: uid, name: &seat.name, members })?;
        self.tell(users, &seat.room, push, None).await
    }

    /// Pushes to everybody in a room, wherever they are connected. Whom no frontend has, because it died with them, is not
    /// in the room any more either.
    async fn tell(&self, users: &Users, room: &str, push: Push, except: Option<&str>) -> Result<()> {
        let mut pushes = vec![(room.to_owned(), push)];
        while let Some((room, push)) = pushes.pop() {
            let mut uids = self.with(|house| house.uids(&room));
            uids.retain(|uid| except != Some(uid));
            let Err(PushError::Unreached(lost)) = users.push_encoded(&push, &uids).await else { continue };
            for uid in lost {
                let Some((seat, members)) = self.with(|house| house.stand_up(&uid)) else { continue };
                let push = users.encode::<(Json,), _>("onLeave", &Change { id: &uid, name: &seat.name, members })?;
                pushes.push((seat.room, push));
            }
        }
        Ok(())
    }

    fn with<T>(&self, f: impl FnOnce(&mut House) -> T) -> T {
        // A panic while it was held left nothing half-done that matters to a chat.
        f(&mut self.house.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// For other servers only.
#[remote(codec = Json)]
impl Room {
    /// This user's connection has ended.
    pub async fn gone(&self, app: &App, uid: String) -> Result<()> {
        self.leave_room(&app.users(CONNECTOR), &uid).await
    }
}

impl House {
    fn sit(&mut self, uid: &str, seat: &Seat) -> Joined {
        let Seat { room, name } = seat.clone();
        let state = self.rooms.entry(room.clone()).or_default();
        state.members.insert(uid.to_owned(), name.clone());
        self.seats.insert(uid.to_owned(), seat.clone());
        let (members, history) = (state.people(), state.history.iter().cloned().collect());
        Joined { room, id: uid.to_owned(), name, members, history }
    }

    /// Where the user sat, and who is left there.
    fn stand_up(&mut self, uid: &str) -> Option<(Seat, Vec<Person>)> {
        let seat = self.seats.remove(uid)?;
        let state = self.rooms.get_mut(&seat.room)?;
        state.members.remove(uid);
        let left = state.people();
        if left.is_empty() {
            self.rooms.remove(&seat.room);
        }
        Some((seat, left))
    }

    fn uids(&self, room: &str) -> Vec<String> {
        self.rooms.get(room).map(|state| state.members.keys().cloned().collect()).unwrap_or_default()
    }

    fn remember(&mut self, room: &str, line: Line) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        state.history.push_back(line);
        if state.history.len() > HISTORY {
            state.history.pop_front();
        }
    }
}

impl State {
    fn people(&self) -> Vec<Person> {
        self.members.iter().map(|(id, name)| Person { id: id.clone(), name: name.clone() }).collect()
    }
}
