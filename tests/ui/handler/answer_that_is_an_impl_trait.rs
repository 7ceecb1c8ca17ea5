use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn members(&self) -> impl serde::Serialize {
        7
    }
}

fn main() {}
