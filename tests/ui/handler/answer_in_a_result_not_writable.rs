use pitaya_runtime::prelude::*;

pub struct Joined {
    pub members: Vec<String>,
}

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self) -> Result<Joined> {
        Ok(Joined { members: vec![] })
    }
}

fn main() {}
