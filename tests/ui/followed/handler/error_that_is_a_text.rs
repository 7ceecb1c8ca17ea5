use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub async fn load(&self) -> pitaya_runtime::Result<String> {
        let text = "not there".to_owned();
        Err(pitaya_runtime::Error::new("GAME-1", text))
    }
}
