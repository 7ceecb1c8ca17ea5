use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[route()]
    pub fn join(&self) {}
}
