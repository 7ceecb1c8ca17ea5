//! A user whose manifest calls `pitaya-runtime` by another name: the macros find it there without being told, and find
//! it through a path of the user's with `crate = path`.

use my_game::prelude::*;

/// Where this crate keeps it, for crates that do not depend on it.
pub mod reexported {
    pub use my_game as engine;
}

/// A message.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct Join {
    /// Name of the player.
    pub name: String,
}

/// Why a room refuses, found by the manifest.
#[derive(Debug, Fault)]
#[fault(code = "ROOM-1", message = "full")]
pub struct Full;

/// The same by `crate = path`.
#[derive(Debug, Fault)]
#[fault(code = "ROOM-2", message = "closed", crate = crate::reexported::engine)]
pub struct Closed;

/// An error of the standard library's kind.
#[derive(Debug, Fault)]
#[fault(code = "ROOM-3")]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

/// A component, found by the manifest.
#[derive(Debug)]
pub struct Room;

#[handler]
impl Room {
    /// Joins.
    ///
    /// # Errors
    /// When the session cannot be bound.
    pub async fn join(&self, session: &Session, msg: Join) -> Result<String> {
        session.bind(&msg.name).await?;
        Ok(msg.name)
    }

    #[on(init)]
    fn open(&self) {}
}

/// A contract and its stub, found by the manifest.
#[remote(codec = Json)]
pub trait RoomApi {
    /// Joins.
    async fn enter(&self, msg: Join) -> Result<Join, Full>;
}

#[remote]
impl RoomApi for Room {
    async fn enter(&self, _: Join) -> Result<Join, Full> {
        Err(Full)
    }
}

/// A component with its path, `crate = path`.
#[derive(Debug)]
pub struct Hall;

#[handler(crate = crate::reexported::engine)]
impl Hall {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn join(&self) -> Result<(), Closed> {
        Err(Closed)
    }
}

#[remote(crate = crate::reexported::engine, codec = Json)]
impl Hall {
    /// Greets.
    ///
    /// # Errors
    /// Never.
    pub fn greet(&self) -> Result<String> {
        Ok("hello".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use my_game::{Handlers, Remotes};

    #[test]
    fn the_name_of_the_manifest_is_found() {
        assert_eq!((Room::HANDLERS.rows.len(), Room::REMOTES.rows.len()), (1, 1));
        assert_eq!((Error::from(Full).code(), Error::from(Broken).code()), ("ROOM-1", "ROOM-3"));
        let _ = RoomApiClient::enter;
    }

    #[test]
    fn a_path_that_is_given_is_taken() {
        assert_eq!((Hall::HANDLERS.rows.len(), Hall::REMOTES.rows.len()), (1, 1));
        assert_eq!(Error::from(Closed).code(), "ROOM-2");
        let _ = HallClient::greet;
    }
}
