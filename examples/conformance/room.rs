//! What a game does: echo, data, bind, push, kick, wait, fail.

use crate::messages::Move;
use pitaya_runtime::config::duration;
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use std::str::from_utf8;

pub struct Room;

#[handler(codec(Json, Protobuf))]
impl Room {
    /// An echo without a future.
    pub fn join(&self, raw: Raw) -> Raw {
        raw
    }

    /// An echo with one.
    pub async fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    /// A typed echo.
    #[route("move")]
    pub async fn step(&self, step: Move) -> Move {
        step
    }

    pub async fn setdata(&self, session: &Session, raw: Raw) -> Result<Raw> {
        let bad = |e: Error| Error::new("ROOM-400", e.message().to_owned()).with("why", "json");
        session.data().replace_encoded(&raw.0).map_err(bad)?;
        session.push_to_front().await?;
        Ok(Raw::from(if session.frontend().is_some() { "pushed" } else { "front" }))
    }

    pub fn getdata(&self, session: &Session) -> Raw {
        Raw(session.data().encoded())
    }

    pub async fn bindto(&self, session: &Session, uid: Raw) -> Result<Raw> {
        let refused = |e: Error| Error::new("ROOM-BIND", e.message().to_owned());
        session.bind(from_utf8(&uid.0)?).await.map_err(refused)?;
        Ok(Raw::from("bound"))
    }

    pub fn pushme(&self, session: &Session, raw: Raw) -> Result<Raw> {
        session.push_raw("onPush", &raw.0)?;
        let uid = session.uid().map(|uid| uid.to_string()).unwrap_or_default();
        let step = Move { uid, seq: 7, pos: vec![1.5, 2.0], act: "p".to_owned() };
        session.push_as::<(Json, Protobuf), _>("onMove", &step)?;
        Ok(Raw::from("after two pushes"))
    }

    /// A typed push with what came, then the answer with the same.
    pub fn pushmove(&self, session: &Session, step: Move) -> Result<Move> {
        session.push_as::<(Json, Protobuf), _>("onMove", &step)?;
        Ok(step)
    }

    /// With a reason, because the oldest clients cannot read a kick without one.
    pub fn kickme(&self, session: &Session) -> Result<Raw> {
        session.kick_with(&KickReason::new("KICK-1", "kickme"))?;
        Ok(Raw::from("kicked"))
    }

    pub async fn sleep(&self, raw: Raw) -> Result<Raw> {
        let time = duration::parse(from_utf8(&raw.0)?).map_err(|e| Error::new("ROOM-400", e.to_string()))?;
        tokio::time::sleep(time).await;
        Ok(Raw::from("slept"))
    }

    pub fn panic(&self) -> Raw {
        panic!("on purpose")
    }

    /// Joins a group, which is there from the first who joins.
    pub async fn enter(&self, session: &Session, groups: &Groups, name: Raw) -> Result<Raw> {
        let name = from_utf8(&name.0)?;
        let uid = session.uid().ok_or_else(|| Error::new("ROOM-BIND", "bind a uid first"))?;
        groups.ensure(name).await?;
        groups.add_member(name, &uid).await?;
        Ok(Raw::from("entered"))
    }

    /// Tells a group: its name, a space, and what its members hear on `route.test`.
    #[route(notify)]
    pub async fn say(&self, groups: &Groups, raw: Raw) -> Result<()> {
        let space = raw.0.iter().position(|byte| *byte == b' ');
        let space = space.ok_or_else(|| Error::new("ROOM-400", "a name, a space, what to say"))?;
        let push = Push::raw("route.test", raw.0.slice(space + 1..))?;
        Ok(groups.at("connector").multicast(from_utf8(&raw.0[..space])?, &push, |_| true).await?)
    }

    #[route(notify)]
    pub fn told(&self, session: &Session, raw: Raw) -> Result<()> {
        session.push_raw("onTold", &raw.0)
    }
}
