use pitaya_runtime::prelude::*;

pub struct Room;

#[remote]
impl Room {
    pub fn new(&self) {}
    pub async fn within(&self) {}
    pub fn fine(&self) {}
}

fn main() {}
