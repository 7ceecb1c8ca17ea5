use pitaya_runtime::prelude::*;

pub struct Joined {
    pub members: Vec<String>,
}

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) -> Joined {
        Joined { members: vec![] }
    }
}

fn main() {}
