use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(crate = "pitaya_runtime")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
