use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1")]
#[fault(message = "full")]
pub struct Full;
