use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn load(&self) -> anyhow::Result<String> {
        anyhow::bail!("not there")
    }
}

fn main() {}
