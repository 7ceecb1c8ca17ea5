use pitaya_runtime::prelude::*;

pub struct Room {
    members: u32,
}

#[handler]
impl Room {
    pub fn join(&mut self) {
        self.members += 1;
    }
}

fn main() {}
