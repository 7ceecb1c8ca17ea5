use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", code = "GAME-2", message = "full")]
pub struct Full;

fn main() {}
