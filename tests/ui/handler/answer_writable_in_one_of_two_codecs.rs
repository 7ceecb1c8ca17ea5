use pitaya_runtime::prelude::*;

#[derive(serde::Serialize)]
pub struct Joined {
    pub members: Vec<String>,
}

pub struct Room;

#[handler(codec(Json, Protobuf))]
impl Room {
    pub fn join(&self) -> Joined {
        Joined { members: vec![] }
    }
}

fn main() {}
