use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn load(&self) -> Result<String, String> {
        Err("not there".to_owned())
    }
}

fn main() {}
