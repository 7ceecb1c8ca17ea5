use pitaya_runtime::prelude::*;

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Take {
    seat: u32,
}

pub struct Room;

#[remote]
impl Room {
    pub fn take(&self, take: Take) {
        drop(take.seat);
    }
}

fn main() {}
