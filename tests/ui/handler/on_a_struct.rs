use pitaya_runtime::prelude::*;

#[handler]
pub struct Room;

fn main() {}
