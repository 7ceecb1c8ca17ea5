use pitaya_runtime::prelude::*;

#[derive(serde::Deserialize)]
pub struct Both {
    a: u8,
    b: u8,
}

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, both: Both) -> u8 {
        both.a + both.b
    }
}
