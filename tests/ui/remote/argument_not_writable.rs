use pitaya_runtime::prelude::*;

#[derive(serde::Deserialize)]
pub struct Take {
    seat: u32,
}

pub struct Room;

#[remote(codec = Json)]
impl Room {
    pub fn take(&self, take: Take) -> Result<u32> {
        Ok(take.seat)
    }
}

fn main() {}
