use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "slow")]
pub struct Slow<T>(pub T);

fn main() {}
