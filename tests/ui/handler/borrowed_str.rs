use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, name: &str) -> String {
        name.to_owned()
    }
}

fn main() {}
