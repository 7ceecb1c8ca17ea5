use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1")]
pub struct Full;

fn main() {}
