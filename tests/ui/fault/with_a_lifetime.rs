use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "no {0}")]
pub struct Missing<'a>(pub &'a str);

fn main() {}
