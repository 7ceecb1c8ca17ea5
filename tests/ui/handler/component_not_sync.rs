use pitaya_runtime::prelude::*;

use std::cell::Cell;

pub struct Room {
    members: Cell<u32>,
}

#[handler]
impl Room {
    pub fn join(&self) {
        self.members.set(self.members.get() + 1);
    }
}

fn main() {}
