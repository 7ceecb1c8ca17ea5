//! What the page and the rooms say to each other.

use pitaya_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

const LONGEST_NAME: usize = 24;
const LONGEST_ROOM: usize = 32;
const LONGEST_TEXT: usize = 500;

#[derive(Deserialize)]
pub struct Join {
    name: String,
    room: String,
}

#[derive(Serialize)]
pub struct Joined {
    pub room: String,
    pub name: String,
    pub members: Vec<String>,
    pub history: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Say {
    text: String,
}

#[derive(Serialize, Clone)]
pub struct Line {
    pub name: String,
    pub text: String,
    pub at: u64,
}

#[derive(Serialize)]
pub struct Message<'a> {
    pub room: &'a str,
    #[serde(flatten)]
    pub line: &'a Line,
}

#[derive(Serialize)]
pub struct Change<'a> {
    pub name: &'a str,
    pub members: Vec<String>,
}

#[derive(Serialize)]
pub struct Rooms {
    rooms: Vec<RoomInfo>,
}

#[derive(Serialize)]
struct RoomInfo {
    name: String,
    members: usize,
}

impl Join {
    /// The name and the room, if they can be ones.
    pub fn checked(&self) -> Result<(String, String)> {
        let name = clean(&self.name, LONGEST_NAME).ok_or_else(|| {
            Error::new("CHAT-NAME", format!("a name has 1 to {LONGEST_NAME} characters, none of them invisible"))
        })?;
        let room = clean(&self.room, LONGEST_ROOM).ok_or_else(|| {
            Error::new("CHAT-ROOM", format!("a room's name has 1 to {LONGEST_ROOM} characters, none of them invisible"))
        })?;
        Ok((name, room))
    }
}

impl Say {
    /// What this person says now, if it can be said.
    pub fn line(&self, name: String) -> Result<Line> {
        let text = self.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST_TEXT {
            return Err(Error::new("CHAT-TEXT", format!("a message has 1 to {LONGEST_TEXT} characters")));
        }
        Ok(Line { name, text: text.to_owned(), at: now() })
    }
}

impl Rooms {
    /// Those with the most people first.
    pub fn new(rooms: impl Iterator<Item = (String, usize)>) -> Self {
        let mut rooms: Vec<_> = rooms.map(|(name, members)| RoomInfo { name, members }).collect();
        rooms.sort_by(|a, b| b.members.cmp(&a.members).then_with(|| a.name.cmp(&b.name)));
        Self { rooms }
    }
}

/// The text without blanks around it, if it can be a name.
fn clean(text: &str, longest: usize) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

fn now() -> u64 {
    // Before 1970 no chat was recorded.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
