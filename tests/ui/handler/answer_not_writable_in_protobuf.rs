use pitaya_runtime::prelude::*;

#[derive(serde::Serialize)]
pub struct Joined {
    pub members: Vec<String>,
}

pub struct Room;

#[handler(codec = Protobuf)]
impl Room {
    pub async fn join(&self) -> Result<Joined> {
        Ok(Joined { members: vec![] })
    }
}

fn main() {}
