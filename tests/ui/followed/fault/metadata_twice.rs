use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "full")]
pub struct Full {
    #[fault(metadata)]
    pub max: u32,
    #[fault(metadata = "wanted")]
    pub wanted: u32,
}
