use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "full")]
pub struct Full {
    #[fault(metadata = 7)]
    pub max: u32,
}

fn main() {}
