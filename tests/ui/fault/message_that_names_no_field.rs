use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "at most {} players")]
pub struct Full(pub u32);

fn main() {}
