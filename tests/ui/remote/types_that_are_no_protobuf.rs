use pitaya_runtime::prelude::*;

#[derive(serde::Deserialize, serde::Serialize)]
pub struct Take;

#[derive(serde::Deserialize, serde::Serialize)]
pub struct Taken;

pub struct Room;

#[remote]
impl Room {
    pub async fn take(&self, take: Take) -> Result<Taken> {
        let _ = take;
        Ok(Taken)
    }
}

fn main() {}
