use pitaya_runtime::prelude::*;

#[derive(serde::Serialize)]
pub struct Taken {
    seat: u32,
}

pub struct Room;

#[remote(codec = Json)]
impl Room {
    pub async fn take(&self, seat: u32) -> Result<Taken> {
        Ok(Taken { seat })
    }
}

fn main() {}
