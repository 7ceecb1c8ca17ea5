use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn load(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Err("not there")?
    }
}

fn main() {}
