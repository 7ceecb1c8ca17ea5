use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn load(&self) -> pitaya_runtime::Result<String> {
        let text = load().map_err(pitaya_runtime::Error::boxed)?;
        Ok(text)
    }
}

fn load() -> anyhow::Result<String> {
    anyhow::bail!("not there")
}
