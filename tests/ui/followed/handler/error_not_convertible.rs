use pitaya_runtime::prelude::*;

#[derive(pitaya_runtime::Fault)]
#[fault(code = "GAME-1", message = "full")]
pub struct Full;

pub struct Room;

#[handler]
impl Room {
    pub async fn join(&self) -> Result<String, Full> {
        Err(Full)
    }
}
