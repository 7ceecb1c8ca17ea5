use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self) {}
}

#[handler]
impl Room {
    pub fn leave(&self) {}
}

fn main() {}
