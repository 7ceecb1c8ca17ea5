//! What the page and the rooms say to each other.

use pitaya_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

const LONGEST_NAME: usize = 64;
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
    /// Uid of the newcomer, chosen by the server.
    pub id: String,
    pub name: String,
    pub members: Vec<Person>,
    pub history: Vec<Line>,
}

/// Member of a room. Two people may have one name; the id tells them apart.
#[derive(Serialize, Clone)]
pub struct Person {
    pub id: String,
    pub name: String,
}

#[derive(Deserialize)]
pub struct Say {
    text: String,
}

#[derive(Serialize, Clone)]
pub struct Line {
    /// The id of who said it.
    pub from: String,
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
    pub id: &'a str,
    pub name: &'a str,
    pub members: Vec<Person>,
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
    pub fn line(&self, from: String, name: String) -> Result<Line> {
        let text = self.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST_TEXT {
            return Err(Error::new("CHAT-TEXT", format!("a message has 1 to {LONGEST_TEXT} characters")));
        }
        Ok(Line { from, name, text: text.to_owned(), at: now() })
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

/// The text without blanks around it, if it can be a name: in any script, with something to see in it, and with nothing that
/// turns the text around it.
fn clean(text: &str, longest: usize) -> Option<String> {
    let text = text.trim();
    let fits = text.chars().count() <= longest && !text.chars().any(is_hidden);
    // Joiners belong to emoji and to Persian words, and are not a name by themselves.
    let seen = text.chars().any(|sign| !sign.is_whitespace() && !matches!(sign, '\u{200c}' | '\u{200d}'));
    (fits && seen).then(|| text.to_owned())
}

/// Whether a sign is control, of no width, or changes the direction of what follows it.
fn is_hidden(sign: char) -> bool {
    let fills = matches!(sign, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{feff}' | '\u{200b}');
    let turns = matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    sign.is_control() || fills || turns
}

fn now() -> u64 {
    // Before 1970 no chat was recorded.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
