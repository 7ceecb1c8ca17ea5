use pitaya_runtime::prelude::*;

pub struct Room {
    name: String,
}

#[handler]
impl Room {
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn main() {}
