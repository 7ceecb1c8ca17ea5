use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(message = "full")]
#[fault(code = "GAME-1")]
pub struct Full;
