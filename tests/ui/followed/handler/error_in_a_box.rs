use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn load(&self) -> pitaya_runtime::Result<String> {
        let text = load().map_err(pitaya_runtime::Error::boxed)?;
        Ok(text)
    }
}

fn load() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    Err("not there")?
}
