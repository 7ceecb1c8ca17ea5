use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "at most {mx} players")]
pub struct Full {
    pub max: u32,
}

fn main() {}
