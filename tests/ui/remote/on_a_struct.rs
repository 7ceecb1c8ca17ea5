use pitaya_runtime::prelude::*;

#[remote]
struct Room;

fn main() {}
