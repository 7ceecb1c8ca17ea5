use pitaya_runtime::prelude::*;

pub struct Room;

#[handler(codec = Jsn)]
impl Room {
    pub fn join(&self, name: String) -> String {
        name
    }
}

fn main() {}
