use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(rename_all = "kebab")]
impl Room {
    pub fn join(&self) {}
}

fn main() {}
