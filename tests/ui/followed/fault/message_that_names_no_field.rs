use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "at most {0} players")]
pub struct Full(pub u32);
