use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(codec = "json")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
