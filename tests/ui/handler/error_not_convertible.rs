use pitaya_runtime::prelude::*;

pub struct Full;

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self) -> Result<String, Full> {
        Err(Full)
    }
}

fn main() {}
