use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route(timeout = "300ms")]
    pub fn join(&self) -> u8 {
        1
    }
}
