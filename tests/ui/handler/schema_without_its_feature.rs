//! The option needs a feature of the framework: one error says which.

use pitaya_runtime::handler;

struct Room;

#[handler(schema)]
impl Room {
    pub fn members(&self) -> u32 {
        7
    }
}

fn main() {}
