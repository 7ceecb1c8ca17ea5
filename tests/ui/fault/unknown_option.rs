use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(cod = "GAME-1", message = "full")]
pub struct Full;

fn main() {}
