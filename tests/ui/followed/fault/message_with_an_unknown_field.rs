use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "at most {max} players")]
pub struct Full {
    pub max: u32,
}
